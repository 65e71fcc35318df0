/* A socket address as Lua sees it: a table with the keys that JSON lines use, which prints as the text output shows it.
 *
 * What an address holds was passed by the traced process and may be any bytes. `text` comes from the sinks' decoder and is
 * there for every address; the parts are there where the bytes are long enough for their family, and only those that
 * scripts compare: host and port of the internet families, the name of a Unix socket (its raw bytes). */
#include "engine/script/state.h"
#include "engine/out/sockaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESS "address"

static void set_host(lua_State *L, int family, const void *address, in_port_t port)
{
	char host[INET6_ADDRSTRLEN];
	lua_pushstring(L, inet_ntop(family, address, host, sizeof(host)));
	lua_setfield(L, -2, "address");
	lua_pushinteger(L, ntohs(port));
	lua_setfield(L, -2, "port");
}

/* unix(7): a path ends at its first zero byte or with the bytes; a leading zero byte makes the rest an abstract name. */
static void set_name(lua_State *L, const char *name, size_t len)
{
	if (len && !name[0]) {
		lua_pushlstring(L, name + 1, len - 1);
		lua_setfield(L, -2, "abstract");
	} else if (len) {
		lua_pushlstring(L, name, strnlen(name, len));
		lua_setfield(L, -2, "path");
	}
}

static void set_parts(lua_State *L, sa_family_t family, const uint8_t *data, size_t len)
{
	struct sockaddr_in in = {0};
	struct sockaddr_in6 in6 = {0};
	if (family == AF_INET && len >= offsetof(struct sockaddr_in, sin_zero)) {
		memcpy(&in, data, offsetof(struct sockaddr_in, sin_zero));
		set_host(L, AF_INET, &in.sin_addr, in.sin_port);
	} else if (family == AF_INET6 && len >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		memcpy(&in6, data, offsetof(struct sockaddr_in6, sin6_scope_id));
		set_host(L, AF_INET6, &in6.sin6_addr, in6.sin6_port);
	} else if (family == AF_UNIX) {
		set_name(L, (const char *)data + sizeof(family), len - sizeof(family));
	}
}

/* "AF_INET", as a field with as = "AF_" is shown. */
static void set_family(lua_State *L, sa_family_t family)
{
	library_format(L, family, "AF_");
	lua_setfield(L, -2, "family");
}

static int address_tostring(lua_State *L)
{
	lua_getfield(L, 1, "text");
	return 1;
}

static int address_concat(lua_State *L)
{
	lua_settop(L, 2);
	luaL_tolstring(L, 1, NULL);
	luaL_tolstring(L, 2, NULL);
	lua_concat(L, 2);
	return 1;
}

void address_push(lua_State *L, const uint8_t *data, size_t len)
{
	sa_family_t family;
	struct text *text = &script_of(L)->scratch;
	lua_createtable(L, 0, 4);
	text_reset(text);
	sockaddr_text(text, data, len);
	scratch_push(L);
	lua_setfield(L, -2, "text");
	if (len >= sizeof(family)) {
		memcpy(&family, data, sizeof(family));
		set_family(L, family);
		set_parts(L, family, data, len);
	}
	luaL_setmetatable(L, ADDRESS);
}

const char *address_text(lua_State *L, int idx, size_t *ret_len)
{
	bool is_address = false;
	idx = lua_absindex(L, idx);
	if (lua_istable(L, idx) && lua_getmetatable(L, idx)) {
		luaL_getmetatable(L, ADDRESS);
		is_address = lua_rawequal(L, -1, -2);
		lua_pop(L, 2);
	}
	if (!is_address)
		return NULL;
	lua_pushliteral(L, "text");
	lua_rawget(L, idx);
	const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, ret_len) : NULL;
	lua_pop(L, 1); /* the table keeps it */
	return text;
}

void address_open(lua_State *L)
{
	static const luaL_Reg methods[] = {
	        {"__tostring", address_tostring}, {"__concat", address_concat}, {NULL, NULL}};
	luaL_newmetatable(L, ADDRESS);
	luaL_setfuncs(L, methods, 0);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}
