/* Lua values as the text that rille_set() and rille_set_param() take, which is that of the command line. */
#include "module.h"

static void push_list(lua_State *L, int idx)
{
	luaL_Buffer list;
	size_t n = compat_length(L, idx);
	luaL_buffinit(L, &list);
	for (size_t i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&list, ',');
		lua_rawgeti(L, idx, (int)i);
		/* The buffer may keep pieces on the stack; what is read lies on its top. */
		if (lua_type(L, -1) != LUA_TSTRING) {
			if (!integer_text(L, -1))
				luaL_error(
				        L, "a list of values has integers and strings, not a %s", luaL_typename(L, -1));
			lua_remove(L, -2);
		}
		luaL_addvalue(&list);
	}
	luaL_pushresult(&list);
}

void setting_push(lua_State *L, int idx)
{
	idx = compat_absolute(L, idx);
	switch (lua_type(L, idx)) {
	case LUA_TBOOLEAN:
		lua_pushstring(L, lua_toboolean(L, idx) ? "yes" : "no");
		return;
	case LUA_TSTRING:
		lua_pushvalue(L, idx);
		return;
	case LUA_TTABLE:
		push_list(L, idx);
		return;
	default:
		if (!integer_text(L, idx))
			luaL_error(L, "a value is a boolean, an integer, a string or a list, not a %s",
			        luaL_typename(L, idx));
	}
}
