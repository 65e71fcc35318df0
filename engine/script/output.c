/* `out`: where callbacks put things. A userdata without content, so that a script cannot change its methods. */
#include "engine/script/state.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CELLS = 64 };

/* A sink's failure ends the trace; the session has noted why. The callback goes on, and the code is returned after it.
 */
static void note(struct script *script, int code)
{
	if (code < 0 && !script->failure)
		script->failure = code;
}

/* out:emit(ev): to every output, as without a callback. */
static int output_emit(lua_State *L)
{
	struct script *script = script_of(L);
	struct event *event = view_check(L, 2);
	script->emitted = true;
	note(script, session_emit_event(script->session, event));
	return 0;
}

/* The value on the top as a cell; its text stays owned by Lua. */
static void read_cell(lua_State *L, struct cell *cell)
{
	const uint64_t *big;
	const char *address;
	size_t len;
	switch (lua_type(L, -1)) {
	case LUA_TNIL:
		cell->kind = CELL_NULL;
		return;
	case LUA_TBOOLEAN:
		cell->kind = CELL_BOOL;
		cell->b = lua_toboolean(L, -1);
		return;
	case LUA_TNUMBER:
		cell->kind = lua_isinteger(L, -1) ? CELL_INT : CELL_NUMBER;
		if (cell->kind == CELL_INT)
			cell->i = lua_tointeger(L, -1);
		else
			cell->n = lua_tonumber(L, -1);
		return;
	case LUA_TSTRING:
		cell->kind = CELL_TEXT;
		cell->text.data = lua_tolstring(L, -1, &cell->text.len);
		return;
	default:
		break;
	}
	if ((big = library_unsigned(L, -1))) {
		cell->kind = CELL_UINT;
		cell->u = *big;
	} else if ((address = address_text(L, -1, &len))) {
		cell->kind = CELL_TEXT;
		cell->text.data = address;
		cell->text.len = len;
	} else {
		sandbox_raise(L, "row: column '%s' is a %s; a row holds strings, numbers and booleans", cell->name,
		        luaL_typename(L, -1));
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct cell *)a)->name, ((const struct cell *)b)->name);
}

/* { name = value, … }: in order of name, since a table has no order. */
static size_t read_named(lua_State *L, struct cell *cells)
{
	size_t n = 0;
	for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
		if (n == MOST_CELLS)
			sandbox_raise(L, "row: more than %d columns", MOST_CELLS);
		if (lua_type(L, -2) != LUA_TSTRING)
			sandbox_raise(L, "row: columns have names, this one is a %s", luaL_typename(L, -2));
		cells[n].name = lua_tostring(L, -2);
		read_cell(L, &cells[n++]);
	}
	qsort(cells, n, sizeof(*cells), by_name);
	return n;
}

/* { { name, value }, … }: in that order. */
static size_t read_ordered(lua_State *L, struct cell *cells)
{
	size_t n = lua_rawlen(L, 2);
	if (n > MOST_CELLS)
		sandbox_raise(L, "row: more than %d columns", MOST_CELLS);
	for (size_t i = 0; i < n; i++) {
		if (lua_rawgeti(L, 2, (lua_Integer)i + 1) != LUA_TTABLE || lua_rawgeti(L, -1, 1) != LUA_TSTRING)
			sandbox_raise(L, "row: column %d is not { name, value }", (int)i + 1);
		cells[i].name = lua_tostring(L, -1);
		lua_pop(L, 1);
		lua_rawgeti(L, -1, 2);
		read_cell(L, &cells[i]);
		lua_pop(L, 2);
	}
	return n;
}

static int output_row(lua_State *L)
{
	struct cell cells[MOST_CELLS];
	struct script *script = script_of(L);
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	size_t n = lua_rawlen(L, 2) ? read_ordered(L, cells) : read_named(L, cells);
	if (n)
		note(script, session_emit_row(script->session, cells, n));
	return 0;
}

/* The arguments from `first` on as one line, each as tostring() gives it, with tabs between. Pushed. */
static void push_line(lua_State *L, int first)
{
	luaL_Buffer buffer;
	int n = lua_gettop(L);
	luaL_buffinit(L, &buffer);
	for (int i = first; i <= n; i++) {
		if (i > first)
			luaL_addchar(&buffer, '\t');
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&buffer);
	}
	luaL_addchar(&buffer, '\n');
	luaL_pushresult(&buffer);
}

static int print_from(lua_State *L, int first)
{
	struct script *script = script_of(L);
	size_t len;
	push_line(L, first);
	const char *line = lua_tolstring(L, -1, &len);
	if (script->running)
		note(script, session_print(script->session, line, len));
	else /* there is no output yet */
		log_info(&script->logger, "%.*s", (int)len - 1, line);
	return 0;
}

static int output_print(lua_State *L)
{
	luaL_checkany(L, 1);
	return print_from(L, 2);
}

static int global_print(lua_State *L)
{
	return print_from(L, 1);
}

/* out:aggregates(): what probes count, as of now, to every output. */
static int output_aggregates(lua_State *L)
{
	struct script *script = script_of(L);
	struct err err = {0};
	sandbox_charge(L, 1000 * (1 + session_aggregate_count(script->session)));
	int r = session_emit_aggregates(script->session, &err);
	if (r < 0 && err.code)
		sandbox_raise(L, "%s", err.message);
	note(script, r);
	return 0;
}

/* out:stop([reason]): ends the trace after this round of events. */
static int output_stop(lua_State *L)
{
	struct script *script = script_of(L);
	session_end(script->session, luaL_optstring(L, 2, "stopped by the script"));
	return 0;
}

void output_open(lua_State *L)
{
	static const luaL_Reg methods[] = {{"emit", output_emit}, {"row", output_row}, {"print", output_print},
	        {"aggregates", output_aggregates}, {"stop", output_stop}, {NULL, NULL}};
	struct script *script = script_of(L);
	lua_newuserdatauv(L, 1, 0);
	lua_createtable(L, 0, 3);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pushliteral(L, "out");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	script->output = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_newtable(L);
	script->stacks = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pushcfunction(L, global_print);
	lua_setglobal(L, "print");
}
