/* A memo of what the running kernel answered, kept on disk. */
#ifndef RILLE_PROBE_FACTS_H
#define RILLE_PROBE_FACTS_H

#include "engine/base/log.h"

#include <stddef.h>

struct facts;

/* `dir` as for cache_open(), or NULL: remembers only while it lives. Touches no file yet. NULL when out of memory. */
struct facts *facts_new(const char *dir, const struct logger *log);
/* The answer to a question, valid until facts_free(), or NULL. */
const void *facts_get(struct facts *facts, const char *question, size_t *ret_len);
/* Remembers an answer; out of memory is not an error, only a fact less. */
void facts_put(struct facts *facts, const char *question, const void *answer, size_t len);
/* Saves if there is something new. */
void facts_save(struct facts *facts);
/* Frees, without saving. NULL is fine. */
void facts_free(struct facts *facts);

#endif
