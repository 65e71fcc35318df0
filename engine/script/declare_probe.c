/* Probes: what to attach to, which events to keep, what to record, and whom to call. */
#include "engine/script/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct shape probe_shape = {
        "probe", " where fields stack on_event at optional count sum avg min max hist lhist ", 1};
static const struct shape probes_shape = {"list of probes", " ", SIZE_MAX};
static const struct shape stack_shape = {"stack", " user kernel depth max_bytes unwind ", 0};

/* --- stacks --- */

static int read_side(struct declare *d, int node, const struct table *owner, struct spec_stack *stack)
{
	struct spec_text text = {0};
	int r = table_text(d, node, owner, "stack", &text);
	if (r == 0)
		r = spec_read_sides(&text, &stack->sides, d->err);
	free(text.text);
	return r;
}

static int read_unwind(struct declare *d, const struct table *table)
{
	struct spec_text text = {0};
	int r = table_key_text(d, table, "unwind", &text);
	if (r == 0 && text.text && strcmp(text.text, "auto") != 0)
		r = err_at(d->err, text.pos, "bad-value", "`unwind` is \"auto\", not \"%s\"", text.text);
	free(text.text);
	return r;
}

static int read_stack_table(struct declare *d, int node, const struct table *owner, struct spec_stack *stack)
{
	struct table table;
	int r = table_open(d, node, &stack_shape, owner, &table);
	if (r == 0)
		r = table_flag(d, &table, "user", STACK_USER, &stack->sides);
	if (r == 0)
		r = table_flag(d, &table, "kernel", STACK_KERNEL, &stack->sides);
	if (r == 0)
		r = table_number(d, &table, "depth", SPEC_MAX_DEPTH, &stack->depth);
	if (r == 0)
		r = table_number(d, &table, "max_bytes", SPEC_MAX_STACK, &stack->max_bytes);
	return r < 0 ? r : read_unwind(d, &table);
}

static int read_stack(struct declare *d, const struct table *owner, struct spec_stack *stack)
{
	int node, type = table_key(d, owner, "stack", &node), r = 0;
	if (type == LUA_TSTRING)
		r = read_side(d, node, owner, stack);
	else if (type == LUA_TTABLE)
		r = read_stack_table(d, node, owner, stack);
	else if (type != LUA_TNIL)
		r = table_bad_type(d, node, owner, "stack", "a string or a table");
	lua_pop(d->L, 1);
	return r;
}

/* --- probes --- */

static int read_moment(struct declare *d, const struct table *table, struct spec_probe *probe)
{
	struct spec_text text = {0};
	int r = table_key_text(d, table, "at", &text);
	if (r == 0 && text.text)
		r = spec_read_moment(&text, probe, d->err);
	free(text.text);
	return r;
}

static int read_optional(struct declare *d, const struct table *table, struct spec_probe *probe)
{
	unsigned flags = 0;
	int r = table_flag(d, table, "optional", 1, &flags);
	probe->optional = flags != 0;
	return r;
}

/* The probe on the top. */
static int read_probe(struct declare *d, int node, const struct table *list, size_t i)
{
	struct table table;
	int at, r = table_open(d, node, &probe_shape, list, &table);
	if (r < 0)
		return r;
	struct spec_probe *probe = &d->script->spec->probes[i];
	struct script_probe *mine = &d->script->probes[i];
	probe->pos = table_place(d, node, list);
	if (table_item(d, &table, 1, &at) == LUA_TNIL)
		return err_at(d->err, probe->pos, "bad-probe", "a probe begins with its name: { \"syscall:bind\", … }");
	r = table_text(d, at, &table, "probe", &probe->on);
	lua_pop(d->L, 1);
	if (r == 0)
		r = read_moment(d, &table, probe);
	if (r == 0)
		r = read_optional(d, &table, probe);
	if (r == 0)
		r = table_key_text(d, &table, "where", &probe->where);
	if (r == 0)
		r = declare_fields(d, &table, probe);
	if (r == 0)
		r = read_stack(d, &table, &probe->stack);
	if (r == 0)
		r = declare_aggregates(d, &table, probe);
	struct script_function own = {.ref = LUA_NOREF};
	if (r == 0)
		r = table_function(d, &table, "on_event", &own);
	probe->silent = probe->naggregates && !probe->nfields && !probe->stack.sides && own.ref == LUA_NOREF;
	mine->on_event = own.ref != LUA_NOREF ? own : d->script->callbacks.on_event;
	probe->has_callback = mine->on_event.ref != LUA_NOREF;
	return r;
}

static int make_probes(struct declare *d, size_t n)
{
	d->script->probes = calloc(n, sizeof(*d->script->probes));
	if (!d->script->probes)
		return err_nomem(d->err);
	for (size_t i = 0; i < n; i++) {
		d->script->probes[i].on_event.ref = LUA_NOREF;
		if (!spec_add_probe(d->script->spec))
			return err_nomem(d->err);
	}
	return 0;
}

int declare_probes(struct declare *d, const struct table *script)
{
	struct table list;
	int node, r;
	if (table_key(d, script, "probes", &node) == LUA_TNIL)
		return err_at(d->err, table_place(d, LOCATE_NONE, script), "bad-script",
		        "a script needs `probes`, a list of what to trace");
	r = table_open(d, node, &probes_shape, script, &list);
	size_t n = r == 0 ? lua_rawlen(d->L, list.idx) : 0;
	if (r == 0 && (n == 0 || n > SPEC_MAX_PROBES))
		r = err_at(d->err, table_place(d, node, script), "bad-script",
		        "`probes` has %zu probes; it may have 1 to %d", n, SPEC_MAX_PROBES);
	if (r == 0)
		r = make_probes(d, n);
	for (size_t i = 1; i <= n && r == 0; i++) {
		r = table_element(d, &list, i, &node);
		if (r == 0)
			r = read_probe(d, node, &list, i - 1);
		lua_settop(d->L, list.idx);
	}
	return r;
}
