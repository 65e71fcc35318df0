/* What was counted as JSON lines: a record a row, all with the same `time`, and one that ends them. */
#include "engine/out/aggregate.h"
#include "engine/out/timestamp.h"
#include "engine/out/value.h"

#include <string.h>

static void add_keys(struct text *out, const struct aggregate_row *row)
{
	const struct aggregate *aggregate = row->of;
	text_adds(out, ",\"by\":{");
	for (size_t i = 0; i < aggregate->schema->nkeys; i++) {
		struct value value = aggregate_row_key(row, i);
		text_adds(out, i ? ",\"" : "\"");
		text_adds(out, aggregate->schema->fields[i].name);
		text_adds(out, "\":");
		value_json(out, &aggregate->columns[i], &value);
	}
	text_addc(out, '}');
}

static void add_bound(struct text *out, const struct aggregate *aggregate, const char *key, bool has, int64_t bound)
{
	text_adds(out, key);
	if (has)
		aggregate_value_number(out, aggregate, bound);
	else
		text_adds(out, "null");
}

static void add_bars(struct text *out, const struct aggregate_row *row)
{
	text_adds(out, ",\"bars\":[");
	for (size_t i = 0; i < row->nbars; i++) {
		struct bar_bounds bounds = bar_bounds(row->of->schema, row->bars[i].bar);
		add_bound(out, row->of, i ? ",{\"from\":" : "{\"from\":", bounds.has_from, bounds.from);
		add_bound(out, row->of, ",\"to\":", bounds.has_to, bounds.to);
		text_adds(out, ",\"count\":");
		text_addu(out, row->bars[i].count);
		text_addc(out, '}');
	}
	text_addc(out, ']');
}

static void add_head(struct text *out, const struct aggregate *aggregate, struct timestamp *stamp, const char *type)
{
	const struct aggregate_schema *schema = aggregate->schema;
	text_adds(out, "{\"type\":\"");
	text_adds(out, type);
	text_adds(out, "\",\"probe\":");
	text_add_json_string(out, schema->on);
	text_printf(out, ",\"number\":%zu,\"kind\":\"%s\",\"of\":", schema->spec_probe + 1,
	        aggregate_kind_name(schema->kind));
	text_add_json_string(out, schema->of);
	text_adds(out, ",\"time\":\"");
	timestamp_iso(stamp, out, aggregate->wall_nsecs);
	text_addc(out, '"');
}

static void add_row(struct text *out, const struct aggregate_row *row, struct timestamp *stamp)
{
	const struct aggregate *aggregate = row->of;
	add_head(out, aggregate, stamp, "aggregate");
	add_keys(out, row);
	text_adds(out, ",\"count\":");
	text_addu(out, row->count);
	if (aggregate_has_bars(aggregate->schema)) {
		add_bars(out, row);
	} else {
		text_adds(out, ",\"value\":");
		aggregate_value_number(out, aggregate, aggregate_row_value(row));
	}
	if (aggregate->schema->kind == AGGREGATE_AVG) {
		text_adds(out, ",\"sum\":");
		aggregate_value_number(out, aggregate, (int64_t)row->value);
	}
	text_adds(out, "}\n");
}

void aggregate_json(struct text *out, const struct aggregate *aggregate, struct timestamp *stamp)
{
	for (size_t i = 0; i < aggregate->n; i++)
		add_row(out, aggregate->list[i], stamp);
	add_head(out, aggregate, stamp, "aggregate_end");
	text_printf(out, ",\"rows\":%zu,\"full\":%llu,\"missing\":%llu}\n", aggregate->n,
	        (unsigned long long)aggregate->uncounted.full, (unsigned long long)aggregate->uncounted.missing);
}

static void add_as(struct text *out, const struct field_schema *field)
{
	const char *as = format_name(field->format, field->prefix);
	if (!as)
		return;
	text_adds(out, ",\"as\":");
	text_add_json_string(out, as);
}

/* The name of a probe is text. */
static void add_key_meta(struct text *out, const struct aggregate_schema *schema, size_t i)
{
	enum { PROBE_BYTES = 256 };
	const struct field_schema *field = &schema->fields[i];
	bool is_probe = schema->probe_keys >> i & 1;
	text_printf(out, "{\"name\":\"%s\",\"kind\":\"%s\",\"bytes\":%u", field->name,
	        value_kind_name(is_probe ? VALUE_STR : field->kind), is_probe ? PROBE_BYTES : field->size);
	add_as(out, field);
	text_addc(out, '}');
}

void aggregate_meta_json(struct text *out, const struct aggregate_schema *schema)
{
	text_adds(out, "{\"probe\":");
	text_add_json_string(out, schema->on);
	text_printf(out, ",\"number\":%zu,\"kind\":\"%s\",\"of\":", schema->spec_probe + 1,
	        aggregate_kind_name(schema->kind));
	text_add_json_string(out, schema->of);
	text_printf(out, ",\"signed\":%s", schema->is_signed ? "true" : "false");
	if (schema->nfields > schema->nkeys)
		add_as(out, &schema->fields[schema->nkeys]);
	if (schema->kind == AGGREGATE_LHIST)
		text_printf(out, ",\"from\":%lld,\"to\":%lld,\"step\":%lld", (long long)schema->from,
		        (long long)schema->to, (long long)schema->step);
	text_printf(out, ",\"max\":%u,\"by\":[", schema->max);
	for (size_t i = 0; i < schema->nkeys; i++) {
		text_adds(out, i ? "," : "");
		add_key_meta(out, schema, i);
	}
	text_adds(out, "]}");
}
