/* Lua errors, turned into ours.
 *
 * A Lua error is any value, raised anywhere. What a user needs from it is: which callback, which line of which file,
 * that line, and how it was reached. The message handler runs where the error was raised, before the stack is unwound,
 * so it is the one place that can tell; it leaves "message\ntraceback" as the error value. */
#include "engine/script/state.h"

#include <errno.h>
#include <string.h>

/* Remembers the innermost place that is in the script's own text. */
static void remember_place(lua_State *L)
{
	struct script *script = script_of(L);
	lua_Debug ar;
	memset(&script->error_pos, 0, sizeof(script->error_pos));
	script->error_callee[0] = '\0';
	for (int level = 0; lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sln", &ar);
		struct source *source = source_find(script, ar.source);
		if (!source || ar.currentline <= 0) {
			snprintf(script->error_callee, sizeof(script->error_callee), "%s", ar.name ? ar.name : "");
			continue;
		}
		script->error_pos = locate_on_line(source->locator, (uint32_t)ar.currentline, "", 0);
		return;
	}
}

/* The error value as text, on the top; without the "file:line:" that Lua put before it, which is shown anyway. */
static const char *message_of(lua_State *L)
{
	struct script *script = script_of(L);
	int type = lua_type(L, 1);
	if (type != LUA_TSTRING && type != LUA_TNUMBER && !luaL_getmetafield(L, 1, "__tostring"))
		return lua_pushfstring(L, "(the error is a %s)", luaL_typename(L, 1));
	const char *message = luaL_tolstring(L, 1, NULL);
	for (size_t i = 0; i < script->nsources; i++) {
		const char *chunk = script->sources[i]->chunk + 1;
		size_t n = strlen(chunk);
		if (strncmp(message, chunk, n) != 0 || message[n] != ':')
			continue;
		const char *end = message + n + 1 + strspn(message + n + 1, "0123456789");
		if (end[0] == ':' && end[1] == ' ')
			return lua_pushstring(L, end + 2);
	}
	return message;
}

int failure_handler(lua_State *L)
{
	lua_settop(L, 1);
	remember_place(L);
	const char *message = message_of(L);
	luaL_traceback(L, L, message, 1);
	return 1;
}

/* Splits "message\nstack traceback:\n…"; the traceback goes to the log. */
static void split(struct script *script, const char *value, size_t *ret_len)
{
	static const char mark[] = "\nstack traceback:";
	const char *traceback = strstr(value, mark);
	*ret_len = traceback ? (size_t)(traceback - value) : strlen(value);
	text_reset(&script->scratch);
	if (traceback && script->running)
		text_adds(&script->scratch, traceback + 1);
}

/* Lua tells the line only. Its message often names what is wrong on it ("global 'x'"): then that token, else what the
 * line called, else the first. */
static void find_column(struct script *script, const char *message, size_t len)
{
	struct pos *pos = &script->error_pos;
	struct source *source = NULL;
	for (size_t i = 0; i < script->nsources && pos->line; i++)
		if (script->sources[i]->name == pos->file)
			source = script->sources[i];
	if (!source)
		return;
	const char *end = memrchr(message, '\'', len);
	const char *name = end ? memrchr(message, '\'', (size_t)(end - message)) : NULL;
	if (name)
		*pos = locate_on_line(source->locator, pos->line, name + 1, (size_t)(end - name) - 1);
	else
		*pos = locate_on_line(source->locator, pos->line, script->error_callee, strlen(script->error_callee));
}

/* The error of a call that ran out of memory: Lua calls no handler then, so the place is not known. */
static int fill_nomem(struct script *script, const char *what, struct err *err)
{
	struct pos pos = {.file = script->spec->name};
	err_at(err, pos, "out-of-memory", "%s%sthe script used more than %zu MiB of memory", what, what[0] ? ": " : "",
	        script->box.most >> 20);
	return -ENOMEM;
}

int failure_take(struct script *script, int status, const char *what, struct err *err)
{
	lua_State *L = script->box.L;
	const char *value = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "the error handler failed";
	int r = -EINVAL;
	size_t len;
	text_reset(&script->scratch);
	if (status == LUA_ERRMEM) {
		r = fill_nomem(script, what, err);
	} else {
		split(script, value, &len);
		find_column(script, value, len);
		err_at(err, script->error_pos, script->running ? "callback-error" : "script-error", "%s%s%.*s", what,
		        what[0] ? ": " : "", (int)len, value);
	}
	if (err) {
		err->code = r;
		err->class = script->running ? ERR_RUNTIME : ERR_SCRIPT;
	}
	lua_pop(L, 1);
	memset(&script->error_pos, 0, sizeof(script->error_pos));
	return r;
}
