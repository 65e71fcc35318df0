/* What is open still, from the table behind the format `open`. Of a process that has ended, what it had open then: that is
 * what it leaked. Descriptors that were there before the trace were made by no event. */
#include "engine/out/flame_open.h"
#include "engine/out/open_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct flame_open {
	struct open_table table;
};

static bool tells(const struct probe_schema *probe)
{
	for (size_t i = 0; i < probe->nfields; i++)
		if (probe->fields[i].kind == VALUE_STR && strcmp(probe->fields[i].name, "op") == 0)
			return true;
	return false;
}

int flame_open_new(struct flame_open **ret, const struct probe_schema *probes, size_t nprobes)
{
	bool any = false;
	*ret = NULL;
	for (size_t i = 0; i < nprobes; i++)
		any |= tells(&probes[i]);
	if (!any)
		return 0;
	struct flame_open *open = calloc(1, sizeof(*open));
	if (!open || open_fields_init(&open->table, probes, nprobes) < 0) {
		free(open);
		return -ENOMEM;
	}
	*ret = open;
	return 0;
}

void flame_open_free(struct flame_open *open)
{
	if (open)
		open_table_fini(&open->table);
	free(open);
}

void flame_open_event(struct flame_open *open, struct event *event, uint64_t tag)
{
	open->table.tag = tag;
	open_table_event(&open->table, event);
}

static int by_address(const void *a, const void *b)
{
	const struct open_fds *const *x = a, *const *y = b;
	return *x < *y ? -1 : *x > *y;
}

static void each_slot(const struct open_fds *fds, void (*fn)(void *user, uint64_t tag), void *user)
{
	for (const struct open_slot *slot = fds->slots; slot; slot = slot->hh.next)
		if (slot->maker)
			fn(user, slot->maker->tag);
}

/* A table that processes share is one. */
int flame_open_each(const struct flame_open *open, void (*fn)(void *user, uint64_t tag), void *user)
{
	const struct open_table *table = &open->table;
	size_t n = 0;
	const struct open_fds **all = calloc(HASH_COUNT(table->processes) + table->nended + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (const struct open_process *process = table->processes; process; process = process->hh.next)
		all[n++] = process->fds;
	for (size_t i = 0; i < table->nended; i++)
		all[n++] = table->ended[i].process->fds;
	qsort(all, n, sizeof(*all), by_address);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || all[i] != all[i - 1])
			each_slot(all[i], fn, user);
	free(all);
	return 0;
}
