/* What the library gives in its callbacks, kept until Lua may be entered again.
 *
 * A Lua error is a longjmp; it must not cross the library's frames. So its callbacks put what they get into a buffer,
 * without Lua, and once the library has returned the buffer becomes Lua values. It lies in a userdata, so that it is freed
 * even if making those fails. */
#include "module.h"

#include <stdlib.h>

#define BUFFER "rille.buffer"

void buffer_add(struct buffer *buffer, const void *data, size_t len)
{
	if (buffer->failed || len > SIZE_MAX / 4) {
		buffer->failed = true;
		return;
	}
	if (buffer->cap - buffer->len < len) {
		size_t cap = 2 * (buffer->len + len) + 64;
		char *bigger = realloc(buffer->data, cap);
		buffer->failed = !bigger;
		if (!bigger)
			return;
		buffer->data = bigger;
		buffer->cap = cap;
	}
	if (len)
		memcpy(buffer->data + buffer->len, data, len);
	buffer->len += len;
}

void buffer_add_string(struct buffer *buffer, const char *text)
{
	buffer_add(buffer, text ? text : "", text ? strlen(text) + 1 : 1);
}

const char *buffer_next(const struct buffer *buffer, size_t *at)
{
	if (*at >= buffer->len)
		return NULL;
	const char *text = buffer->data + *at;
	*at += strlen(text) + 1;
	return text;
}

void buffer_fini(struct buffer *buffer)
{
	free(buffer->data);
	memset(buffer, 0, sizeof(*buffer));
}

static int buffer_gc(lua_State *L)
{
	buffer_fini(lua_touserdata(L, 1));
	return 0;
}

struct buffer *buffer_push(lua_State *L)
{
	struct buffer *buffer = lua_newuserdata(L, sizeof(*buffer));
	memset(buffer, 0, sizeof(*buffer));
	compat_set_metatable(L, BUFFER);
	return buffer;
}

void buffer_open(lua_State *L)
{
	luaL_newmetatable(L, BUFFER);
	lua_pushcfunction(L, buffer_gc);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
}
