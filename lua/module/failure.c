/* The library's errors, raised as tables.
 *
 * They are raised and not returned: an attach that failed unnoticed would be a program that waits for events which never
 * come. The table has what struct rille_error has; tostring() gives the text that the command prints, which is also what
 * Lua's own interpreters show for an error that nobody caught. */
#include "module.h"

#include <string.h>

#define FAILURE "rille.error"

static int failure_tostring(lua_State *L)
{
	lua_getfield(L, 1, "formatted");
	return 1;
}

void failure_open(lua_State *L)
{
	luaL_newmetatable(L, FAILURE);
	lua_pushcfunction(L, failure_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pushliteral(L, FAILURE);
	lua_setfield(L, -2, "__name");
	lua_pop(L, 1);
}

static void set_text(lua_State *L, const char *key, const char *value)
{
	size_t len = value ? strlen(value) : 0;
	while (len && value[len - 1] == '\n')
		len--;
	if (!len)
		return;
	lua_pushlstring(L, value, len);
	lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const char *key, int value)
{
	if (!value)
		return;
	lua_pushinteger(L, value);
	lua_setfield(L, -2, key);
}

static const char *class_name(int class)
{
	switch (class) {
	case RILLE_SCRIPT:
		return "script";
	case RILLE_PERMISSION:
		return "permission";
	case RILLE_KERNEL:
		return "kernel";
	default:
		return "runtime";
	}
}

static int raise(lua_State *L, const struct rille_error *error)
{
	lua_createtable(L, 0, 9);
	set_number(L, "code", error->code);
	set_text(L, "class", class_name(error->error_class));
	set_text(L, "tag", error->tag);
	set_text(L, "file", error->file);
	set_number(L, "line", (int)error->line);
	set_number(L, "col", (int)error->col);
	set_text(L, "message", error->message);
	set_text(L, "formatted", error->formatted);
	set_text(L, "stage", error->stage);
	compat_set_metatable(L, FAILURE);
	return lua_error(L);
}

int failure_raise(lua_State *L, const rille *r)
{
	return raise(L, rille_last_error(r));
}

int failure_raise_code(lua_State *L, int code, const char *tag, const char *message)
{
	struct rille_error error = {.code = code,
	        .error_class = RILLE_RUNTIME,
	        .tag = tag,
	        .message = message,
	        .formatted = message,
	        .stage = ""};
	return raise(L, &error);
}
