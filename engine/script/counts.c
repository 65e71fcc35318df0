/* rille.pairs() and rille.clear(): what probes count, for callbacks.
 *
 * All rows are put into a list before the first is handed out: what is read from the kernel is there until it is read again, and
 * a callback may do that in the middle of a loop. */
#include "engine/script/state.h"
#include "engine/base/nearest.h"
#include "engine/out/aggregate.h"

#include <string.h>

enum { COST_READ = 1000, COST_ROW = 20 }; /* in instructions */

static bool is_probe(lua_State *L, const struct aggregate_schema *schema)
{
	if (lua_type(L, 1) == LUA_TSTRING)
		return strcmp(lua_tostring(L, 1), schema->on) == 0;
	return (size_t)lua_tointeger(L, 1) == schema->spec_probe + 1;
}

/* The probe that was asked for does not count so: says what does. */
_Noreturn static void not_counted(lua_State *L, const char *what)
{
	struct script *script = script_of(L);
	const char *kind = lua_tostring(L, 2), *typed = luaL_tolstring(L, 1, NULL);
	struct nearest nearest;
	bool known = false;
	nearest_init(&nearest, typed);
	for (size_t i = 0; i < session_aggregate_count(script->session); i++) {
		const struct aggregate_schema *schema = session_aggregate_schema(script->session, i);
		known |= is_probe(L, schema);
		nearest_offer(&nearest, schema->on);
	}
	if (known && kind)
		sandbox_raise(L, "%s: %s has no '%s'", what, typed, kind);
	if (known)
		sandbox_raise(L, "%s: %s counts several things: say which, %s(%s, \"count\")", what, typed, what,
		        lua_type(L, 1) == LUA_TSTRING ? "name" : typed);
	if (nearest.best && lua_type(L, 1) == LUA_TSTRING)
		sandbox_raise(L, "%s: no probe '%s' counts anything; did you mean '%s'?", what, typed, nearest.best);
	sandbox_raise(L, "%s: no probe %s counts anything", what, typed);
}

/* The arguments (probe, kind): its number. */
static size_t find_aggregate(lua_State *L, const char *what)
{
	struct script *script = script_of(L);
	if (!script->running)
		sandbox_raise(L, "%s: only callbacks can ask for what is counted", what);
	if (lua_type(L, 1) != LUA_TSTRING)
		luaL_checkinteger(L, 1);
	const char *kind = luaL_optstring(L, 2, NULL);
	lua_settop(L, 2);
	size_t found = 0, n = 0;
	for (size_t i = 0; i < session_aggregate_count(script->session); i++) {
		const struct aggregate_schema *schema = session_aggregate_schema(script->session, i);
		if (!is_probe(L, schema) || (kind && strcmp(kind, aggregate_kind_name(schema->kind)) != 0))
			continue;
		found = n++ ? found : i;
	}
	if (n == 0 || (n > 1 && !kind))
		not_counted(L, what);
	return found;
}

static void push_keys(lua_State *L, const struct aggregate_row *row)
{
	const struct aggregate_schema *schema = row->of->schema;
	lua_createtable(L, 0, (int)schema->nkeys);
	for (size_t i = 0; i < schema->nkeys; i++) {
		struct value value = aggregate_row_key(row, i);
		value_push(L, &value);
		lua_setfield(L, -2, schema->fields[i].name);
	}
}

static void set_bound(lua_State *L, const char *key, bool has, int64_t bound)
{
	if (!has)
		return;
	lua_pushinteger(L, bound);
	lua_setfield(L, -2, key);
}

static void push_bars(lua_State *L, const struct aggregate_row *row)
{
	lua_createtable(L, (int)row->nbars, 0);
	for (size_t i = 0; i < row->nbars; i++) {
		struct bar_bounds bounds = bar_bounds(row->of->schema, row->bars[i].bar);
		lua_createtable(L, 0, 3);
		set_bound(L, "from", bounds.has_from, bounds.from);
		set_bound(L, "to", bounds.has_to, bounds.to);
		set_bound(L, "count", true, (int64_t)row->bars[i].count);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static void push_row_value(lua_State *L, const struct aggregate_row *row)
{
	const struct aggregate_schema *schema = row->of->schema;
	if (aggregate_has_bars(schema))
		push_bars(L, row);
	else if (schema->kind != AGGREGATE_AVG)
		lua_pushinteger(L, aggregate_row_value(row));
	else if (schema->is_signed)
		lua_pushnumber(L, (lua_Number)(int64_t)row->value / (lua_Number)row->count);
	else
		lua_pushnumber(L, (lua_Number)row->value / (lua_Number)row->count);
}

/* Upvalues: the rows, flat, and how many of their values have been handed out. */
static int next_row(lua_State *L)
{
	lua_Integer at = lua_tointeger(L, lua_upvalueindex(2));
	for (lua_Integer i = 1; i <= 3; i++)
		lua_rawgeti(L, lua_upvalueindex(1), at + i);
	lua_pushinteger(L, at + 3);
	lua_replace(L, lua_upvalueindex(2));
	return 3;
}

/* rille.pairs(probe, kind): an iterator over keys, value, count; the largest first. */
static int iterate(lua_State *L)
{
	struct script *script = script_of(L);
	const struct aggregate *aggregate;
	struct err err = {0};
	size_t found = find_aggregate(L, "rille.pairs");
	sandbox_charge(L, COST_READ);
	if (session_aggregate(script->session, found, &aggregate, &err) < 0)
		sandbox_raise(L, "%s", err.message);
	sandbox_charge(L, COST_ROW * aggregate->n);
	lua_newtable(L);
	for (size_t i = 0; i < aggregate->n; i++) {
		const struct aggregate_row *row = aggregate->list[i];
		push_keys(L, row);
		lua_rawseti(L, -2, (lua_Integer)i * 3 + 1);
		push_row_value(L, row);
		lua_rawseti(L, -2, (lua_Integer)i * 3 + 2);
		lua_pushinteger(L, (lua_Integer)row->count);
		lua_rawseti(L, -2, (lua_Integer)i * 3 + 3);
	}
	lua_pushinteger(L, 0);
	lua_pushcclosure(L, next_row, 2);
	return 1;
}

/* rille.clear(probe, kind): counts from here on. */
static int clear(lua_State *L)
{
	struct err err = {0};
	size_t found = find_aggregate(L, "rille.clear");
	sandbox_charge(L, 2 * COST_READ);
	if (session_aggregate_clear(script_of(L)->session, found, &err) < 0)
		sandbox_raise(L, "rille.clear: %s", err.message);
	return 0;
}

void counts_functions(lua_State *L)
{
	static const luaL_Reg functions[] = {{"pairs", iterate}, {"clear", clear}, {NULL, NULL}};
	library_push(L);
	luaL_setfuncs(L, functions, 0);
	lua_pop(L, 1);
}
