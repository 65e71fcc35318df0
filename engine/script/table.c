/* Reading the tables of a script: raw, whole, and with the place of everything.
 *
 * Every key of every table must be one that is known where it stands, every value must have the type that is wanted, and a
 * list must be a list. A metatable could run code or answer differently each time, so a table with one is refused. The
 * first thing wrong, in the order of the file, is reported with its place and the nearest known name. */
#include "engine/script/table.h"
#include "engine/base/nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- places --- */

/* Of the value at `node`, or near it: the table's own place, else the script's `return`. */
struct pos table_place(const struct declare *d, int node, const struct table *near)
{
	if (node == LOCATE_NONE && near)
		node = near->node;
	return node == LOCATE_NONE ? locate_return(d->locator) : locate_pos(d->locator, node);
}

static struct pos key_place(const struct declare *d, const struct table *table, const char *key)
{
	int node = locate_key(d->locator, table->node, key);
	return node == LOCATE_NONE ? table_place(d, LOCATE_NONE, table) : locate_key_pos(d->locator, node);
}

/* --- shapes --- */

static bool is_in(const char *words, const char *word)
{
	size_t n = strlen(word);
	for (const char *at = words; n && (at = strstr(at, word)); at++)
		if (at[-1] == ' ' && at[n] == ' ')
			return true;
	return false;
}

void table_hint(struct err *err, const char *words, const char *typed)
{
	char copy[256], *save = NULL;
	struct nearest nearest;
	snprintf(copy, sizeof(copy), "%s", words);
	nearest_init(&nearest, typed);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		nearest_offer(&nearest, word);
	if (nearest.best)
		err_hint(err, "did you mean %s?", nearest.best);
	else if (words[1])
		err_hint(err, "known here:%.*s", (int)strlen(words) - 1, words);
}

/* A value without key that is one too many, or a key that no list has. */
static int item_error(const struct shape *shape, lua_Integer i, struct pos pos, struct err *err)
{
	if (i >= 1 && shape->items == 0) {
		err_at(err, pos, "unknown-key", "a %s has named keys only, and this value has no name", shape->what);
		err_hint(err, "known here:%.*s", (int)strlen(shape->keys) - 1, shape->keys);
		return -EINVAL;
	}
	if (i >= 1 && (lua_Unsigned)i > shape->items)
		return err_at(err, pos, "unknown-key", "a %s takes %d value%s without a name, this is number %lld",
		        shape->what, (int)shape->items, shape->items == 1 ? "" : "s", (long long)i);
	return err_at(err, pos, "not-a-list", "a %s has a hole or an odd key", shape->what);
}

/* Why the key at the stack's top may not be there; 0 if it may. */
static int check_key(struct declare *d, const struct table *table, struct err *err)
{
	lua_State *L = d->L;
	if (lua_type(L, -1) == LUA_TSTRING) {
		const char *key = lua_tostring(L, -1);
		if (is_in(table->shape->keys, key) && !strchr(key, ' '))
			return 0;
		err_at(err, key_place(d, table, key), "unknown-key", "a %s has no key '%s'", table->shape->what, key);
		table_hint(err, table->shape->keys, key);
		return -EINVAL;
	}
	lua_Integer i = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
	if (i >= 1 && (lua_Unsigned)i <= table->shape->items && (lua_Unsigned)i <= lua_rawlen(L, table->idx))
		return 0;
	int node = i > 0 ? locate_item(d->locator, table->node, (size_t)i) : LOCATE_NONE;
	return item_error(table->shape, i, table_place(d, node, table), err);
}

static bool is_before(const struct err *a, const struct err *b)
{
	return a->line != b->line ? a->line < b->line : a->col < b->col;
}

/* Checks all keys. Lua's order of keys is any, so of several wrong ones the first in the file is reported. */
static int check_keys(struct declare *d, const struct table *table)
{
	lua_State *L = d->L;
	bool wrong = false;
	if (lua_getmetatable(L, table->idx))
		return err_at(d->err, table_place(d, LOCATE_NONE, table), "bad-type",
		        "a %s is a plain table, without metatable", table->shape->what);
	for (lua_pushnil(L); lua_next(L, table->idx);) {
		struct err err = {0};
		lua_pop(L, 1);
		if (!check_key(d, table, &err) || (wrong && d->err && !is_before(&err, d->err)))
			continue;
		wrong = true;
		if (d->err)
			*d->err = err;
	}
	return wrong ? -EINVAL : 0;
}

/* The table on the top as `ret`; -EINVAL if it is not a table of that shape. */
int table_open(struct declare *d, int node, const struct shape *shape, const struct table *near, struct table *ret)
{
	*ret = (struct table){.idx = lua_gettop(d->L), .node = node, .shape = shape};
	luaL_checkstack(d->L, 20, "declare");
	if (lua_istable(d->L, -1))
		return check_keys(d, ret);
	return err_at(d->err, table_place(d, node, near), "bad-type", "a %s is a table, not a %s", shape->what,
	        luaL_typename(d->L, -1));
}

/* Pushes the value of a key; its node is returned in *node. */
int table_key(struct declare *d, const struct table *table, const char *key, int *node)
{
	*node = locate_key(d->locator, table->node, key);
	lua_pushstring(d->L, key);
	return lua_rawget(d->L, table->idx);
}

int table_item(struct declare *d, const struct table *table, size_t i, int *node)
{
	*node = locate_item(d->locator, table->node, i);
	return lua_rawgeti(d->L, table->idx, (lua_Integer)i);
}

/* Pushes element i of a list, which must be there. */
int table_element(struct declare *d, const struct table *list, size_t i, int *node)
{
	if (table_item(d, list, i, node) != LUA_TNIL)
		return 0;
	return err_at(d->err, table_place(d, *node, list), "not-a-list", "a %s has a hole: number %zu is nil",
	        list->shape->what, i);
}

int table_bad_type(struct declare *d, int node, const struct table *near, const char *what, const char *wanted)
{
	return err_at(d->err, table_place(d, node, near), "bad-type", "`%s` is %s, not a %s", what, wanted,
	        luaL_typename(d->L, -1));
}

/* --- values --- */

/* A string that is computed ("a" .. b) is looked for by its value, and else is where its expression begins. */
static struct pos text_place(struct declare *d, int node, const char *s, size_t len)
{
	if (locate_is_string(d->locator, node, s, len))
		return locate_pos(d->locator, node);
	struct pos pos = source_locate(d->script, s, len);
	return pos.line ? pos : table_place(d, node, NULL);
}

/* The string on the top, copied with its place. Numbers are not taken for strings. */
int table_text(struct declare *d, int node, const struct table *near, const char *what, struct spec_text *ret)
{
	size_t len;
	if (lua_type(d->L, -1) != LUA_TSTRING)
		return table_bad_type(d, node, near, what, "a string");
	const char *s = lua_tolstring(d->L, -1, &len);
	ret->pos = text_place(d, node, s, len);
	if (strlen(s) != len)
		return err_at(d->err, ret->pos, "bad-type", "`%s` has a zero byte in it", what);
	ret->text = strdup(s);
	return ret->text ? 0 : err_nomem(d->err);
}

/* The value of an optional key as text; absent if it is nil. */
int table_key_text(struct declare *d, const struct table *table, const char *key, struct spec_text *ret)
{
	int node, r = 0;
	if (table_key(d, table, key, &node) != LUA_TNIL)
		r = table_text(d, node, table, key, ret);
	lua_pop(d->L, 1);
	return r;
}

int table_key_plain(struct declare *d, const struct table *table, const char *key, char **ret)
{
	struct spec_text text = {0};
	int r = table_key_text(d, table, key, &text);
	*ret = text.text;
	return r;
}

int table_number(struct declare *d, const struct table *table, const char *key, uint32_t most, uint32_t *ret)
{
	int node, r = 0;
	if (table_key(d, table, key, &node) != LUA_TNIL) {
		lua_Integer n = lua_isinteger(d->L, -1) ? lua_tointeger(d->L, -1) : 0;
		if (!lua_isinteger(d->L, -1))
			r = table_bad_type(d, node, table, key, "an integer");
		else if (n < 1 || n > most)
			r = err_at(d->err, table_place(d, node, table), "bad-value", "`%s` is between 1 and %u", key,
			        most);
		*ret = (uint32_t)n;
	}
	lua_pop(d->L, 1);
	return r;
}

int table_flag(struct declare *d, const struct table *table, const char *key, unsigned bit, unsigned *bits)
{
	int node, r = 0, type = table_key(d, table, key, &node);
	if (type != LUA_TNIL && type != LUA_TBOOLEAN)
		r = table_bad_type(d, node, table, key, "true or false");
	else if (lua_toboolean(d->L, -1))
		*bits |= bit;
	lua_pop(d->L, 1);
	return r;
}

/* The function at a key; *ret stays as it is if there is none. */
int table_function(struct declare *d, const struct table *table, const char *key, struct script_function *ret)
{
	int node, type = table_key(d, table, key, &node);
	if (type == LUA_TFUNCTION) {
		ret->ref = luaL_ref(d->L, LUA_REGISTRYINDEX);
		return 0;
	}
	int r = type == LUA_TNIL ? 0 : table_bad_type(d, node, table, key, "a function");
	lua_pop(d->L, 1);
	return r;
}
