/* Entries of the kernel's maps become rows. An entry of a histogram is one bar, so rows are found by the key without it. */
#include "engine/out/aggregate.h"
#include "engine/base/grow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int aggregate_init(struct aggregate *aggregate, const struct aggregate_schema *schema,
        const struct probe_schema *probes, size_t nprobes)
{
	*aggregate = (struct aggregate){.schema = schema, .probes = probes, .nprobes = nprobes};
	aggregate->columns = calloc(schema->nfields + 1, sizeof(*aggregate->columns));
	for (size_t i = 0; aggregate->columns && i < schema->nfields; i++) {
		aggregate->columns[i].field = i;
		aggregate->columns[i].schema = &schema->fields[i];
		if (decoder_init(&aggregate->columns[i].decoder, &schema->fields[i], NULL) < 0) {
			aggregate_fini(aggregate);
			return -ENOMEM;
		}
	}
	return aggregate->columns ? 0 : -ENOMEM;
}

void aggregate_fini(struct aggregate *aggregate)
{
	struct aggregate_row *row, *next;
	HASH_ITER (hh, aggregate->rows, row, next) {
		HASH_DEL(aggregate->rows, row);
		free(row->bars);
		free(row);
	}
	for (size_t i = 0; aggregate->columns && i < aggregate->schema->nfields; i++)
		decoder_fini(&aggregate->columns[i].decoder);
	free(aggregate->columns);
	free(aggregate->list);
	*aggregate = (struct aggregate){0};
}

static struct aggregate_row *row_of(struct aggregate *aggregate, const uint8_t *key)
{
	size_t size = aggregate->schema->key_size;
	struct aggregate_row *row, *known;
	row = calloc(1, sizeof(*row) + size);
	if (!row)
		return NULL;
	memcpy(row->key, key, size);
	if (aggregate_has_bars(aggregate->schema))
		memset(row->key + AGGREGATE_BAR_AT, 0, sizeof(int64_t));
	HASH_FIND(hh, aggregate->rows, row->key, size, known);
	if (known) {
		free(row);
		return known;
	}
	row->of = aggregate;
	HASH_ADD_KEYPTR(hh, aggregate->rows, row->key, size, row);
	if (!row->hh.tbl) { /* no memory for the table */
		free(row);
		return NULL;
	}
	return row;
}

int aggregate_add(struct aggregate *aggregate, const uint8_t *key, const struct rille_row *entry)
{
	struct aggregate_row *row = row_of(aggregate, key);
	if (!row)
		return -ENOMEM;
	row->count += entry->count;
	row->value = entry->value;
	if (!aggregate_has_bars(aggregate->schema))
		return 0;
	if (grow(&row->bars, &row->bars_cap, row->nbars + 1, sizeof(*row->bars)) < 0)
		return -ENOMEM;
	struct aggregate_bar *bar = &row->bars[row->nbars++];
	memcpy(&bar->bar, key + AGGREGATE_BAR_AT, sizeof(bar->bar));
	bar->count = entry->count;
	return 0;
}

static int by_bar(const void *a, const void *b)
{
	const struct aggregate_bar *x = a, *y = b;
	return x->bar < y->bar ? -1 : x->bar > y->bar;
}

static int compare_keys(const struct aggregate_row *x, const struct aggregate_row *y)
{
	const struct aggregate_schema *schema = x->of->schema;
	for (size_t i = 0; i < schema->nkeys; i++) {
		struct value a = aggregate_row_key(x, i), b = aggregate_row_key(y, i);
		if (a.kind == VALUE_STR && b.kind == VALUE_STR && !a.missing && !b.missing) {
			size_t n = a.len < b.len ? a.len : b.len;
			int order = memcmp(a.data, b.data, n);
			if (order || a.len != b.len)
				return order ? order : a.len < b.len ? -1 : 1;
		} else if (a.kind <= VALUE_BOOL && value_int(&a, 0) != value_int(&b, 0)) {
			return value_int(&a, 0) < value_int(&b, 0) ? -1 : 1;
		}
	}
	return memcmp(x->key, y->key, schema->key_size);
}

static int by_value(const void *a, const void *b)
{
	const struct aggregate_row *x = *(struct aggregate_row *const *)a, *y = *(struct aggregate_row *const *)b;
	const struct aggregate_schema *schema = x->of->schema;
	int64_t v = aggregate_row_value(x), w = aggregate_row_value(y);
	if (v == w)
		return compare_keys(x, y);
	bool is_signed = schema->is_signed && !aggregate_has_bars(schema);
	bool less = is_signed ? v < w : (uint64_t)v < (uint64_t)w;
	return less ? 1 : -1;
}

int aggregate_sort(struct aggregate *aggregate)
{
	struct aggregate_row *row, *next;
	free(aggregate->list);
	aggregate->n = 0;
	aggregate->list = calloc(HASH_COUNT(aggregate->rows) + 1, sizeof(*aggregate->list));
	if (!aggregate->list)
		return -ENOMEM;
	HASH_ITER (hh, aggregate->rows, row, next) {
		if (row->nbars)
			qsort(row->bars, row->nbars, sizeof(*row->bars), by_bar);
		aggregate->list[aggregate->n++] = row;
	}
	qsort(aggregate->list, aggregate->n, sizeof(struct aggregate_row *), by_value);
	return 0;
}

struct value aggregate_row_key(const struct aggregate_row *row, size_t i)
{
	const struct aggregate *aggregate = row->of;
	struct value value = aggregate_key(aggregate->schema, row->key, i);
	if (!(aggregate->schema->probe_keys >> i & 1) || value.missing)
		return value;
	size_t probe = (size_t)value_int(&value, 0);
	const char *name = probe < aggregate->nprobes ? aggregate->probes[probe].name : "";
	return (struct value){.kind = VALUE_STR, .data = (const uint8_t *)name, .len = strlen(name)};
}

int64_t aggregate_row_value(const struct aggregate_row *row)
{
	const struct aggregate_schema *schema = row->of->schema;
	switch (schema->kind) {
	case AGGREGATE_SUM:
	case AGGREGATE_MIN:
	case AGGREGATE_MAX:
		return (int64_t)row->value;
	case AGGREGATE_AVG:
		if (!row->count)
			return 0;
		return schema->is_signed ? (int64_t)row->value / (int64_t)row->count
		                         : (int64_t)(row->value / row->count);
	default:
		return (int64_t)row->count;
	}
}

void aggregate_value_number(struct text *out, const struct aggregate *aggregate, int64_t value)
{
	if (aggregate->schema->is_signed)
		text_addi(out, value);
	else
		text_addu(out, (uint64_t)value);
}

void aggregate_value_text(struct text *out, const struct aggregate *aggregate, int64_t value)
{
	const struct aggregate_schema *schema = aggregate->schema;
	if (!schema->of || schema->fields[schema->nkeys].format == FORMAT_NONE)
		aggregate_value_number(out, aggregate, value);
	else
		decode(&aggregate->columns[schema->nkeys].decoder, value, out);
}
