/* Creation points, kept once. A program opens and closes a million times in a handful of places: what is kept of each
 * descriptor is one pointer, and a place that no open descriptor refers to is dropped when room is needed. Frames are
 * copied; the names in them live as long as the resolver, which outlives the outputs' last word. */
#include "engine/out/open_table.h"
#include "engine/out/stacks.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SITES = 65536, MAX_SITE_BYTES = 64 << 20 };

struct site_key {
	const struct probe_schema *probe;
	uint64_t identity;
};
_Static_assert(offsetof(struct open_site, identity) == sizeof(const struct probe_schema *), "the key is one piece");

static size_t bytes_of(const struct open_site *site)
{
	return sizeof(*site) + site->stack.nframes * sizeof(*site->stack.frames);
}

static void drop(struct open_table *table, struct open_site *site)
{
	HASH_DEL(table->sites, site);
	table->site_bytes -= bytes_of(site);
	free(site->stack.frames);
	free(site);
}

static void drop_unused(struct open_table *table)
{
	struct open_site *site, *next;
	HASH_ITER (hh, table->sites, site, next)
		if (!site->uses)
			drop(table, site);
}

static bool full(const struct open_table *table)
{
	return HASH_COUNT(table->sites) >= MAX_SITES || table->site_bytes >= MAX_SITE_BYTES;
}

static struct open_site *add(struct open_table *table, const struct site_key *key, const struct stack *stack)
{
	struct open_site *site = calloc(1, sizeof(*site));
	size_t bytes = stack->nframes * sizeof(*stack->frames);
	if (!site)
		return NULL;
	site->probe = key->probe;
	site->identity = key->identity;
	site->place = stack->site;
	site->stack = (struct stack){.nframes = stack->nframes, .end = stack->end, .site = stack->site};
	site->stack.frames = malloc(bytes ? bytes : 1);
	if (site->stack.frames) {
		if (bytes)
			memcpy(site->stack.frames, stack->frames, bytes);
		HASH_ADD(hh, table->sites, probe, sizeof(*key), site);
	}
	if (!site->stack.frames || !site->hh.tbl) {
		free(site->stack.frames);
		free(site);
		return NULL;
	}
	table->site_bytes += bytes_of(site);
	return site;
}

static struct open_site *site_of(struct open_table *table, struct event *event)
{
	static const struct stack none = {.end = STACK_ROOT};
	const struct stack *stack = event_ustack(event);
	struct open_site *site;
	if (!stack)
		stack = &none;
	struct site_key key = {event->probe, stack_identity(stack)};
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): a struct read as bytes */
	HASH_FIND(hh, table->sites, &key, sizeof(key), site);
	if (site)
		return site;
	if (full(table))
		drop_unused(table);
	site = full(table) ? NULL : add(table, &key, stack);
	table->nsites_dropped += !site;
	return site;
}

struct open_maker *open_maker_new(struct open_table *table, struct event *event)
{
	struct open_maker *maker = calloc(1, sizeof(*maker));
	if (!maker)
		return NULL;
	maker->refs = 1;
	maker->pid = event->record->pid;
	maker->tid = event->record->tid;
	maker->nsecs = event->record->nsecs;
	maker->wall_nsecs = event->wall_nsecs;
	maker->probe = event->probe;
	maker->tag = table->tag;
	memcpy(maker->comm, event->record->comm, sizeof(maker->comm));
	maker->comm[sizeof(maker->comm) - 1] = 0;
	maker->site = site_of(table, event);
	if (maker->site)
		maker->site->uses++;
	return maker;
}

struct open_maker *open_maker_again(const struct open_maker *maker, const struct event *event)
{
	struct open_maker *copy = malloc(sizeof(*copy));
	if (!copy)
		return NULL;
	*copy = *maker;
	copy->refs = 1;
	copy->probe = event->probe;
	copy->nsecs = event->record->nsecs;
	copy->wall_nsecs = event->wall_nsecs;
	if (copy->site)
		copy->site->uses++;
	return copy;
}

struct open_maker *open_maker_ref(struct open_maker *maker)
{
	if (maker)
		maker->refs++;
	return maker;
}

void open_maker_unref(struct open_maker *maker)
{
	if (!maker || --maker->refs)
		return;
	if (maker->site)
		maker->site->uses--;
	free(maker);
}

void open_sites_fini(struct open_table *table)
{
	struct open_site *site, *next;
	HASH_ITER (hh, table->sites, site, next)
		drop(table, site);
}
