/* Reading the maps of what is counted: many entries a system call, and of each entry one value a CPU.
 *
 * Nothing is deleted here. A program that has found an entry counts in it, whoever deletes it meanwhile, so what is deleted while
 * it runs is lost without a word. Beginning anew is a matter of subtracting (engine/core/counts.c). */
#include "engine/run/rows.h"
#include "engine/run/object.h"
#include "bpf-templates/names.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 1024 };

struct reader {
	const struct aggregate_schema *schema;
	size_t ncpus;
	uint32_t room; /* entries that a batch has room for */
	uint8_t *keys;
	struct rille_row *values; /* `ncpus` an entry */
};

static bool is_better(const struct aggregate_schema *schema, uint64_t a, uint64_t b)
{
	bool less = schema->is_signed ? (int64_t)a < (int64_t)b : a < b;
	return schema->kind == AGGREGATE_MIN ? less : !less;
}

static struct rille_row merge(const struct aggregate_schema *schema, const struct rille_row *cpus, size_t n)
{
	bool extreme = schema->kind == AGGREGATE_MIN || schema->kind == AGGREGATE_MAX;
	struct rille_row all = {0};
	for (size_t i = 0; i < n; i++) {
		if (!cpus[i].count)
			continue;
		if (!extreme)
			all.value += cpus[i].value;
		else if (!all.count || is_better(schema, cpus[i].value, all.value))
			all.value = cpus[i].value;
		all.count += cpus[i].count;
	}
	return all;
}

static int make_room(struct reader *reader, uint32_t entries)
{
	free(reader->keys);
	free(reader->values);
	reader->room = entries;
	reader->keys = calloc(entries, reader->schema->key_size);
	reader->values = calloc((size_t)entries * reader->ncpus, sizeof(*reader->values));
	return reader->keys && reader->values ? 0 : -ENOMEM;
}

static int tell(const struct reader *reader, uint32_t n, row_fn fn, void *user)
{
	for (uint32_t i = 0; i < n; i++) {
		struct rille_row row = merge(reader->schema, &reader->values[i * reader->ncpus], reader->ncpus);
		int r = row.count ? fn(user, reader->keys + (size_t)i * reader->schema->key_size, &row) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* One bucket of the kernel's table comes whole: one that is larger than the room needs a larger room. */
static int read_all(struct reader *reader, int map, row_fn fn, void *user)
{
	uint32_t at = 0;
	bool begun = false;
	for (;;) {
		uint32_t n = reader->room, next;
		int r = bpf_map_lookup_batch(map, begun ? &at : NULL, &next, reader->keys, reader->values, &n, NULL);
		int code = r < 0 ? -errno : 0;
		if (code == -ENOSPC && reader->room < reader->schema->max) {
			code = make_room(reader, reader->room * 2);
			if (code < 0)
				return code;
			continue;
		}
		if (code < 0 && code != -ENOENT)
			return code;
		r = tell(reader, n, fn, user);
		if (r < 0 || code == -ENOENT)
			return r;
		at = next;
		begun = true;
	}
}

static int find_map(const struct kernel *kernel, const struct aggregate_schema *schema)
{
	char name[48];
	snprintf(name, sizeof(name), "%s%u", RILLE_MAP_ROWS, schema->index);
	return bpf_object__find_map_fd_by_name(kernel_object(kernel), name);
}

int rows_read(const struct kernel *kernel, const struct aggregate_schema *schema, row_fn fn, void *user)
{
	int map = find_map(kernel, schema), ncpus = libbpf_num_possible_cpus();
	if (map < 0 || ncpus < 1)
		return -ENOENT;
	struct reader reader = {.schema = schema, .ncpus = (size_t)ncpus};
	int r = make_room(&reader, schema->max < BATCH ? schema->max : BATCH);
	if (r == 0)
		r = read_all(&reader, map, fn, user);
	free(reader.keys);
	free(reader.values);
	return r;
}

int rows_uncounted(const struct kernel *kernel, const struct aggregate_schema *schema, struct rille_uncounted *ret)
{
	int map = bpf_object__find_map_fd_by_name(kernel_object(kernel), RILLE_MAP_UNCOUNTED);
	int ncpus = libbpf_num_possible_cpus();
	uint32_t key = schema->index;
	*ret = (struct rille_uncounted){0};
	if (map < 0 || ncpus < 1)
		return -ENOENT;
	struct rille_uncounted *cpus = calloc((size_t)ncpus, sizeof(*cpus));
	if (!cpus)
		return -ENOMEM;
	int r = bpf_map_lookup_elem(map, &key, cpus) < 0 ? -errno : 0;
	for (int i = 0; r == 0 && i < ncpus; i++) {
		ret->full += cpus[i].full;
		ret->missing += cpus[i].missing;
	}
	free(cpus);
	return r;
}
