/* What a probe counts in the kernel.
 *
 * The keys and the value are the fields of a small record, laid out and written by the code that does it for events
 * (gen_fields.c); its first bytes are the key of a map:
 *
 *     u64 present    which keys have a value
 *     s64 bar        only of a histogram: the entry is one bar, so that all entries are small and a map's size is what it holds
 *     the keys       without a byte that does not count: the room is zeroed before
 *     the value      behind the key
 *
 * All probes that one spec_probe is attached to count into one map. So its keys must have the same form in all of them; a
 * number may be of any width, since it takes 64 bits, but not now signed and now not. */
#include "engine/probe/gen_impl.h"
#include "engine/base/grow.h"
#include "bpf-templates/record.h"

#include <stdlib.h>
#include <string.h>

enum {
	DEFAULT_ENTRIES = 4096,
	MAX_KEY = 512, /* of the kernel */
	POWER_BARS = 66,
};

static struct aggregate_schema *find_schema(struct gen_result *ret, size_t spec_probe, enum aggregate_kind kind)
{
	for (size_t i = 0; i < ret->naggregates; i++)
		if (ret->aggregates[i].spec_probe == spec_probe && ret->aggregates[i].kind == kind)
			return &ret->aggregates[i];
	return NULL;
}

/* The bars that there can be, or 1. */
static uint32_t bars_of(const struct spec_aggregate *spec)
{
	if (spec->kind == AGGREGATE_HIST)
		return POWER_BARS;
	if (spec->kind != AGGREGATE_LHIST)
		return 1;
	uint64_t width = (uint64_t)spec->to - (uint64_t)spec->from;
	return (uint32_t)((width - 1) / (uint64_t)spec->step) + 3;
}

static bool is_wide_number(const struct field_schema *field)
{
	return field->kind == VALUE_UINT && field->width == 8;
}

static bool is_number(const struct field_schema *field)
{
	return field->kind == VALUE_INT || field->kind == VALUE_UINT || field->kind == VALUE_BOOL;
}

/* Whether the same bytes mean the same. Narrower unsigned numbers are exact as signed ones. */
static bool agree(const struct field_schema *a, const struct field_schema *b)
{
	if (is_number(a) && is_number(b))
		return is_wide_number(a) == is_wide_number(b);
	return a->kind == b->kind && a->size == b->size;
}

/* The keys as they are kept: numbers take 64 bits. */
static void widen(struct field_schema *field)
{
	if (field->kind == VALUE_BOOL || !is_number(field))
		return;
	field->kind = is_wide_number(field) ? VALUE_UINT : VALUE_INT;
	field->width = 8;
}

/* The schema that another probe of the glob has made. */
static int check_same(
        struct build *count, const struct aggregate_schema *schema, const struct spec_aggregate *spec, struct err *err)
{
	for (size_t i = 0; i < schema->nfields; i++)
		if (!agree(&schema->fields[i], &count->schema->fields[i]))
			return expr_error(&spec->fields[i].expr, 0, err, "type-mismatch",
			        "'%s' has another type in %s than in other probes that %s matches",
			        schema->fields[i].name, count->scope.probe, schema->on);
	return 0;
}

static int add_schema(struct build *b, struct build *count, const struct spec_aggregate *spec, struct err *err)
{
	struct gen_result *ret = b->gen->ret;
	size_t spec_probe = b->schema->spec_probe;
	if (grow(&ret->aggregates, &ret->aggregates_cap, ret->naggregates + 1, sizeof(*ret->aggregates)) < 0)
		return err_nomem(err);
	struct aggregate_schema *schema = &ret->aggregates[ret->naggregates];
	bool keyed = count->nkeys > 0;
	*schema = (struct aggregate_schema){.index = (uint32_t)ret->naggregates,
	        .spec_probe = spec_probe,
	        .on = b->spec->on.text,
	        .kind = spec->kind,
	        .fields = count->schema->fields,
	        .nfields = count->schema->nfields,
	        .nkeys = count->nkeys,
	        .of = spec->kind == AGGREGATE_COUNT ? NULL : spec->fields[count->nkeys].expr.text,
	        .key_size = count->size,
	        .max = keyed ? spec->max ? spec->max : DEFAULT_ENTRIES : bars_of(spec),
	        .from = spec->from,
	        .to = spec->to,
	        .step = spec->step};
	ret->naggregates++;
	count->schema->fields = NULL; /* the schema has them now */
	count->schema->nfields = 0;
	for (size_t i = 0; i < schema->nfields; i++) {
		const struct expr *root = count->trees[i].root;
		if (i < schema->nkeys && root->op == EXPR_BUILTIN && root->index == BUILTIN_PROBE)
			schema->probe_keys |= 1u << i;
		widen(&schema->fields[i]);
	}
	if (schema->nfields > schema->nkeys) {
		schema->is_signed = schema->fields[schema->nkeys].kind != VALUE_UINT;
		schema->key_size = schema->fields[schema->nkeys].offset;
	}
	text_printf(&b->gen->rows,
	        "struct {\n\tMAP_NUMBER(type, MAP_PERCPU_HASH);\n\tMAP_NUMBER(max_entries, %u);\n"
	        "\tMAP_NUMBER(key_size, %u);\n\tMAP_TYPE(value, struct rille_row);\n} rille_rows_%u "
	        "SEC(\".maps\");\n\n",
	        schema->max, schema->key_size, schema->index);
	if (schema->key_size <= MAX_KEY)
		return 0;
	int r = expr_error(&spec->fields[0].expr, 0, err, "key-too-big",
	        "the keys take %u bytes, and the kernel takes %d", schema->key_size, MAX_KEY);
	err_hint(err, "str(p, 100) is shorter; on_event can count by anything");
	return r;
}

/* Stacks are unwound in user space. */
static int refuse_stacks(const struct spec_aggregate *spec, size_t nkeys, struct err *err)
{
	for (size_t i = 0; i < nkeys; i++) {
		const char *expr = spec->fields[i].expr.text;
		if (strcmp(expr, "ustack") != 0 && strcmp(expr, "kstack") != 0)
			continue;
		int r = expr_error(&spec->fields[i].expr, 0, err, "not-in-kernel",
		        "stacks are not counted in the kernel, which does not know what is at their addresses");
		err_hint(err, "stack = \"%s\" and --top N count events by stack", *expr == 'u' ? "user" : "kernel");
		return r;
	}
	return 0;
}

/* From memory: what is learnt of it in tests is not learnt of what it was computed from, or the verifier would follow the rest
 * of the program for each outcome. */
#define VALUE "*(volatile u64 *)&rec->f_value"

static void emit_bar(struct text *out, const struct aggregate_schema *schema)
{
	char sign = schema->is_signed ? 's' : 'u';
	if (schema->kind == AGGREGATE_HIST)
		text_printf(out, "\t\t\t\trec->bar = power_bar_%c(" VALUE ");\n", sign);
	else
		text_printf(out, "\t\t\t\trec->bar = even_bar_%c(" VALUE ", %lldll, %lldll, %llu);\n", sign,
		        (long long)schema->from, (long long)schema->to, (unsigned long long)schema->step);
}

static void emit_update(struct text *out, const struct aggregate_schema *schema)
{
	static const char *const functions[AGGREGATE_KINDS] = {
	        "count_one", "count_sum", "count_sum", "count_min_", "count_max_", "count_one", "count_one"};
	bool extreme = schema->kind == AGGREGATE_MIN || schema->kind == AGGREGATE_MAX;
	bool valued = extreme || schema->kind == AGGREGATE_SUM || schema->kind == AGGREGATE_AVG;
	text_printf(out, "%s%s(&rille_rows_%u, rec, stats, %u", functions[schema->kind],
	        extreme ? schema->is_signed ? "s" : "u" : "", schema->index, schema->index);
	if (valued)
		text_adds(out, ", " VALUE);
	text_adds(out, ");\n");
}

static void emit_counting(struct build *b, const struct build *count, const struct aggregate_schema *schema, size_t n)
{
	struct text *out = &b->counting;
	text_printf(out,
	        "\t/* %s */\n\t{\n\t\tstruct rille_c" UNIT "_%zu *rec = scratch(%s);\n\t\tif (rec) {\n"
	        "\t\t\tu64 present = 0;\n\t\t\t__builtin_memset(rec, 0, %u);\n",
	        aggregate_kind_name(schema->kind), n, scratch_room(b), schema->key_size);
	text_addt(out, &count->late);
	text_printf(out, "\t\t\trec->present = present & 0x%x;\n", (1u << schema->nkeys) - 1);
	if (schema->nfields > schema->nkeys)
		text_printf(out, "\t\t\tif (!has%zu) {\n\t\t\t\tcount_missing(%u);\n\t\t\t} else {\n", schema->nkeys,
		        schema->index);
	else
		text_adds(out, "\t\t\t{\n");
	if (aggregate_has_bars(schema))
		emit_bar(out, schema);
	text_adds(out, "\t\t\t\t");
	emit_update(out, schema);
	text_adds(out, "\t\t\t}\n\t\t}\n\t}\n");
}

static void emit_struct(struct build *b, const struct build *count, const struct aggregate_schema *schema, size_t n)
{
	text_printf(&b->record, "struct rille_c" UNIT "_%zu {\n\tu64 present;\n%s", n,
	        aggregate_has_bars(schema) ? "\ts64 bar;\n" : "");
	text_addt(&b->record, &count->members);
	text_addt(&b->record, &count->temps);
	text_adds(&b->record, "};\n");
}

static int merge_entries(struct build *b, const struct build *count, struct err *err)
{
	size_t n = b->nentries + count->nentries;
	if (grow(&b->entries, &b->entries_cap, n, sizeof(*b->entries)) < 0)
		return err_nomem(err);
	for (size_t i = 0; i < count->nentries; i++)
		b->entries[b->nentries++] = count->entries[i];
	return 0;
}

/* What the code of the small record needs at the beginning of the probe's function. */
static int merge(struct build *b, const struct build *count, struct err *err)
{
	b->scope.nentries = count->scope.nentries;
	b->args_used |= count->args_used;
	b->args_used_entry |= count->args_used_entry;
	b->uses_comm |= count->uses_comm;
	b->uses_ret |= count->uses_ret;
	b->uses_state |= count->uses_state;
	b->uses_elapsed |= count->uses_elapsed;
	b->comm_entry |= count->comm_entry;
	b->branches = count->branches;
	return merge_entries(b, count, err);
}

static int build_count(struct build *b, size_t n, struct err *err)
{
	const struct spec_aggregate *spec = &b->spec->aggregates[n];
	struct build *count = &b->counts[n];
	struct spec_probe part = {
	        .on = b->spec->on, .fields = spec->fields, .nfields = spec->nfields, .at_entry = b->spec->at_entry};
	struct probe_schema schema = {.name = b->schema->name, .kind = b->schema->kind};
	bool bars = spec->kind == AGGREGATE_HIST || spec->kind == AGGREGATE_LHIST;
	*count = (struct build){.gen = b->gen,
	        .spec = &part,
	        .schema = &schema,
	        .format = b->format,
	        .scope = b->scope,
	        .branches = b->branches,
	        .is_key = true,
	        .nkeys = spec->kind == AGGREGATE_COUNT ? spec->nfields : spec->nfields - 1,
	        .size = bars ? 16 : 8};
	count->scope.counts = true;
	int r = refuse_stacks(spec, count->nkeys, err);
	if (r == 0)
		r = build_fields(count, err);
	struct aggregate_schema *known = find_schema(b->gen->ret, b->schema->spec_probe, spec->kind);
	if (r == 0)
		r = known ? check_same(count, known, spec, err) : add_schema(b, count, spec, err);
	if (r == 0)
		r = merge(b, count, err);
	known = find_schema(b->gen->ret, b->schema->spec_probe, spec->kind);
	if (r == 0 && known) {
		emit_struct(b, count, known, n);
		emit_counting(b, count, known, n);
	}
	for (size_t i = 0; i < schema.nfields; i++)
		free(schema.fields[i].name);
	free(schema.fields);
	count->spec = NULL; /* they were of this function */
	count->schema = NULL;
	return r;
}

int build_aggregates(struct build *b, struct err *err)
{
	int r = 0;
	if (!b->spec->naggregates)
		return 0;
	b->counts = calloc(b->spec->naggregates, sizeof(*b->counts));
	if (!b->counts)
		return err_nomem(err);
	b->ncounts = b->spec->naggregates;
	for (size_t i = 0; i < b->ncounts && r == 0; i++)
		r = build_count(b, i, err);
	return r;
}
