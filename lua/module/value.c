/* Values that are tables: socket addresses and stacks, with the keys that they have in scripts and in JSON lines. */
#include "module.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#define ADDRESS "rille.address"

/* --- addresses --- */

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

static void set_parts(lua_State *L, sa_family_t family, const char *data, size_t len)
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
		set_name(L, data + sizeof(family), len - sizeof(family));
	}
}

void value_push_address(lua_State *L, const void *address, size_t len, const char *text, size_t text_len)
{
	sa_family_t family;
	lua_createtable(L, 0, 4);
	lua_pushlstring(L, text, text_len);
	lua_setfield(L, -2, "text");
	if (len >= sizeof(family)) {
		char name[64];
		memcpy(&family, address, sizeof(family));
		if (rille_format(family, "AF_", name, sizeof(name)) > 0) {
			lua_pushstring(L, name);
			lua_setfield(L, -2, "family");
		}
		set_parts(L, family, address, len);
	}
	compat_set_metatable(L, ADDRESS);
}

static int address_tostring(lua_State *L)
{
	lua_getfield(L, 1, "text");
	return 1;
}

static int address_concat(lua_State *L)
{
	lua_settop(L, 2);
	compat_tostring(L, 1);
	compat_tostring(L, 2);
	lua_concat(L, 2);
	return 1;
}

/* --- stacks --- */

static void set_text(lua_State *L, const char *key, const char *value)
{
	if (!value)
		return;
	lua_pushstring(L, value);
	lua_setfield(L, -2, key);
}

static void push_frame(lua_State *L, const struct rille_frame *frame)
{
	lua_createtable(L, 0, 8);
	set_text(L, "kind", frame->kind);
	set_text(L, "name", frame->name);
	set_text(L, "signature", frame->signature);
	set_text(L, "module", frame->module);
	set_text(L, "build_id", frame->build_id);
	set_text(L, "file", frame->file);
	set_text(L, "tier", frame->tier);
	set_text(L, "how", frame->how);
	integer_push_unsigned(L, frame->address);
	lua_setfield(L, -2, "address");
	if (frame->name || frame->module) {
		integer_push_unsigned(L, frame->offset);
		lua_setfield(L, -2, "offset");
	}
	if (frame->line > 0) {
		lua_pushinteger(L, frame->line);
		lua_setfield(L, -2, "line");
	}
	if (frame->inlined) {
		lua_pushboolean(L, 1);
		lua_setfield(L, -2, "inlined");
	}
}

void value_push_stack(lua_State *L, const struct rille_stack *stack)
{
	lua_createtable(L, (int)stack->nframes, 1);
	for (size_t i = 0; i < stack->nframes; i++) {
		push_frame(L, &stack->frames[i]);
		lua_rawseti(L, -2, (int)i + 1);
	}
	integer_push_unsigned(L, stack->site);
	lua_setfield(L, -2, "site");
}

/* Through rille.frame(), which is written in Lua. */
int value_show_stack(lua_State *L)
{
	luaL_Buffer text;
	int stack = lua_gettop(L), n = (int)compat_length(L, stack);
	lua_getfield(L, LUA_REGISTRYINDEX, LIBRARY);
	lua_getfield(L, -1, "frame");
	luaL_buffinit(L, &text);
	for (int i = 1; i <= n; i++) {
		luaL_addstring(&text, "    ");
		lua_pushvalue(L, stack + 2);
		lua_rawgeti(L, stack, i);
		lua_call(L, 1, 1);
		luaL_addvalue(&text);
		luaL_addchar(&text, '\n');
	}
	luaL_pushresult(&text);
	return 1;
}

void value_open(lua_State *L)
{
	static const luaL_Reg metamethods[] = {
	        {"__tostring", address_tostring}, {"__concat", address_concat}, {NULL, NULL}};
	luaL_newmetatable(L, ADDRESS);
	compat_functions(L, metamethods);
	lua_pop(L, 1);
}
