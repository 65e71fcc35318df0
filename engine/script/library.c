/* The table `rille`: what callbacks need beside Lua's own library. The part in Lua is lua/rille.lua.
 *
 * Lua's integers are signed. A u64 above 2^63 is exact in one, but prints as a negative number; rille.u64(n) makes a
 * value that prints, and is written into rows, as what it is. */
#include "engine/script/state.h"
#include "engine/base/embed.h"
#include "engine/out/timestamp.h"
#include "engine/probe/catalog.h"
#include "engine/probe/decode.h"

#include <string.h>

#define UNSIGNED "u64"
#define DECODER "decoder"
#define FORMAT "rille.format"

extern const struct embedded lua_files[];

/* --- u64 --- */

const uint64_t *library_unsigned(lua_State *L, int idx)
{
	return luaL_testudata(L, idx, UNSIGNED);
}

static int make_unsigned(lua_State *L)
{
	uint64_t v = (uint64_t)luaL_checkinteger(L, 1);
	uint64_t *big = lua_newuserdatauv(L, sizeof(*big), 0);
	*big = v;
	luaL_setmetatable(L, UNSIGNED);
	return 1;
}

void scratch_push(lua_State *L)
{
	const struct text *text = &script_of(L)->scratch;
	if (text_failed(text))
		sandbox_raise(L, "not enough memory");
	lua_pushlstring(L, text_str(text), text->len);
}

static int unsigned_tostring(lua_State *L)
{
	const uint64_t *big = luaL_checkudata(L, 1, UNSIGNED);
	struct text *text = &script_of(L)->scratch;
	text_reset(text);
	text_addu(text, *big);
	scratch_push(L);
	return 1;
}

static int unsigned_concat(lua_State *L)
{
	lua_settop(L, 2);
	luaL_tolstring(L, 1, NULL);
	luaL_tolstring(L, 2, NULL);
	lua_concat(L, 2);
	return 1;
}

/* Either side may be a plain integer, which is then read as unsigned. */
static uint64_t unsigned_arg(lua_State *L, int idx)
{
	const uint64_t *big = library_unsigned(L, idx);
	return big ? *big : (uint64_t)luaL_checkinteger(L, idx);
}

static int unsigned_eq(lua_State *L)
{
	lua_pushboolean(L, unsigned_arg(L, 1) == unsigned_arg(L, 2));
	return 1;
}

static int unsigned_lt(lua_State *L)
{
	lua_pushboolean(L, unsigned_arg(L, 1) < unsigned_arg(L, 2));
	return 1;
}

static int unsigned_le(lua_State *L)
{
	lua_pushboolean(L, unsigned_arg(L, 1) <= unsigned_arg(L, 2));
	return 1;
}

static void open_unsigned(lua_State *L)
{
	static const luaL_Reg methods[] = {{"__tostring", unsigned_tostring}, {"__concat", unsigned_concat},
	        {"__eq", unsigned_eq}, {"__lt", unsigned_lt}, {"__le", unsigned_le}, {NULL, NULL}};
	luaL_newmetatable(L, UNSIGNED);
	luaL_setfuncs(L, methods, 0);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

/* --- values as text --- */

/* A decoder in Lua's memory, so that it goes when Lua does. */
static int decoder_gc(lua_State *L)
{
	decoder_fini(luaL_checkudata(L, 1, DECODER));
	return 0;
}

static struct decoder *make_decoder(lua_State *L, const char *as)
{
	struct field_schema field = {.kind = VALUE_INT, .width = 8};
	struct err err = {0};
	if (decode_format(as, &field.format, field.prefix, &err) < 0)
		sandbox_raise(L, "%s%s%s", err.message, err.hint[0] ? "; " : "", err.hint);
	struct decoder *decoder = lua_newuserdatauv(L, sizeof(*decoder), 0);
	memset(decoder, 0, sizeof(*decoder)); /* born empty: decoder_fini is fine from here on */
	luaL_setmetatable(L, DECODER);
	if (decoder_init(decoder, &field, NULL) < 0)
		sandbox_raise(L, "not enough memory");
	return decoder;
}

/* rille.format(value, as): as a field with that `as` is shown. Upvalue 1 keeps the decoders by name. */
static int format_value(lua_State *L)
{
	lua_Integer value = luaL_checkinteger(L, 1);
	const char *as = luaL_checkstring(L, 2);
	struct decoder *decoder;
	if (lua_getfield(L, lua_upvalueindex(1), as) == LUA_TUSERDATA) {
		decoder = lua_touserdata(L, -1);
	} else {
		decoder = make_decoder(L, as);
		lua_setfield(L, lua_upvalueindex(1), as);
	}
	struct text *text = &script_of(L)->scratch;
	text_reset(text);
	decode(decoder, value, text);
	scratch_push(L);
	return 1;
}

/* rille.constant("AF_UNIX"): 1, or nil. */
static int find_constant(lua_State *L)
{
	const struct constant *constant = constant_find(luaL_checkstring(L, 1));
	if (constant)
		lua_pushinteger(L, constant->value);
	else
		lua_pushnil(L);
	return 1;
}

/* rille.time(ev.time): "2026-11-23T20:33:37.123456789Z" */
static int format_time(lua_State *L)
{
	struct timestamp stamp = {0};
	lua_Integer ns = luaL_checkinteger(L, 1);
	struct text *text = &script_of(L)->scratch;
	text_reset(text);
	timestamp_iso(&stamp, text, ns);
	scratch_push(L);
	return 1;
}

/* --- the table --- */

/* Runs the part in Lua, which adds to the table it is given (on the top). */
static void add_lua_part(lua_State *L)
{
	const struct embedded *file = lua_files;
	while (file->name && strcmp(file->name, "rille.lua") != 0)
		file++;
	if (luaL_loadbufferx(L, file->data, file->len, "=rille.lua", "t") != LUA_OK)
		lua_error(L);
	lua_pushvalue(L, -2);
	lua_call(L, 1, 0);
}

void library_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
	        {"u64", make_unsigned}, {"constant", find_constant}, {"time", format_time}, {NULL, NULL}};
	open_unsigned(L);
	luaL_newmetatable(L, DECODER);
	lua_pushcfunction(L, decoder_gc);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
	luaL_newlib(L, functions);
	lua_pushliteral(L, RILLE_VERSION);
	lua_setfield(L, -2, "version");
	lua_newtable(L);
	lua_pushcclosure(L, format_value, 1);
	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, FORMAT);
	lua_setfield(L, -2, "format");
	add_lua_part(L);
	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, "rille");
	lua_setglobal(L, "rille");
}

void library_format(lua_State *L, lua_Integer value, const char *as)
{
	lua_getfield(L, LUA_REGISTRYINDEX, FORMAT); /* a script may have changed its table */
	lua_pushinteger(L, value);
	lua_pushstring(L, as);
	lua_call(L, 2, 1);
}

void library_push(lua_State *L)
{
	lua_getfield(L, LUA_REGISTRYINDEX, "rille");
}
