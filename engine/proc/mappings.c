/* A process has tens of executable mappings, seldom hundreds, and looks them up far more often than it changes them: an
 * array with binary search, and memmove() for a change. Only executable mappings are kept, since that is what
 * perf reports and what a return address can be in; nothing tells when one is unmapped, so a stale one stays until
 * something else is mapped there, which a live return address cannot notice. */
#include "engine/proc/mappings.h"

#include "engine/base/grow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void mappings_fini(struct mappings *mappings)
{
	free(mappings->items);
	memset(mappings, 0, sizeof(*mappings));
}

void mappings_clear(struct mappings *mappings)
{
	mappings->n = 0;
	mappings->last = 0;
}

/* The first mapping that ends behind the address: the one that holds it, or the one it would stand before. */
static size_t first_ending_after(const struct mappings *mappings, uint64_t address)
{
	size_t low = 0, high = mappings->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (mappings->items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What is left of `old` behind `from`, with the offset in the file moved along. */
static struct mapping tail_of(const struct mapping *old, uint64_t from)
{
	struct mapping tail = *old;
	tail.offset += from - old->start;
	tail.start = from;
	return tail;
}

int mappings_add(struct mappings *mappings, const struct mapping *mapping)
{
	if (mapping->start >= mapping->end)
		return 0;
	if (grow(&mappings->items, &mappings->cap, mappings->n + 2, sizeof(*mappings->items)))
		return -ENOMEM;
	size_t first = first_ending_after(mappings, mapping->start);
	size_t past = first;
	while (past < mappings->n && mappings->items[past].start < mapping->end)
		past++;

	struct mapping pieces[3];
	size_t npieces = 0;
	if (past > first && mappings->items[first].start < mapping->start) {
		pieces[npieces] = mappings->items[first];
		pieces[npieces++].end = mapping->start;
	}
	pieces[npieces++] = *mapping;
	if (past > first && mappings->items[past - 1].end > mapping->end)
		pieces[npieces++] = tail_of(&mappings->items[past - 1], mapping->end);

	memmove(mappings->items + first + npieces, mappings->items + past,
	        (mappings->n - past) * sizeof(*mappings->items));
	memcpy(mappings->items + first, pieces, npieces * sizeof(*pieces));
	mappings->n += npieces - (past - first);
	return 0;
}

int mappings_copy(struct mappings *to, const struct mappings *from)
{
	if (grow(&to->items, &to->cap, from->n, sizeof(*to->items)))
		return -ENOMEM;
	if (from->n)
		memcpy(to->items, from->items, from->n * sizeof(*to->items));
	to->n = from->n;
	to->last = 0;
	return 0;
}

struct mapping *mappings_find(struct mappings *mappings, uint64_t address)
{
	if (mappings->last < mappings->n) {
		struct mapping *last = &mappings->items[mappings->last];
		if (address - last->start < last->end - last->start)
			return last;
	}
	size_t i = first_ending_after(mappings, address);
	if (i == mappings->n || mappings->items[i].start > address)
		return NULL;
	mappings->last = i;
	return &mappings->items[i];
}
