/* The executable mappings of one process: a sorted array, replaced piece by piece as a process maps over itself. */
#ifndef RILLE_PROC_MAPPINGS_H
#define RILLE_PROC_MAPPINGS_H

#include "engine/proc/proc.h"

struct mappings {
	struct mapping *items; /* in order of address, never overlapping */
	size_t n, cap;
	size_t last; /* where the last find ended: the next address is often there, too */
};

void mappings_fini(struct mappings *mappings);
void mappings_clear(struct mappings *mappings);
/* Puts a mapping in, cutting away what it covers as mmap(2) does. 0 or -ENOMEM (then nothing changed). */
int mappings_add(struct mappings *mappings, const struct mapping *mapping);
/* 0 or -ENOMEM. */
int mappings_copy(struct mappings *to, const struct mappings *from);
struct mapping *mappings_find(struct mappings *mappings, uint64_t address);

#endif
