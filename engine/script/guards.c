/* Functions of Lua's library that a script could use to run without end, replaced by ones that cannot.
 *
 * Two ways lead around the hook that counts instructions (sandbox.c). A C function that loops on its own calls no hook:
 * table.move, insert, remove, sort and concat walk a length that a metatable's __len may claim to be 2^62; here they
 * charge what they are about to walk, and then do what they always did. And Lua switches hooks off for some code of the
 * script's:
 *
 * - finalizers, so setmetatable refuses __gc;
 * - the message handler of an error that the hook itself raised, so xpcall here calls its handler after the stack is
 *   unwound, which differs only for a handler that looks at the stack, and scripts have no `debug` to do that with;
 * - to-be-closed variables of a coroutine that the hook has stopped, so coroutine.wrap and close here leave the pending
 *   variables of a coroutine that failed alone. */
#include "engine/script/sandbox.h"

#include <lauxlib.h>
#include <lualib.h>

/* --- metatables --- */

/* setmetatable, without __gc. */
static int guarded_setmetatable(lua_State *L)
{
	int type = lua_type(L, 2);
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "cannot change a protected metatable");
	if (type == LUA_TTABLE && (lua_pushliteral(L, "__gc"), lua_rawget(L, 2) != LUA_TNIL))
		return luaL_error(L, "__gc is not available to scripts");
	lua_settop(L, 2);
	lua_setmetatable(L, 1);
	return 1;
}

/* --- tables --- */

static int call_original(lua_State *L)
{
	int n = lua_gettop(L);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, n, LUA_MULTRET);
	return lua_gettop(L);
}

/* The table's length. A __len could say something else when the original asks again, so it is refused. */
static lua_Unsigned plain_len(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	if (luaL_getmetafield(L, 1, "__len") != LUA_TNIL)
		sandbox_raise(L, "tables with __len are not available to this function");
	return lua_rawlen(L, 1);
}

static void charge_range(lua_State *L, lua_Integer from, lua_Integer to)
{
	if (from <= to)
		sandbox_charge(L, (lua_Unsigned)to - (lua_Unsigned)from);
}

/* A position means that all behind it moves. */
static int guarded_shift(lua_State *L, int args_with_position)
{
	lua_Unsigned n = plain_len(L);
	if (lua_gettop(L) == args_with_position && lua_isinteger(L, 2))
		charge_range(L, lua_tointeger(L, 2), (lua_Integer)n);
	return call_original(L);
}

static int guarded_insert(lua_State *L)
{
	return guarded_shift(L, 3);
}

static int guarded_remove(lua_State *L)
{
	return guarded_shift(L, 2);
}

/* The strings of a list are compared from their beginning each time, so their length counts. A comparing function that is C
 * would be called without a look at the budget. */
static int guarded_sort(lua_State *L)
{
	lua_Unsigned n = plain_len(L), bytes = 0;
	if (lua_iscfunction(L, 2))
		return luaL_argerror(L, 2, "a function written in Lua is needed here");
	sandbox_charge(L, 8 * n);
	for (lua_Unsigned i = 1; i <= n; i++) {
		if (lua_rawgeti(L, 1, (lua_Integer)i) == LUA_TSTRING)
			bytes += lua_rawlen(L, -1);
		lua_pop(L, 1);
	}
	sandbox_charge(L, bytes);
	return call_original(L);
}

static int guarded_move(lua_State *L)
{
	charge_range(L, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
	return call_original(L);
}

static int guarded_concat(lua_State *L)
{
	lua_Integer n = (lua_Integer)plain_len(L);
	charge_range(L, luaL_optinteger(L, 3, 1), luaL_optinteger(L, 4, n));
	return call_original(L);
}

/* Replaces field `name` of the table on the top by fn, with the old value as its upvalue. */
static void wrap(lua_State *L, const char *name, lua_CFunction fn)
{
	lua_getfield(L, -1, name);
	lua_pushcclosure(L, fn, 1);
	lua_setfield(L, -2, name);
}

/* --- errors --- */

/* After the call, or after the resume that ended it. The stack: f, handler, true, and results or the error. */
static int finish_xpcall(lua_State *L, int status, lua_KContext context)
{
	if (status == LUA_OK || status == LUA_YIELD)
		return lua_gettop(L) - 2;
	lua_pushvalue(L, 2);
	lua_insert(L, -2);
	lua_pcall(L, 1, 1, 0); /* if the handler fails, too, its error is the result */
	lua_pushboolean(L, 0);
	lua_replace(L, 3);
	return 2;
}

/* xpcall(f, handler, …) */
static int guarded_xpcall(lua_State *L)
{
	int n = lua_gettop(L);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_pushboolean(L, 1);
	lua_pushvalue(L, 1);
	lua_rotate(L, 3, 2);
	return finish_xpcall(L, lua_pcallk(L, n - 2, LUA_MULTRET, 0, 0, finish_xpcall), 0);
}

/* --- coroutines --- */

/* Moves the top n values from one thread to the other. */
static void move_values(lua_State *from, lua_State *to, int n, const char *what)
{
	if (!lua_checkstack(to, n + 1))
		sandbox_raise(from, "too many %s of a coroutine", what);
	lua_xmove(from, to, n);
}

/* What coroutine.wrap returns; upvalue 1: the coroutine. */
static int resume_wrapped(lua_State *L)
{
	lua_State *co = lua_tothread(L, lua_upvalueindex(1));
	int n;
	int nargs = lua_gettop(L);
	move_values(L, co, nargs, "arguments");
	int status = lua_resume(co, L, nargs, &n);
	if (status == LUA_OK || status == LUA_YIELD) {
		if (!lua_checkstack(L, n + 1))
			return luaL_error(L, "too many results of a coroutine");
		lua_xmove(co, L, n);
		return n;
	}
	lua_xmove(co, L, 1);
	return lua_error(L);
}

static int guarded_wrap(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_State *co = lua_newthread(L);
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	lua_pushcclosure(L, resume_wrapped, 1);
	return 1;
}

/* coroutine.close(co): of one that failed, only says so. */
static int guarded_close(lua_State *L)
{
	lua_State *co = lua_tothread(L, 1);
	luaL_argexpected(L, co, 1, "coroutine");
	if (lua_status(co) == LUA_OK || lua_status(co) == LUA_YIELD)
		return call_original(L);
	lua_pushboolean(L, 0);
	if (lua_gettop(co) == 0)
		return 1;
	lua_pushvalue(co, -1);
	lua_xmove(co, L, 1);
	return 2;
}

void sandbox_open_guards(lua_State *L)
{
	static const luaL_Reg base[] = {
	        {"setmetatable", guarded_setmetatable}, {"xpcall", guarded_xpcall}, {NULL, NULL}};
	lua_pushglobaltable(L);
	luaL_setfuncs(L, base, 0);
	lua_getglobal(L, LUA_TABLIBNAME);
	wrap(L, "insert", guarded_insert);
	wrap(L, "remove", guarded_remove);
	wrap(L, "sort", guarded_sort);
	wrap(L, "move", guarded_move);
	wrap(L, "concat", guarded_concat);
	lua_getglobal(L, LUA_COLIBNAME);
	wrap(L, "close", guarded_close);
	wrap(L, "wrap", guarded_wrap);
	lua_pop(L, 3);
}
