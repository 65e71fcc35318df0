/* session:origin(stack, path): what rille.origin() is in scripts, with the rules of the session's script. */
#include "module.h"

#include <errno.h>

enum { MOST_FRAMES = 1024 };

/* The field of the table on the top, if it is a string; the table keeps it: no metamethod has made it. */
static const char *text_of(lua_State *L, const char *key)
{
	lua_pushstring(L, key);
	lua_rawget(L, -2);
	const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
	lua_pop(L, 1);
	return text;
}

/* Pushes the stack at `idx` as the library has it. */
static struct rille_frame *push_frames(lua_State *L, int idx, size_t n)
{
	struct rille_frame *frames = compat_bytes(L, (n + 1) * sizeof(*frames));
	memset(frames, 0, (n + 1) * sizeof(*frames));
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(L, idx, (int)i + 1);
		if (!lua_istable(L, -1))
			luaL_error(L, "origin: a stack is a list of frames, not of %ss", luaL_typename(L, -1));
		frames[i].kind = text_of(L, "kind");
		frames[i].name = text_of(L, "name");
		frames[i].module = text_of(L, "module");
		frames[i].file = text_of(L, "file");
		lua_pop(L, 1);
	}
	return frames;
}

static void set_text(lua_State *L, const char *key, const char *text)
{
	lua_pushstring(L, text);
	lua_setfield(L, -2, key);
}

static void set_frame(lua_State *L, const char *key, int64_t number)
{
	if (number < 0)
		return;
	lua_rawgeti(L, 2, (int)number + 1);
	lua_setfield(L, -2, key);
}

int session_origin(lua_State *L)
{
	struct rille_origin origin = {.size = sizeof(origin)};
	struct session *session = session_check(L, 1);
	const char *path = luaL_optstring(L, 3, NULL);
	lua_settop(L, 3);
	if (!lua_isnil(L, 2))
		luaL_checktype(L, 2, LUA_TTABLE);
	size_t n = lua_isnil(L, 2) ? 0 : compat_length(L, 2);
	if (n > MOST_FRAMES)
		n = MOST_FRAMES;
	int e = rille_origin(session->r, push_frames(L, 2, n), n, path, &origin);
	if (e == -ENODATA)
		return 0;
	if (e < 0)
		return failure_raise(L, session->r);
	lua_createtable(L, 0, 6);
	set_text(L, "name", origin.name);
	set_text(L, "about", origin.about);
	set_text(L, "advice", origin.advice);
	set_text(L, "crac", origin.crac);
	set_frame(L, "frame", origin.frame);
	set_frame(L, "by", origin.by);
	return 1;
}
