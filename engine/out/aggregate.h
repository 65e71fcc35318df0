/* What was counted in the kernel, put together: rows with their keys, values and bars, the largest first. */
#ifndef RILLE_OUT_AGGREGATE_H
#define RILLE_OUT_AGGREGATE_H

#include "bpf-templates/record.h"
#include "engine/base/err.h"
#include "engine/out/columns.h"
#include "engine/probe/schema.h"

#include <uthash.h>

struct aggregate_bar {
	int64_t bar; /* see bar_bounds() */
	uint64_t count;
};

struct aggregate_row {
	const struct aggregate *of;
	uint64_t count;             /* how often */
	uint64_t value;             /* the sum, or the least or greatest value */
	struct aggregate_bar *bars; /* of a histogram, in order once sorted; only those that are not empty */
	size_t nbars, bars_cap;
	UT_hash_handle hh;
	uint8_t key[] __attribute__((aligned(8)));
};

struct aggregate {
	const struct aggregate_schema *schema;
	const struct probe_schema *probes; /* of the plan: names of probes as keys */
	size_t nprobes;
	struct column *columns; /* of the schema's fields; labels are empty */
	struct aggregate_row *rows;
	struct aggregate_row **list; /* after aggregate_sort() */
	size_t n;
	int64_t wall_nsecs; /* as of when */
	struct rille_uncounted uncounted;
};

/* Both schemas are borrowed. */
int aggregate_init(struct aggregate *aggregate, const struct aggregate_schema *schema,
        const struct probe_schema *probes, size_t nprobes);
void aggregate_fini(struct aggregate *aggregate);
/* Adds an entry of the map: a row, or a bar of one. -ENOMEM. */
int aggregate_add(struct aggregate *aggregate, const uint8_t *key, const struct rille_row *row);
/* Makes the list: by value (of histograms: by count), the largest first; equal ones in an order of their own. */
int aggregate_sort(struct aggregate *aggregate);

/* Key i of a row; the name of a probe is text. Borrowed from the row. */
struct value aggregate_row_key(const struct aggregate_row *row, size_t i);
/* What the row says: count, sum, average (rounded towards 0), least, greatest. Of an unsigned value its 64 bits. */
int64_t aggregate_row_value(const struct aggregate_row *row);
/* The value as text, by the field's decoder. */
void aggregate_value_text(struct text *out, const struct aggregate *aggregate, int64_t value);
void aggregate_value_number(struct text *out, const struct aggregate *aggregate, int64_t value);

/* Of the key of a histogram's entry, as of an entry that is read back from JSON. */
enum { AGGREGATE_BAR_AT = 8 };

/* The two forms (aggregate_text.c, aggregate_json.c). JSON: a line a row, and one that ends them. */
struct palette;
void aggregate_text(struct text *out, const struct aggregate *aggregate, const struct palette *palette);
struct timestamp;
void aggregate_json(struct text *out, const struct aggregate *aggregate, struct timestamp *stamp);
/* What a reader has to know to show it alike. */
void aggregate_meta_json(struct text *out, const struct aggregate_schema *schema);

#endif
