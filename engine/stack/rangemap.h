/* Address ranges that were added one after another and may overlap: generated code that takes the place of older code.
 */
#ifndef RILLE_STACK_RANGEMAP_H
#define RILLE_STACK_RANGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, size; /* bytes; size > 0, start + size does not overflow */
	uint64_t time;        /* when it began to be true */
	const void *what;     /* the caller's */
	uint32_t order;       /* set by rangemap_add: 0, 1, 2 … */
};

/* Zero it to begin with. */
struct rangemap {
	struct range *ranges; /* by start, then order; those from `settled` on are new */
	uint64_t *reach;      /* the largest end of ranges[0 … i] */
	size_t n, settled, ranges_cap, reach_cap;
	uint32_t order;
};

void rangemap_fini(struct rangemap *map);
void rangemap_clear(struct rangemap *map);
/* 0 or -ENOMEM. To be seen by rangemap_find it has to be settled, which is cheaper for many at once. */
int rangemap_add(struct rangemap *map, const struct range *range);
/* 0 or -ENOMEM (the map is empty then). */
int rangemap_settle(struct rangemap *map);
/* The range that holds the address as of `time`: the last added of those that were true by then; if none was, the first
 * after. *ret_others (may be NULL): another one of a different time holds it too. NULL = none. */
const struct range *rangemap_find(const struct rangemap *map, uint64_t address, uint64_t time, bool *ret_others);

#endif
