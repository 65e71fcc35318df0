/* The declare phase's second half: the table that a script returned, checked whole and turned into a struct spec.
 *
 * Nothing is silently ignored (table.c). What the strings mean (probe names, expressions, decoders) is not judged here but
 * by the generator, which is why each string takes its place in the source along.
 *
 * Everything here runs under one protected call. Lua may raise at any allocation; memory of ours is attached to the
 * spec or the script before the next call into Lua, so that a raise leaks nothing. */
#include "engine/script/table.h"

#include <errno.h>

static const struct shape script_shape = {
        "script", " summary params probes on_start on_event on_exec on_exit on_lost on_end every ", 0};
static const struct shape every_shape = {"every", " ", 2};

/* every = { seconds, function(out) … end } */
static int read_every(struct declare *d, const struct table *script)
{
	struct script_callbacks *callbacks = &d->script->callbacks;
	struct table table;
	int node, r;
	if (table_key(d, script, "every", &node) == LUA_TNIL)
		return 0;
	r = table_open(d, node, &every_shape, script, &table);
	if (r < 0)
		return r;
	if (table_item(d, &table, 1, &node) != LUA_TNUMBER)
		return table_bad_type(d, node, &table, "every", "{ seconds, function }");
	callbacks->every_seconds = lua_tonumber(d->L, -1);
	if (!(callbacks->every_seconds >= 0.01 && callbacks->every_seconds <= 86400 * 365))
		return err_at(d->err, table_place(d, node, &table), "bad-value",
		        "`every` is at least 0.01 seconds, and at most a year");
	if (table_item(d, &table, 2, &node) != LUA_TFUNCTION)
		return table_bad_type(d, node, &table, "every", "{ seconds, function }");
	callbacks->every.ref = luaL_ref(d->L, LUA_REGISTRYINDEX);
	return 0;
}

static int read_callbacks(struct declare *d, const struct table *script)
{
	struct script_callbacks *callbacks = &d->script->callbacks;
	struct {
		const char *key;
		struct script_function *function;
	} list[] = {{"on_start", &callbacks->on_start}, {"on_event", &callbacks->on_event},
	        {"on_exec", &callbacks->on_exec}, {"on_exit", &callbacks->on_exit}, {"on_lost", &callbacks->on_lost},
	        {"on_end", &callbacks->on_end}};
	int r = 0;
	for (size_t i = 0; i < sizeof(list) / sizeof(*list) && r == 0; i++)
		r = table_function(d, script, list[i].key, list[i].function);
	return r < 0 ? r : read_every(d, script);
}

int declare_table(struct script *script, struct err *err)
{
	lua_State *L = script->box.L;
	struct declare d = {.L = L, .script = script, .locator = script->sources[0]->locator, .err = err};
	struct table table;
	int root = locate_root(d.locator), base = lua_gettop(L), r;
	if (!lua_istable(L, -1)) {
		r = err_at(err, locate_return(d.locator), "bad-script", "a script returns a table, this one returns %s",
		        lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1));
		err_hint(err, "return { probes = { { \"syscall:bind\", fields = { \"fd\", \"ret\" } } } }");
		return r;
	}
	r = table_open(&d, root, &script_shape, NULL, &table);
	if (r == 0)
		r = table_key_plain(&d, &table, "summary", &script->spec->summary);
	if (r == 0)
		r = declare_params(&d, &table);
	lua_settop(L, base);
	if (r == 0)
		r = read_callbacks(&d, &table);
	lua_settop(L, base);
	return r < 0 ? r : declare_probes(&d, &table);
}
