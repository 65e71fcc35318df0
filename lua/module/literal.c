/* A table of the host's Lua as the text of a script.
 *
 * The library takes scripts as text and runs them in a Lua of its own, so a table travels as a constructor, one key a line,
 * and is checked there like every other script: errors show the line of that text. Functions cannot travel. An `on_event`
 * stays here and is called with the event as the host sees it; any other function is refused.
 *
 * Read raw, as scripts' tables are: a metatable changes nothing. */
#include "module.h"

#include <stdio.h>

enum { MOST_NESTING = 16 };

struct literal {
	lua_State *L;
	struct buffer *text;
	int callbacks; /* index of the table of functions */
};

static void put(struct literal *literal, const char *text)
{
	buffer_add(literal->text, text, strlen(text));
}

static void put_string(struct literal *literal, int idx)
{
	size_t len;
	const char *text = lua_tolstring(literal->L, idx, &len);
	put(literal, "\"");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		char escaped[8];
		if (c == '"' || c == '\\')
			snprintf(escaped, sizeof(escaped), "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			snprintf(escaped, sizeof(escaped), "\\%03d", c);
		else
			snprintf(escaped, sizeof(escaped), "%c", c);
		put(literal, escaped);
	}
	put(literal, "\"");
}

static int refuse(struct literal *literal, const char *key, int type)
{
	lua_State *L = literal->L;
	if (type == LUA_TFUNCTION)
		return luaL_error(L,
		        "%s: a table of the host can have functions as `on_event` only; a script in a file or a "
		        "string can have the others",
		        key);
	return luaL_error(L, "%s: a %s cannot be part of a script", key, lua_typename(L, type));
}

static void put_number(struct literal *literal, int idx, const char *key)
{
	lua_State *L = literal->L;
	char text[64];
	if (integer_text(L, idx)) {
		put(literal, lua_tostring(L, -1));
		lua_pop(L, 1);
	} else if (lua_type(L, idx) == LUA_TNUMBER) {
		snprintf(text, sizeof(text), "%.17g", lua_tonumber(L, idx));
		put(literal, text);
	} else {
		refuse(literal, key, lua_type(L, idx));
	}
}

static void put_table(struct literal *literal, int idx, const char *key, int depth, int probe);

/* `key` names the value in messages. `probe` is the number of the probe whose table the value is in, 0 = none,
 * -1 = the value is the list of probes. */
static void put_value(struct literal *literal, int idx, const char *key, int depth, int probe)
{
	switch (lua_type(literal->L, idx)) {
	case LUA_TSTRING:
		put_string(literal, idx);
		break;
	case LUA_TBOOLEAN:
		put(literal, lua_toboolean(literal->L, idx) ? "true" : "false");
		break;
	case LUA_TTABLE:
		put_table(literal, idx, key, depth, probe);
		break;
	default:
		put_number(literal, idx, key);
	}
}

/* Whether `key = …` can be written, as people do. */
static bool is_name(const char *key)
{
	static const char keywords[] = " and break do else elseif end false for function goto if in local nil not or "
	                               "repeat return then true until while ";
	static const char letters[] = "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	char word[16];
	if (!*key || key[strspn(key, letters)] || (*key >= '0' && *key <= '9'))
		return false;
	return snprintf(word, sizeof(word), " %s ", key) >= (int)sizeof(word) || !strstr(keywords, word);
}

static void put_key(struct literal *literal, int idx)
{
	bool is_string = lua_type(literal->L, idx) == LUA_TSTRING;
	if (is_string && is_name(lua_tostring(literal->L, idx))) {
		put(literal, lua_tostring(literal->L, idx));
		put(literal, " = ");
		return;
	}
	put(literal, "[");
	if (is_string)
		put_string(literal, idx);
	else
		put_number(literal, idx, "a key");
	put(literal, "] = ");
}

/* Whether the pair on the top is a callback, which is kept here. */
static bool keep_callback(struct literal *literal, int depth, int probe)
{
	lua_State *L = literal->L;
	bool may = depth == 0 || (depth == 2 && probe > 0);
	if (!may || lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "on_event") != 0 ||
	        lua_type(L, -1) != LUA_TFUNCTION)
		return false;
	lua_pushvalue(L, -1);
	lua_rawseti(L, literal->callbacks, probe);
	return true;
}

static void put_pairs(struct literal *literal, int idx, size_t listed, int depth, int probe)
{
	lua_State *L = literal->L;
	lua_pushnil(L);
	while (lua_next(L, idx)) {
		int64_t number;
		bool is_string = lua_type(L, -2) == LUA_TSTRING;
		bool is_item = !is_string && integer_read(L, -2, &number) && number >= 1 && (size_t)number <= listed;
		if (!is_item && !keep_callback(literal, depth, probe)) {
			const char *key = is_string ? lua_tostring(L, -2) : "a value";
			bool is_list = depth == 0 && is_string && strcmp(key, "probes") == 0;
			put_key(literal, lua_gettop(L) - 1);
			put_value(literal, lua_gettop(L), key, depth + 1, is_list ? -1 : probe);
			put(literal, ",\n");
		}
		lua_pop(L, 1);
	}
}

static void put_table(struct literal *literal, int idx, const char *key, int depth, int probe)
{
	lua_State *L = literal->L;
	if (depth > MOST_NESTING)
		luaL_error(L, "%s: tables are nested too deeply", key);
	luaL_checkstack(L, 8, "table");
	put(literal, depth < 2 ? "{\n" : "{ ");
	size_t n = compat_length(L, idx);
	for (size_t i = 1; i <= n; i++) {
		lua_rawgeti(L, idx, (int)i);
		if (lua_isnil(L, -1))
			put(literal, "nil");
		else
			put_value(literal, lua_gettop(L), key, depth + 1, probe < 0 ? (int)i : probe);
		put(literal, depth < 3 ? ",\n" : ", ");
		lua_pop(L, 1);
	}
	put_pairs(literal, idx, n, depth, probe);
	put(literal, "}");
}

/* One probe { "syscall:bind", … }, a list of probes, or a whole script. */
void literal_push(lua_State *L, int table, int callbacks)
{
	struct literal literal = {.L = L, .callbacks = compat_absolute(L, callbacks)};
	table = compat_absolute(L, table);
	lua_rawgeti(L, table, 1);
	int first = lua_type(L, -1);
	lua_pop(L, 1);
	literal.text = buffer_push(L);
	put(&literal, "return ");
	if (first == LUA_TSTRING || first == LUA_TTABLE) {
		put(&literal, first == LUA_TSTRING ? "{ probes = { " : "{ probes = ");
		put_table(&literal, table, "probe", first == LUA_TSTRING ? 2 : 1, first == LUA_TSTRING ? 1 : -1);
		put(&literal, first == LUA_TSTRING ? " } }" : " }");
	} else {
		put_table(&literal, table, "script", 0, 0);
	}
	if (literal.text->failed)
		luaL_error(L, "not enough memory");
	lua_pushlstring(L, literal.text->data, literal.text->len);
	lua_remove(L, -2);
}
