/* "did you mean": the nearest of some names to a mistyped one. */
#ifndef RILLE_BASE_NEAREST_H
#define RILLE_BASE_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *name; /* what was typed */
	const char *best; /* the nearest name offered so far, borrowed; NULL if none is near enough */
	size_t distance;
};

void nearest_init(struct nearest *n, const char *typed);
/* Offers one candidate. Near enough: at most a third of the typed length (at least 1) in edits, where swapping two
 * neighbours is one edit. */
void nearest_offer(struct nearest *n, const char *candidate);

#endif
