/* 64-bit integers.
 *
 * In Lua 5.4 an integer is one of 64 bits; what is unsigned above 2^63 is exact but negative, as in scripts, and
 * rille.u64() shows it as what it is.
 *
 * LuaJIT's numbers are doubles: exact up to 2^53 and printed with 14 digits. An integer below 10^14 is a number, so that
 * it can be a key of a table and be given to any function; from there on it is an int64_t or uint64_t of the FFI, which
 * compares and computes with numbers and prints all its digits. The FFI has no C interface, so three small functions in Lua do the conversions, through a userdata of eight bytes. */
#include "module.h"

#include <stdio.h>
#include <stdlib.h>

#define TOOLS "rille.integers"

#if LUA_VERSION_NUM >= 504

void integer_open(lua_State *L)
{
}

void integer_push(lua_State *L, int64_t value)
{
	lua_pushinteger(L, value);
}

void integer_push_unsigned(lua_State *L, uint64_t value)
{
	lua_pushinteger(L, (lua_Integer)value);
}

bool integer_read(lua_State *L, int idx, int64_t *ret)
{
	int is_integer = 0;
	if (lua_type(L, idx) == LUA_TNUMBER)
		*ret = lua_tointegerx(L, idx, &is_integer);
	return is_integer;
}

#else

enum { TYPE_CDATA = 10, SIGNED = 1, UNSIGNED, READ, BOX };

static const char tools[] = "local found, ffi = pcall(require, 'ffi')\n"
                            "if not found then return end\n"
                            "local i64, u64 = ffi.typeof('int64_t *'), ffi.typeof('uint64_t *')\n"
                            "local is = ffi.istype\n"
                            "return function(box) return ffi.cast(i64, box)[0] end,\n"
                            "  function(box) return ffi.cast(u64, box)[0] end,\n"
                            "  function(box, value)\n"
                            "    if not (is('int64_t', value) or is('uint64_t', value)) then return false end\n"
                            "    ffi.cast(i64, box)[0] = value\n"
                            "    return true\n"
                            "  end\n";

void integer_open(lua_State *L)
{
	lua_createtable(L, BOX, 0);
	if (luaL_loadbuffer(L, tools, sizeof(tools) - 1, "=rille") != 0)
		lua_error(L);
	lua_call(L, 0, READ);
	if (lua_isnil(L, -1))
		luaL_error(L, "the module rille needs Lua 5.4, or LuaJIT with its FFI");
	for (int i = READ; i >= SIGNED; i--)
		lua_rawseti(L, -1 - i, i);
	lua_newuserdata(L, sizeof(int64_t));
	lua_rawseti(L, -2, BOX);
	lua_setfield(L, LUA_REGISTRYINDEX, TOOLS);
}

/* Pushes the tool and the box. */
static void *push_tool(lua_State *L, int which)
{
	lua_getfield(L, LUA_REGISTRYINDEX, TOOLS);
	lua_rawgeti(L, -1, which);
	lua_rawgeti(L, -2, BOX);
	lua_remove(L, -3);
	return lua_touserdata(L, -1);
}

static const int64_t EXACT = (int64_t)1 << 53, SHOWN = 100000000000000;

void integer_push(lua_State *L, int64_t value)
{
	if (value > -SHOWN && value < SHOWN) {
		lua_pushnumber(L, (lua_Number)value);
		return;
	}
	memcpy(push_tool(L, SIGNED), &value, sizeof(value));
	lua_call(L, 1, 1);
}

void integer_push_unsigned(lua_State *L, uint64_t value)
{
	if (value < (uint64_t)SHOWN) {
		lua_pushnumber(L, (lua_Number)value);
		return;
	}
	memcpy(push_tool(L, UNSIGNED), &value, sizeof(value));
	lua_call(L, 1, 1);
}

static bool read_cdata(lua_State *L, int idx, int64_t *ret)
{
	idx = compat_absolute(L, idx);
	void *box = push_tool(L, READ);
	lua_pushvalue(L, idx);
	lua_call(L, 2, 1);
	bool is_integer = lua_toboolean(L, -1);
	lua_pop(L, 1);
	if (is_integer)
		memcpy(ret, box, sizeof(*ret));
	return is_integer;
}

bool integer_read(lua_State *L, int idx, int64_t *ret)
{
	if (lua_type(L, idx) == TYPE_CDATA)
		return read_cdata(L, idx, ret);
	lua_Number value = lua_type(L, idx) == LUA_TNUMBER ? lua_tonumber(L, idx) : 0.5;
	if (!(value >= -(lua_Number)EXACT && value <= (lua_Number)EXACT))
		return false; /* a double beyond may stand for several integers */
	*ret = (int64_t)value;
	return (lua_Number)*ret == value;
}

#endif

int64_t integer_check(lua_State *L, int idx)
{
	int64_t value = 0;
	if (!integer_read(L, idx, &value)) {
		lua_pushfstring(L, "integer expected, got %s",
		        lua_type(L, idx) == LUA_TNUMBER ? "a number that is none, or not an exact one"
		                                        : luaL_typename(L, idx));
		luaL_argerror(L, idx, lua_tostring(L, -1));
	}
	return value;
}

bool integer_text(lua_State *L, int idx)
{
	int64_t value = 0;
	char text[32];
	if (!integer_read(L, idx, &value))
		return false;
	int len = snprintf(text, sizeof(text), "%lld", (long long)value);
#if LUA_VERSION_NUM < 504
	/* A uint64_t prints as what it is: "18446744073709551615ULL". */
	if (lua_type(L, idx) == TYPE_CDATA) {
		compat_tostring(L, idx);
		const char *shown = lua_tostring(L, -1);
		len = shown ? (int)strspn(shown, "-0123456789") : 0;
		snprintf(text, sizeof(text), "%.*s", len, shown ? shown : "");
		lua_pop(L, 1);
	}
#endif
	lua_pushlstring(L, text, (size_t)len);
	return true;
}
