/* What was counted, from JSON: its schemas stand in the first record, its rows come one a line, and a last one says that they
 * are all.
 *
 * Rows become entries with keys as the kernel has them, so that every output shows them alike. Behind the keys stands the
 * row's number: texts that were not UTF-8 may be the same now, and are rows of their own still. */
#include "engine/out/trace_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_AT = 16, MAX_BYTES = 1024 };

static bool read_kind(struct json_object *from, enum aggregate_kind *ret)
{
	const char *name;
	if (!trace_text(from, "kind", &name, NULL))
		return false;
	for (unsigned kind = 0; kind < AGGREGATE_KINDS; kind++)
		if (strcmp(aggregate_kind_name(kind), name) == 0) {
			*ret = (enum aggregate_kind)kind;
			return true;
		}
	return false;
}

static void read_format(struct field_schema *field, struct json_object *from)
{
	const char *as;
	if (trace_text(from, "as", &as, NULL) && decode_format(as, &field->format, field->prefix, NULL) < 0)
		field->format = FORMAT_NONE; /* of a newer version: the number is shown as it is */
}

static int add_field(struct aggregate_schema *schema, const char *name, enum value_kind kind, uint32_t bytes,
        struct json_object *from, struct err *err)
{
	struct field_schema *field = &schema->fields[schema->nfields++];
	field->kind = kind;
	field->width = kind <= VALUE_UINT ? 8 : kind == VALUE_BOOL ? 1 : 0;
	field->offset = schema->key_size;
	field->size = kind <= VALUE_BOOL ? 8 : (bytes + 7) & ~7u;
	schema->key_size += field->size;
	read_format(field, from);
	field->name = strdup(name);
	return field->name ? 0 : err_nomem(err);
}

static int read_keys(struct aggregate_schema *schema, struct json_object *from, struct err *err)
{
	struct json_object *list = trace_member(from, "by", json_type_array);
	size_t n = list ? json_object_array_length(list) : 0;
	int r = 0;
	if (n > SPEC_MAX_KEYS)
		return trace_bad(err, "something that is counted by %zu keys", n);
	schema->fields = calloc(n + 1, sizeof(*schema->fields));
	if (!schema->fields)
		return err_nomem(err);
	schema->key_size = KEYS_AT;
	for (schema->nkeys = 0; schema->nkeys < n && !r; schema->nkeys++) {
		struct json_object *key = json_object_array_get_idx(list, schema->nkeys);
		const char *name, *kind_name;
		enum value_kind kind;
		uint32_t bytes = 8;
		trace_u32(key, "bytes", &bytes);
		if (!trace_text(key, "name", &name, NULL) || !trace_text(key, "kind", &kind_name, NULL) ||
		        !trace_kind(kind_name, &kind) || bytes < 8 || bytes > MAX_BYTES)
			return trace_bad(err, "a key that this version does not know");
		r = add_field(schema, name, kind, bytes, key, err);
	}
	return r;
}

static bool read_bars_of(struct aggregate_schema *schema, struct json_object *from)
{
	struct json_object *numbers[3] = {NULL};
	int64_t *const to[] = {&schema->from, &schema->to, &schema->step};
	static const char *const keys[] = {"from", "to", "step"};
	for (size_t i = 0; i < 3; i++)
		if (!json_object_object_get_ex(from, keys[i], &numbers[i]) || !trace_integer(numbers[i], to[i]))
			return false;
	uint64_t width = (uint64_t)schema->to - (uint64_t)schema->from;
	return schema->to > schema->from && schema->step > 0 && (width - 1) / (uint64_t)schema->step < SPEC_MAX_BARS;
}

static int read_schema(struct trace_aggregate *aggregate, struct json_object *from, struct err *err)
{
	struct aggregate_schema *schema = aggregate->schema;
	const char *on, *of = NULL;
	uint32_t number;
	if (!trace_text(from, "probe", &on, NULL) || !trace_u32(from, "number", &number) || !number ||
	        !read_kind(from, &schema->kind) || !trace_u32(from, "max", &schema->max))
		return trace_bad(err, "something that is counted without probe, number, kind or max");
	if (schema->kind == AGGREGATE_LHIST && !read_bars_of(schema, from))
		return trace_bad(err, "an lhist without its bars");
	trace_text(from, "of", &of, NULL);
	schema->spec_probe = number - 1;
	schema->is_signed = trace_bool(from, "signed");
	schema->on = aggregate->on = strdup(on);
	schema->of = aggregate->of = strdup(of ? of : "");
	if (!aggregate->on || !aggregate->of)
		return err_nomem(err);
	if (!of)
		schema->of = NULL;
	int r = read_keys(schema, from, err);
	aggregate->number_at = schema->key_size;
	schema->key_size += sizeof(uint64_t);
	if (r == 0 && of)
		r = add_field(schema, "value", schema->is_signed ? VALUE_INT : VALUE_UINT, 8, from, err);
	schema->key_size = aggregate->number_at + (uint32_t)sizeof(uint64_t); /* the value is not part of it */
	return r;
}

int trace_aggregates_read(struct trace_reader *reader, struct json_object *list, struct err *err)
{
	size_t n = list ? json_object_array_length(list) : 0;
	int r = 0;
	if (n > SPEC_MAX_AGGREGATES)
		return trace_bad(
		        err, "%zu things that are counted, more than the %d that can be", n, SPEC_MAX_AGGREGATES);
	reader->aggregates = calloc(n + 1, sizeof(*reader->aggregates));
	reader->counted = calloc(n + 1, sizeof(*reader->counted));
	if (!reader->aggregates || !reader->counted)
		return err_nomem(err);
	for (size_t i = 0; i < n && !r; i++) {
		reader->aggregates[i].schema = &reader->counted[i];
		reader->naggregates = i + 1;
		r = read_schema(&reader->aggregates[i], json_object_array_get_idx(list, i), err);
	}
	reader->meta.aggregates = reader->counted;
	reader->meta.naggregates = reader->naggregates;
	return r;
}

static void forget(struct trace_aggregate *aggregate)
{
	if (aggregate->now.schema)
		aggregate_fini(&aggregate->now);
	aggregate->rows = 0;
}

void trace_aggregates_fini(struct trace_reader *reader)
{
	for (size_t i = 0; i < reader->naggregates; i++) {
		struct trace_aggregate *aggregate = &reader->aggregates[i];
		forget(aggregate);
		aggregate_schema_fini(aggregate->schema);
		free(aggregate->on);
		free(aggregate->of);
	}
	free(reader->aggregates);
	free(reader->counted);
}

/* Which one a record is of; made ready for its rows. */
static int find(struct trace_reader *reader, struct json_object *object, struct trace_aggregate **ret, struct err *err)
{
	enum aggregate_kind kind;
	uint32_t number;
	if (!read_kind(object, &kind) || !trace_u32(object, "number", &number))
		return trace_bad(err, "something counted, without number or kind");
	for (size_t i = 0; i < reader->naggregates; i++) {
		struct trace_aggregate *aggregate = &reader->aggregates[i];
		if (aggregate->schema->kind != kind || aggregate->schema->spec_probe + 1 != number)
			continue;
		*ret = aggregate;
		if (aggregate->now.schema)
			return 0;
		int r = aggregate_init(&aggregate->now, aggregate->schema, reader->schemas, reader->meta.nprobes);
		return r < 0 ? err_nomem(err) : 0;
	}
	return trace_bad(err, "something counted that the trace's first line does not name");
}

static void put_key(
        const struct trace_reader *reader, const struct field_schema *field, const struct value *value, uint8_t *key)
{
	bool is_text = field->kind == VALUE_STR;
	const uint8_t *data =
	        is_text ? value->data : (const uint8_t *)text_str(&reader->bytes) + (uintptr_t)value->data;
	uint32_t prefix = field->kind == VALUE_BYTES || field->kind == VALUE_SOCKADDR ? 4 : 0;
	size_t room = field->size - prefix - is_text;
	uint32_t n = (uint32_t)(value->len < room ? value->len : room);
	memcpy(key + field->offset, &n, prefix);
	memcpy(key + field->offset + prefix, data, n);
}

static int read_key(struct trace_reader *reader, struct trace_aggregate *aggregate, struct json_object *by,
        uint8_t *key, struct err *err)
{
	const struct aggregate_schema *schema = aggregate->schema;
	uint64_t present = 0;
	text_reset(&reader->bytes);
	for (size_t i = 0; i < schema->nkeys; i++) {
		const struct field_schema *field = &schema->fields[i];
		struct json_object *from = NULL;
		struct value value;
		if (!json_object_object_get_ex(by, field->name, &from) ||
		        !trace_value_read(reader, field, &aggregate->now.columns[i].decoder, from, &value))
			return trace_bad(err, "the key '%s' is not what the trace's first line says", field->name);
		if (text_failed(&reader->bytes))
			return err_nomem(err);
		if (value.missing)
			continue;
		present |= 1ull << i;
		put_key(reader, field, &value, key);
	}
	memcpy(key, &present, sizeof(present));
	memcpy(key + aggregate->number_at, &aggregate->rows, sizeof(aggregate->rows));
	return 0;
}

/* The bar that begins there. */
static bool find_bar(const struct aggregate_schema *schema, struct json_object *object, int64_t *ret)
{
	int64_t most = schema->kind == AGGREGATE_HIST ? 64 : SPEC_MAX_BARS + 1, from = 0;
	struct json_object *member;
	if (!json_object_object_get_ex(object, "from", &member) || (member && !trace_integer(member, &from)))
		return false;
	for (int64_t bar = schema->kind == AGGREGATE_HIST ? -1 : 0; bar <= most; bar++) {
		struct bar_bounds bounds = bar_bounds(schema, bar);
		if (bounds.has_from != (member != NULL) || (member && bounds.from != from))
			continue;
		*ret = bar;
		return true;
	}
	return false;
}

static int add_bars(struct trace_aggregate *aggregate, struct json_object *object, uint8_t *key, struct err *err)
{
	struct json_object *list = trace_member(object, "bars", json_type_array);
	size_t n = list ? json_object_array_length(list) : 0;
	for (size_t i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		struct rille_row row = {0};
		uint64_t count;
		int64_t bar;
		if (n > SPEC_MAX_BARS + 2 || !trace_u64(one, "count", &count) ||
		        !find_bar(aggregate->schema, one, &bar))
			return trace_bad(err, "a bar that the histogram cannot have");
		row.count = count;
		memcpy(key + AGGREGATE_BAR_AT, &bar, sizeof(bar));
		if (aggregate_add(&aggregate->now, key, &row) < 0)
			return err_nomem(err);
	}
	return n ? 0 : trace_bad(err, "a histogram without bars");
}

static int add_row(struct trace_aggregate *aggregate, struct json_object *object, uint8_t *key, struct err *err)
{
	const char *member = aggregate->schema->kind == AGGREGATE_AVG ? "sum" : "value";
	struct json_object *from = NULL;
	uint64_t count;
	int64_t value;
	if (aggregate_has_bars(aggregate->schema))
		return add_bars(aggregate, object, key, err);
	if (!trace_u64(object, "count", &count) || !count || !json_object_object_get_ex(object, member, &from) ||
	        !trace_integer(from, &value))
		return trace_bad(err, "something counted, without count or %s", member);
	struct rille_row row = {count, (uint64_t)value};
	return aggregate_add(&aggregate->now, key, &row) < 0 ? err_nomem(err) : 0;
}

int trace_aggregate_read(struct trace_reader *reader, struct json_object *object, struct err *err)
{
	struct json_object *by = trace_member(object, "by", json_type_object);
	struct trace_aggregate *aggregate = NULL;
	int r = find(reader, object, &aggregate, err);
	if (!aggregate || r < 0)
		return r;
	if (!by || aggregate->rows++ >= aggregate->schema->max)
		return trace_bad(err, by ? "more rows than there is room for" : "a row without its keys");
	uint8_t *key = calloc(1, aggregate->schema->key_size);
	if (!key)
		return err_nomem(err);
	r = read_key(reader, aggregate, by, key, err);
	if (r == 0)
		r = add_row(aggregate, object, key, err);
	free(key);
	return r;
}

int trace_aggregate_end(
        struct trace_reader *reader, struct json_object *object, const struct trace_handler *handler, struct err *err)
{
	struct trace_aggregate *aggregate = NULL;
	int r = find(reader, object, &aggregate, err);
	if (!aggregate || r < 0)
		return r;
	uint64_t full = 0, missing = 0;
	trace_u64(object, "full", &full);
	trace_u64(object, "missing", &missing);
	aggregate->now.uncounted = (struct rille_uncounted){full, missing};
	trace_time(object, "time", &aggregate->now.wall_nsecs);
	r = aggregate_sort(&aggregate->now) < 0 ? err_nomem(err)
	                                        : handler->aggregate(handler->user, &aggregate->now, err);
	forget(aggregate);
	return r;
}
