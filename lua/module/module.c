/* require "rille" */
#include "module.h"

RILLE_API int luaopen_rille(lua_State *L);

int luaopen_rille(lua_State *L)
{
	integer_open(L);
	buffer_open(L);
	failure_open(L);
	value_open(L);
	session_open(L);
	engine_open(L);
	library_open(L);
	return 1;
}
