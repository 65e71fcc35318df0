/* Files that are part of the library: engine/tools/embed.py turns them into tables of these. */
#ifndef RILLE_BASE_EMBED_H
#define RILLE_BASE_EMBED_H

#include <stddef.h>

struct embedded {
	const char *name; /* the file's name without its folder */
	const char *data; /* NUL-terminated text */
	size_t len;
};

#endif
