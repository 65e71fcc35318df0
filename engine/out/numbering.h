/* Numbers for things that a file holds once and refers to: strings, frames. */
#ifndef RILLE_OUT_NUMBERING_H
#define RILLE_OUT_NUMBERING_H

#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

struct numbered {
	uint32_t number, len;
	UT_hash_handle hh;
	char data[]; /* NUL-terminated */
};

struct numbering {
	struct numbered *list; /* in the order of their numbers: follow hh.next */
	size_t bytes;
};

/* The number of these bytes: 0, 1, 2 … in the order in which they were first seen. -1: no room for more. */
int64_t number_of(struct numbering *numbering, const void *data, size_t len);
void numbering_fini(struct numbering *numbering);

#endif
