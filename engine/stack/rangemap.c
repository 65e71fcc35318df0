/* Overlapping ranges in order of time.
 *
 * Ranges are kept sorted by start, next to the largest end of all before them: a search walks back from the last one
 * that starts at or before the address, and stops where nothing further back can reach it. New ranges are sorted by
 * themselves and then merged, so a map that grows a little at each event costs one pass each. */
#include "engine/stack/rangemap.h"

#include "engine/base/grow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void rangemap_fini(struct rangemap *map)
{
	free(map->ranges);
	free(map->reach);
	memset(map, 0, sizeof(*map));
}

void rangemap_clear(struct rangemap *map)
{
	map->n = map->settled = 0;
	map->order = 0;
}

int rangemap_add(struct rangemap *map, const struct range *range)
{
	int error = grow(&map->ranges, &map->ranges_cap, map->n + 1, sizeof(*map->ranges));
	if (error)
		return error;
	map->ranges[map->n] = *range;
	map->ranges[map->n++].order = map->order++;
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

/* Merges the sorted new part into the sorted old one, from the end backwards, through a copy of the new part. Returns
 * the first index that changed, or -ENOMEM. */
static ptrdiff_t merge(struct rangemap *map)
{
	size_t fresh = map->n - map->settled, old = map->settled, out = map->n;
	if (!old || by_start(&map->ranges[old - 1], &map->ranges[old]) < 0)
		return (ptrdiff_t)old;
	struct range *copy = malloc(fresh * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, map->ranges + old, fresh * sizeof(*copy));
	while (fresh) {
		bool take_old = old && by_start(&map->ranges[old - 1], &copy[fresh - 1]) > 0;
		map->ranges[--out] = take_old ? map->ranges[--old] : copy[--fresh];
	}
	free(copy);
	return (ptrdiff_t)out;
}

int rangemap_settle(struct rangemap *map)
{
	if (map->settled == map->n)
		return 0;
	qsort(map->ranges + map->settled, map->n - map->settled, sizeof(*map->ranges), by_start);
	ptrdiff_t first = merge(map);
	if (first < 0 || grow(&map->reach, &map->reach_cap, map->n, sizeof(*map->reach))) {
		rangemap_clear(map);
		return -ENOMEM;
	}
	for (size_t i = (size_t)first; i < map->n; i++) {
		uint64_t end = map->ranges[i].start + map->ranges[i].size;
		map->reach[i] = i && map->reach[i - 1] > end ? map->reach[i - 1] : end;
	}
	map->settled = map->n;
	return 0;
}

/* Whether `a` is the better answer than `b` for what was true at `time`. */
static bool better(const struct range *a, const struct range *b, uint64_t time)
{
	bool a_began = a->time <= time, b_began = b->time <= time;
	if (a_began != b_began)
		return a_began;
	return a_began ? a->order > b->order : a->order < b->order;
}

const struct range *rangemap_find(const struct rangemap *map, uint64_t address, uint64_t time, bool *ret_others)
{
	size_t low = 0, high = map->settled; /* the first that starts after the address */
	const struct range *best = NULL;
	bool others = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (map->ranges[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	while (low-- > 0 && map->reach[low] > address) {
		const struct range *range = &map->ranges[low];
		if (address - range->start >= range->size)
			continue;
		others |= best && best->time != range->time;
		if (!best || better(range, best, time))
			best = range;
	}
	if (ret_others)
		*ret_others = others;
	return best;
}
