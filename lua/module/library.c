/* The table `rille`: what scripts find under that name, and `open`.
 *
 * frame, folded and top are written in Lua (lua/rille.lua) and are the same text that runs in scripts. */
#include "module.h"
#include "engine/base/embed.h"

#include <stdio.h>
#include <time.h>

#define UNSIGNED "rille.u64"

extern const struct embedded lua_files[];

/* --- u64: an integer that shows, and compares, as unsigned --- */

static uint64_t unsigned_at(lua_State *L, int idx)
{
	const uint64_t *big = compat_test(L, idx, UNSIGNED);
	return big ? *big : (uint64_t)integer_check(L, idx);
}

static int make_unsigned(lua_State *L)
{
	uint64_t value = unsigned_at(L, 1);
	uint64_t *big = lua_newuserdata(L, sizeof(*big));
	*big = value;
	compat_set_metatable(L, UNSIGNED);
	return 1;
}

static int unsigned_tostring(lua_State *L)
{
	char text[32];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)unsigned_at(L, 1));
	lua_pushstring(L, text);
	return 1;
}

static int unsigned_concat(lua_State *L)
{
	lua_settop(L, 2);
	compat_tostring(L, 1);
	compat_tostring(L, 2);
	lua_concat(L, 2);
	return 1;
}

static int unsigned_eq(lua_State *L)
{
	lua_pushboolean(L, unsigned_at(L, 1) == unsigned_at(L, 2));
	return 1;
}

static int unsigned_lt(lua_State *L)
{
	lua_pushboolean(L, unsigned_at(L, 1) < unsigned_at(L, 2));
	return 1;
}

static int unsigned_le(lua_State *L)
{
	lua_pushboolean(L, unsigned_at(L, 1) <= unsigned_at(L, 2));
	return 1;
}

/* --- functions --- */

/* rille.constant("AF_UNIX"): 1, or nil. */
static int find_constant(lua_State *L)
{
	int64_t value;
	if (rille_constant(luaL_checkstring(L, 1), &value) == 0)
		integer_push(L, value);
	else
		lua_pushnil(L);
	return 1;
}

/* rille.format(value, as): as a field with that `as` is shown. */
static int format_value(lua_State *L)
{
	char text[512];
	int64_t value = integer_check(L, 1);
	const char *as = luaL_checkstring(L, 2);
	int len = rille_format(value, as, text, sizeof(text));
	if (len < 0)
		return luaL_error(L, "there is no format '%s'", as);
	lua_pushlstring(L, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
	return 1;
}

/* rille.time(ev.time): "2026-11-23T20:33:37.123456789Z" */
static int format_time(lua_State *L)
{
	char date[64], text[96];
	struct tm tm;
	int64_t nsecs = integer_check(L, 1), rest = nsecs % 1000000000;
	time_t seconds = (time_t)(nsecs / 1000000000);
	if (rest < 0) {
		rest += 1000000000;
		seconds--;
	}
	if (!gmtime_r(&seconds, &tm) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm))
		return luaL_error(L, "not a time");
	snprintf(text, sizeof(text), "%s.%09dZ", date, (int)rest);
	lua_pushstring(L, text);
	return 1;
}

/* --- the table --- */

/* Runs the part in Lua, which adds to the table it is given (on the top). */
static void add_lua_part(lua_State *L)
{
	const struct embedded *file = lua_files;
	while (file->name && strcmp(file->name, "rille.lua") != 0)
		file++;
	if (luaL_loadbuffer(L, file->data, file->len, "=rille.lua") != 0)
		lua_error(L);
	lua_pushvalue(L, -2);
	lua_call(L, 1, 0);
}

static void open_unsigned(lua_State *L)
{
	static const luaL_Reg metamethods[] = {{"__tostring", unsigned_tostring}, {"__concat", unsigned_concat},
	        {"__eq", unsigned_eq}, {"__lt", unsigned_lt}, {"__le", unsigned_le}, {NULL, NULL}};
	luaL_newmetatable(L, UNSIGNED);
	compat_functions(L, metamethods);
	lua_pop(L, 1);
}

void library_open(lua_State *L)
{
	static const luaL_Reg functions[] = {{"open", engine_new}, {"u64", make_unsigned}, {"constant", find_constant},
	        {"format", format_value}, {"time", format_time}, {NULL, NULL}};
	open_unsigned(L);
	lua_newtable(L);
	compat_functions(L, functions);
	lua_pushstring(L, rille_version());
	lua_setfield(L, -2, "version");
	add_lua_part(L);
	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, LIBRARY);
}
