/* The texts of a script: its own and those it requires.
 *
 * Each is loaded as text only (a precompiled chunk could break Lua's machine) and kept whole, because errors show the
 * line. Lua shortens long chunk names in its messages; so each text gets a short one of its own, and messages are
 * turned back into the full name here. */
#include "engine/script/state.h"
#include "engine/base/grow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A script may begin with "#!"; Lua's loader for strings does not skip that line. It becomes a comment of equal length.
 */
static void blank_interpreter_line(char *text, size_t len)
{
	if (len && text[0] == '#') {
		for (size_t i = 0; i < len && text[i] != '\n'; i++)
			text[i] = ' ';
	}
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
		memset(text, ' ', 3);
}

static void name_chunk(struct source *source)
{
	size_t len = strlen(source->name), most = sizeof(source->chunk) - 2;
	snprintf(source->chunk, sizeof(source->chunk), "=%s", source->name + (len > most ? len - most : 0));
}

struct source *source_add(struct script *script, const char *name, const char *text, size_t len)
{
	if (grow(&script->sources, &script->sources_cap, script->nsources + 1, sizeof(*script->sources)))
		return NULL;
	struct source *source = calloc(1, sizeof(*source));
	if (!source)
		return NULL;
	script->sources[script->nsources++] = source;
	source->name = strdup(name);
	source->text = malloc(len + 1);
	if (!source->name || !source->text)
		return NULL;
	memcpy(source->text, text, len);
	source->len = len;
	source->text[len] = '\0';
	blank_interpreter_line(source->text, len);
	name_chunk(source);
	source->locator = locator_new(source->name, source->text, len);
	return source->locator ? source : NULL;
}

/* "NAME:LINE: MESSAGE near 'TOKEN'" → an error at the token. */
static int syntax_error(struct source *source, const char *message, struct err *err)
{
	size_t prefix = strlen(source->chunk + 1);
	char *rest;
	if (strncmp(message, source->chunk + 1, prefix) != 0 || message[prefix] != ':')
		return err_at(err, (struct pos){.file = source->name}, "syntax", "%s", message);
	unsigned long line = strtoul(message + prefix + 1, &rest, 10);
	message = rest + strspn(rest, ": ");
	const char *near = strstr(message, " near ");
	const char *token = near ? near + 6 : "";
	size_t len = strlen(token);
	if (strcmp(token, "<eof>") == 0)
		return err_at(err, locate_end(source->locator), "syntax", "%s", message);
	if (len >= 2 && token[0] == '\'') {
		token++;
		len -= 2;
	}
	return err_at(err, locate_on_line(source->locator, (uint32_t)line, token, len), "syntax", "%s", message);
}

int source_compile(struct script *script, lua_State *L, struct source *source, struct err *err)
{
	size_t len = strlen(source->text);
	if (len != source->len)
		return err_at(err, locate_return(source->locator), "syntax", "%s has a zero byte in it", source->name);
	int status = luaL_loadbufferx(L, source->text, len, source->chunk, "t");
	if (status == LUA_OK)
		return 0;
	const char *message = lua_tostring(L, -1);
	int r = status == LUA_ERRMEM ? err_nomem(err) : syntax_error(source, message ? message : "?", err);
	lua_pop(L, 1);
	return r;
}

struct source *source_find(struct script *script, const char *chunk)
{
	for (size_t i = 0; i < script->nsources; i++)
		if (strcmp(script->sources[i]->chunk, chunk) == 0)
			return script->sources[i];
	return NULL;
}

struct pos source_locate(struct script *script, const char *value, size_t len)
{
	struct pos pos = {0};
	for (size_t i = 0; i < script->nsources && !pos.line; i++)
		pos = locate_string(script->sources[i]->locator, value, len);
	return pos;
}

void source_free_all(struct script *script)
{
	for (size_t i = 0; i < script->nsources; i++) {
		locator_free(script->sources[i]->locator);
		free(script->sources[i]->name);
		free(script->sources[i]->text);
		free(script->sources[i]);
	}
	free(script->sources);
}
