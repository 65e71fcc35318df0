/* Lua 5.4's C interface, and what of it LuaJIT does not have: LuaJIT's is that of Lua 5.1.
 *
 * Only functions of 5.1 are called, so that PUC's Lua 5.1, which finds the module on the same path as LuaJIT, can load
 * it and be told why it cannot use it. */
#ifndef RILLE_LUA_COMPAT_H
#define RILLE_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <string.h>

#if LUA_VERSION_NUM >= 504

static inline void *compat_userdata(lua_State *L, size_t size)
{
	return lua_newuserdatauv(L, size, 1);
}

/* A userdata without slots. */
static inline void *compat_bytes(lua_State *L, size_t size)
{
	return lua_newuserdatauv(L, size, 0);
}

/* Gives the userdata at `idx` the table on the top, which is popped. */
static inline void compat_set_slots(lua_State *L, int idx)
{
	lua_setiuservalue(L, idx, 1);
}

static inline void compat_get_slots(lua_State *L, int idx)
{
	lua_getiuservalue(L, idx, 1);
}

static inline int compat_absolute(lua_State *L, int idx)
{
	return lua_absindex(L, idx);
}

static inline size_t compat_length(lua_State *L, int idx)
{
	return lua_rawlen(L, idx);
}

#else

static inline void *compat_userdata(lua_State *L, size_t size)
{
	return lua_newuserdata(L, size);
}

static inline void *compat_bytes(lua_State *L, size_t size)
{
	return lua_newuserdata(L, size);
}

static inline void compat_set_slots(lua_State *L, int idx)
{
	lua_setfenv(L, idx);
}

static inline void compat_get_slots(lua_State *L, int idx)
{
	lua_getfenv(L, idx);
}

static inline int compat_absolute(lua_State *L, int idx)
{
	return idx > 0 || idx <= LUA_REGISTRYINDEX ? idx : lua_gettop(L) + idx + 1;
}

static inline size_t compat_length(lua_State *L, int idx)
{
	return lua_objlen(L, idx);
}

#endif

/* Fills the table on the top. */
static inline void compat_functions(lua_State *L, const luaL_Reg *functions)
{
	for (; functions->name; functions++) {
		lua_pushcfunction(L, functions->func);
		lua_setfield(L, -2, functions->name);
	}
}

static inline void compat_set_metatable(lua_State *L, const char *type)
{
	luaL_getmetatable(L, type);
	lua_setmetatable(L, -2);
}

/* The userdata of that type at `idx`, or NULL. */
static inline void *compat_test(lua_State *L, int idx, const char *type)
{
	void *it = lua_touserdata(L, idx);
	if (!it || !lua_getmetatable(L, idx))
		return NULL;
	luaL_getmetatable(L, type);
	bool same = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return same ? it : NULL;
}

/* Pushes tostring(value at idx). */
static inline void compat_tostring(lua_State *L, int idx)
{
	idx = compat_absolute(L, idx);
	lua_getglobal(L, "tostring");
	lua_pushvalue(L, idx);
	lua_call(L, 1, 1);
}

#endif
