/* Reading a record by its schema.
 *
 * The record comes from our own program, but its length comes through a shared ring: every access is checked against
 * the size that the ring gave, and a text or a length inside the record against the room of its field. What does not
 * fit is missing, not an error: the rest of the event is still true.
 *
 * An array whose elements can fail one by one (the inodes of two descriptors, of which one was closed meanwhile) is
 * followed by one u64: bit i says that element i has a value. */
#include "engine/probe/schema.h"
#include "bpf-templates/record.h"

#include <stdlib.h>
#include <string.h>

const char *value_kind_name(unsigned kind)
{
	static const char *const names[] = {[VALUE_INT] = "int",
	        [VALUE_UINT] = "uint",
	        [VALUE_BOOL] = "bool",
	        [VALUE_STR] = "text",
	        [VALUE_BYTES] = "bytes",
	        [VALUE_SOCKADDR] = "sockaddr"};
	return kind < sizeof(names) / sizeof(*names) ? names[kind] : NULL;
}

void probe_schema_fini(struct probe_schema *schema)
{
	if (!schema)
		return;
	for (size_t i = 0; i < schema->nfields; i++)
		free(schema->fields[i].name);
	free(schema->fields);
	free(schema->name);
	free(schema->category);
	free(schema->event);
	memset(schema, 0, sizeof(*schema));
}

void aggregate_schema_fini(struct aggregate_schema *schema)
{
	for (size_t i = 0; i < schema->nfields; i++)
		free(schema->fields[i].name);
	free(schema->fields);
	memset(schema, 0, sizeof(*schema));
}

bool aggregate_has_bars(const struct aggregate_schema *schema)
{
	return schema->kind == AGGREGATE_HIST || schema->kind == AGGREGATE_LHIST;
}

static struct bar_bounds power_bounds(int64_t bar)
{
	if (bar < 0)
		return (struct bar_bounds){.has_to = true};
	if (bar == 0)
		return (struct bar_bounds){.has_from = true, .has_to = true, .to = 1};
	struct bar_bounds bounds = {.has_from = true, .from = (int64_t)(1ULL << ((bar - 1) & 63)), .has_to = bar < 64};
	bounds.to = bounds.has_to ? (int64_t)(1ULL << bar) : 0;
	return bounds;
}

struct bar_bounds bar_bounds(const struct aggregate_schema *schema, int64_t bar)
{
	if (schema->kind == AGGREGATE_HIST)
		return power_bounds(bar);
	if (bar <= 0)
		return (struct bar_bounds){.has_to = true, .to = schema->from};
	uint64_t width = (uint64_t)schema->to - (uint64_t)schema->from;
	uint64_t step = (uint64_t)schema->step, most = (width - 1) / step + 1;
	if ((uint64_t)bar > most)
		return (struct bar_bounds){.has_from = true, .from = schema->to};
	uint64_t from = (uint64_t)schema->from + ((uint64_t)bar - 1) * step;
	return (struct bar_bounds){.has_from = true,
	        .from = (int64_t)from,
	        .has_to = true,
	        .to = (uint64_t)bar == most ? schema->to : (int64_t)(from + step)};
}

/* Text ends at its NUL, or with its room if the NUL is not there. */
static void set_text(struct value *value, const uint8_t *at, uint32_t room)
{
	value->data = at;
	value->len = strnlen((const char *)at, room);
}

static void set_bytes(struct value *value, const uint8_t *at, uint32_t room)
{
	uint32_t len;
	if (room < sizeof(len)) {
		value->missing = true;
		return;
	}
	memcpy(&len, at, sizeof(len));
	value->data = at + sizeof(len);
	value->len = len < room - sizeof(len) ? len : room - sizeof(len);
}

static void set_integers(struct value *value, const uint8_t *at, const struct field_schema *field)
{
	size_t n = field->count ? field->count : 1;
	value->data = at;
	value->len = n * field->width;
	value->elements = ~0ULL;
	if (field->element_bits)
		memcpy(&value->elements, at + field->size - sizeof(uint64_t), sizeof(uint64_t));
	value->missing = value->missing || value->len > field->size || (field->varies && !value->elements);
	if (field->varies && !value->missing) {
		unsigned last = 63 - (unsigned)__builtin_clzll(value->elements);
		value->count = last < n ? (uint16_t)(last + 1) : value->count;
	}
}

static struct value field_value(const struct field_schema *field, const void *record, size_t size, bool is_present)
{
	struct value value = {.missing = true, .kind = field->kind, .count = field->count, .width = field->width};
	if (field->offset > size || field->size > size - field->offset)
		return value;
	value.missing = !is_present;
	const uint8_t *at = (const uint8_t *)record + field->offset;
	if (field->kind == VALUE_STR)
		set_text(&value, at, field->size);
	else if (field->kind == VALUE_BYTES || field->kind == VALUE_SOCKADDR)
		set_bytes(&value, at, field->size);
	else
		set_integers(&value, at, field);
	return value;
}

struct value schema_value(const struct probe_schema *schema, const struct rille_record *record, size_t size, size_t i)
{
	if (i >= schema->nfields)
		return (struct value){.missing = true};
	bool present = size >= sizeof(*record) && i < 64 && record->present >> i & 1;
	return field_value(&schema->fields[i], record, size < sizeof(*record) ? 0 : size, present);
}

struct value aggregate_key(const struct aggregate_schema *schema, const uint8_t *key, size_t i)
{
	uint64_t present;
	memcpy(&present, key, sizeof(present));
	return field_value(&schema->fields[i], key, schema->key_size, present >> i & 1);
}

bool value_has(const struct value *value, size_t i)
{
	return !value->missing && i < (value->count ? value->count : 1u) && (i >= 64 || value->elements >> i & 1);
}

/* Both machines are little-endian. A copy of a width that the compiler knows is one instruction. */
static int64_t load(const uint8_t *at, unsigned width, bool is_signed)
{
	uint64_t v = 0;
	switch (width) {
	case 8:
		memcpy(&v, at, 8);
		break;
	case 4:
		memcpy(&v, at, 4);
		break;
	case 2:
		memcpy(&v, at, 2);
		break;
	case 1:
		v = *at;
		break;
	default:
		return 0;
	}
	unsigned shift = 64 - 8 * width;
	return is_signed ? (int64_t)(v << shift) >> shift : (int64_t)v;
}

int64_t value_int(const struct value *value, size_t i)
{
	if (!value->data || (i + 1) * value->width > value->len)
		return 0;
	return load(value->data + i * value->width, value->width, value->kind == VALUE_INT);
}

bool schema_number(
        const struct probe_schema *schema, const struct rille_record *record, size_t size, size_t i, int64_t *ret)
{
	const struct field_schema *field = &schema->fields[i];
	if (i >= 64 || !(record->present >> i & 1) || field->offset > size || field->size > size - field->offset ||
	        field->width > field->size)
		return false;
	*ret = load((const uint8_t *)record + field->offset, field->width, field->kind == VALUE_INT);
	return true;
}
