/* Memory for many small things that live equally long: handed out in a row, freed together. */
#ifndef RILLE_STACK_ARENA_H
#define RILLE_STACK_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
	size_t used, size;          /* of the newest */
};

void arena_fini(struct arena *arena);
/* 8-byte aligned, zeroed; NULL: out of memory. */
void *arena_alloc(struct arena *arena, size_t len);
/* A NUL-terminated copy. */
char *arena_text(struct arena *arena, const char *text, size_t len);

#endif
