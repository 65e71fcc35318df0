/* What a probe counts in the kernel:
 *
 *     count = true, count = { by = { "comm" } }
 *     sum = "ret", sum = { "ret", by = { "comm" }, as = "bytes", max = 10000 }      also avg, min, max, hist
 *     lhist = { "ret", 0, 4096, 512 }
 *
 * The keys are fields with other rules for names, and the value is one more behind them: the generator makes a small record
 * of both. */
#include "engine/script/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct shape shapes[AGGREGATE_KINDS] = {
        [AGGREGATE_COUNT] = {"count", " by max ", 0},
        [AGGREGATE_SUM] = {"sum", " by as max ", 1},
        [AGGREGATE_AVG] = {"avg", " by as max ", 1},
        [AGGREGATE_MIN] = {"min", " by as max ", 1},
        [AGGREGATE_MAX] = {"max", " by as max ", 1},
        [AGGREGATE_HIST] = {"hist", " by as max ", 1},
        [AGGREGATE_LHIST] = {"lhist", " by as max ", 4},
};
static const struct shape keys_shape = {"list of keys", " ", SIZE_MAX};

static int read_key(struct declare *d, int node, const struct table *list, struct spec_aggregate *aggregate)
{
	struct spec_field *key = spec_add_key(aggregate);
	int r = key ? declare_field(d, node, list, key) : err_nomem(d->err);
	return r < 0 ? r : spec_check_key(aggregate, key, d->err);
}

static int read_keys(struct declare *d, const struct table *owner, struct spec_aggregate *aggregate)
{
	struct table list;
	int node, r = 0;
	if (table_key(d, owner, "by", &node) != LUA_TNIL) {
		r = table_open(d, node, &keys_shape, owner, &list);
		size_t n = r == 0 ? lua_rawlen(d->L, list.idx) : 0;
		if (r == 0 && (n < 1 || n > SPEC_MAX_KEYS))
			r = err_at(d->err, table_place(d, node, owner), "bad-value", "`by` has 1 to %d keys",
			        SPEC_MAX_KEYS);
		for (size_t i = 1; i <= n && r == 0; i++) {
			r = table_element(d, &list, i, &node);
			if (r == 0)
				r = read_key(d, node, &list, aggregate);
			lua_pop(d->L, 1);
		}
	}
	lua_pop(d->L, 1);
	return r;
}

/* The expression on the top as the value. */
static int read_value(
        struct declare *d, int node, const struct table *near, const char *what, struct spec_aggregate *aggregate)
{
	struct spec_field *value = spec_add_key(aggregate);
	if (!value || !(value->name.text = strdup("value")))
		return err_nomem(d->err);
	int r = table_text(d, node, near, what, &value->expr);
	value->name.pos = value->expr.pos;
	return r;
}

static int read_integer(struct declare *d, const struct table *table, size_t i, int64_t *ret)
{
	int node, r = 0;
	table_item(d, table, i, &node);
	if (lua_isinteger(d->L, -1))
		*ret = lua_tointeger(d->L, -1);
	else
		r = table_bad_type(d, node, table, "lhist", "{ expression, from, to, step } with integers");
	lua_pop(d->L, 1);
	return r;
}

/* Behind the expression: from, to, step. */
static int read_bars(struct declare *d, const struct table *table, struct spec_aggregate *aggregate)
{
	int64_t *const numbers[] = {&aggregate->from, &aggregate->to, &aggregate->step};
	for (size_t i = 0; i < 3; i++) {
		int r = read_integer(d, table, i + 2, numbers[i]);
		if (r < 0)
			return r;
	}
	if (aggregate->to <= aggregate->from || aggregate->step < 1)
		return err_at(d->err, aggregate->pos, "bad-value",
		        "an lhist goes from a number to a larger one, in "
		        "steps of at least 1");
	uint64_t width = (uint64_t)aggregate->to - (uint64_t)aggregate->from;
	if ((width - 1) / (uint64_t)aggregate->step >= SPEC_MAX_BARS)
		return err_at(d->err, aggregate->pos, "bad-value", "an lhist has at most %d bars; this one has %llu",
		        SPEC_MAX_BARS, (unsigned long long)((width - 1) / (uint64_t)aggregate->step) + 1);
	return 0;
}

/* Without keys there is one entry, or one a bar. */
static int read_max(struct declare *d, const struct table *table, struct spec_aggregate *aggregate)
{
	int node, r = table_number(d, table, "max", SPEC_MAX_ENTRIES, &aggregate->max);
	if (r < 0 || !aggregate->max || aggregate->nfields)
		return r;
	table_key(d, table, "max", &node);
	lua_pop(d->L, 1);
	return err_at(d->err, table_place(d, node, table), "bad-value", "`max` is room for keys, and there is no `by`");
}

static int read_table(struct declare *d, int node, const struct table *owner, struct spec_aggregate *aggregate)
{
	const char *what = aggregate_kind_name(aggregate->kind);
	struct table table;
	int r = table_open(d, node, &shapes[aggregate->kind], owner, &table);
	if (r == 0)
		r = read_keys(d, &table, aggregate);
	if (r == 0)
		r = read_max(d, &table, aggregate);
	if (r < 0 || aggregate->kind == AGGREGATE_COUNT)
		return r;
	if (table_item(d, &table, 1, &node) == LUA_TNIL)
		r = err_at(d->err, aggregate->pos, "bad-value", "`%s` begins with an expression: { \"ret\", … }", what);
	else
		r = read_value(d, node, &table, what, aggregate);
	lua_pop(d->L, 1);
	if (r == 0)
		r = table_key_text(d, &table, "as", &aggregate->fields[aggregate->nfields - 1].as);
	return r == 0 && aggregate->kind == AGGREGATE_LHIST ? read_bars(d, &table, aggregate) : r;
}

/* What is on the top, at the kind's key. */
static int read_aggregate(struct declare *d, int node, const struct table *owner, struct spec_aggregate *aggregate)
{
	static const char *const wanted[AGGREGATE_KINDS] = {
	        [AGGREGATE_COUNT] = "true or a table", [AGGREGATE_LHIST] = "{ expression, from, to, step }"};
	const char *what = aggregate_kind_name(aggregate->kind);
	aggregate->pos = table_place(d, node, owner);
	if (lua_istable(d->L, -1))
		return read_table(d, node, owner, aggregate);
	if (aggregate->kind == AGGREGATE_COUNT && lua_isboolean(d->L, -1) && lua_toboolean(d->L, -1))
		return 0;
	if (!wanted[aggregate->kind] && lua_type(d->L, -1) == LUA_TSTRING)
		return read_value(d, node, owner, what, aggregate);
	return table_bad_type(
	        d, node, owner, what, wanted[aggregate->kind] ? wanted[aggregate->kind] : "an expression or a table");
}

static size_t count_aggregates(const struct spec *spec)
{
	size_t n = 0;
	for (size_t i = 0; i < spec->nprobes; i++)
		n += spec->probes[i].naggregates;
	return n;
}

int declare_aggregates(struct declare *d, const struct table *probe_table, struct spec_probe *probe)
{
	int node, r = 0;
	for (unsigned kind = 0; kind < AGGREGATE_KINDS && r == 0; kind++) {
		if (table_key(d, probe_table, aggregate_kind_name(kind), &node) != LUA_TNIL) {
			struct spec_aggregate *aggregate = spec_add_aggregate(probe);
			if (!aggregate)
				return err_nomem(d->err);
			aggregate->kind = kind;
			r = read_aggregate(d, node, probe_table, aggregate);
		}
		lua_pop(d->L, 1);
	}
	if (r == 0 && probe->naggregates && count_aggregates(d->script->spec) > SPEC_MAX_AGGREGATES)
		r = err_at(d->err, probe->pos, "too-many", "a script counts at most %d things", SPEC_MAX_AGGREGATES);
	return r;
}
