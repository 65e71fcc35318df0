/* Optimal string alignment distance: Levenshtein's with a swap of neighbours counted once, which is what typing errors
 * are. Names longer than 63 bytes are not compared; nobody mistypes those by hand. */
#include "engine/base/nearest.h"

#include <stdint.h>
#include <string.h>

enum { LONGEST = 63 };

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;
	return m < c ? m : c;
}

static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	uint8_t rows[3][LONGEST + 1];
	for (size_t j = 0; j <= nb; j++)
		rows[0][j] = (uint8_t)j;
	for (size_t i = 1; i <= na; i++) {
		uint8_t *now = rows[i % 3], *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
		now[0] = (uint8_t)i;
		for (size_t j = 1; j <= nb; j++) {
			size_t cost = a[i - 1] != b[j - 1];
			size_t d = min3(last[j] + 1u, now[j - 1] + 1u, last[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1u < d)
				d = before[j - 2] + 1u;
			now[j] = (uint8_t)d;
		}
	}
	return rows[na % 3][nb];
}

void nearest_init(struct nearest *n, const char *typed)
{
	size_t len = strlen(typed);
	n->name = typed;
	n->best = NULL;
	n->distance = (len < 3 ? 1 : len / 3) + 1;
}

void nearest_offer(struct nearest *n, const char *candidate)
{
	size_t na = strlen(n->name), nb = strlen(candidate);
	if (na > LONGEST || nb > LONGEST)
		return;
	size_t d = distance(n->name, na, candidate, nb);
	if (d < n->distance) {
		n->distance = d;
		n->best = candidate;
	}
}
