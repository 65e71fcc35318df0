/* The text of tracefs' format files. */
#ifndef RILLE_PROBE_FORMAT_H
#define RILLE_PROBE_FORMAT_H

#include "engine/probe/catalog.h"

#include <stddef.h>

/* Parses one file; *ret is one block that the caller frees with free(). `category` is copied. -EINVAL if
 * the text is not a format, -ENOMEM. */
int format_parse(const char *text, size_t len, const char *category, struct event_format **ret);

/* The part of a file that format_parse() looks at: up to the "print fmt". */
size_t format_length(const char *text, size_t len);

/* Fills what the C type of a system call's argument says: size, sign, pointer, string. */
void format_c_type(struct argument *argument);

#endif
