/* rille.origin(): what a stack is about. rille.origins is the table of what is known, lua/origins.lua with what a script has
 * added; here it becomes the rules that engine/stack/origin.c matches, once, and again if the table has changed.
 *
 * Most scripts do not ask, so the table is made when first looked at. An entry that makes no sense is an error where the
 * script is loaded, if it is there by then, and else at the first call. */
#include "engine/base/embed.h"
#include "engine/base/nearest.h"
#include "engine/script/state.h"

#include <stdint.h>
#include <string.h>

enum { MOST_FRAMES = 1024, MOST_PATTERNS = 16, MOST_RULES = 1000, MOST_IN_ALL = 4096 };

extern const struct embedded lua_files[];

/* The field of the entry on the top as a string, pushed and left there; NULL if it is not there. */
static const char *string_of(lua_State *L, int entry, int number, const char *key, bool needed)
{
	int type = lua_getfield(L, entry, key);
	if (type == LUA_TSTRING)
		return lua_tostring(L, -1);
	if (type != LUA_TNIL || needed)
		sandbox_raise(L, "rille.origins[%d]: %s is a string, not a %s", number, key, luaL_typename(L, -1));
	return NULL;
}

static void check_memory(lua_State *L, int code)
{
	if (code < 0)
		sandbox_raise(L, "not enough memory");
}

/* An alternative: a pattern, or a list of them. On the stack's top. */
static void add_match(lua_State *L, struct origins *origins, int rule, int number)
{
	const char *patterns[MOST_PATTERNS];
	size_t n = 1;
	int top = lua_gettop(L);
	if (lua_type(L, top) == LUA_TSTRING) {
		patterns[0] = lua_tostring(L, top);
	} else {
		if (lua_type(L, top) != LUA_TTABLE || (n = lua_rawlen(L, top)) == 0 || n > MOST_PATTERNS)
			sandbox_raise(L, "rille.origins[%d]: match is a list of patterns, or of lists of 1 to %d",
			        number, MOST_PATTERNS);
		luaL_checkstack(L, MOST_PATTERNS, NULL);
		for (size_t i = 0; i < n; i++)
			if (lua_rawgeti(L, top, (lua_Integer)i + 1) != LUA_TSTRING)
				sandbox_raise(L, "rille.origins[%d]: a pattern is a string, not a %s", number,
				        luaL_typename(L, -1));
			else
				patterns[i] = lua_tostring(L, -1);
	}
	check_memory(L, origins_add_match(origins, (size_t)rule, patterns, n));
	lua_settop(L, top);
}

typedef void (*add_one)(lua_State *L, struct origins *origins, int rule, int number);

static void add_except(lua_State *L, struct origins *origins, int rule, int number)
{
	if (lua_type(L, -1) != LUA_TSTRING)
		sandbox_raise(L, "rille.origins[%d]: a pattern is a string, not a %s", number, luaL_typename(L, -1));
	check_memory(L, origins_add_except(origins, (size_t)rule, lua_tostring(L, -1)));
}

static void add_path(lua_State *L, struct origins *origins, int rule, int number)
{
	if (lua_type(L, -1) != LUA_TSTRING)
		sandbox_raise(L, "rille.origins[%d]: a path is a string, not a %s", number, luaL_typename(L, -1));
	check_memory(L, origins_add_path(origins, (size_t)rule, lua_tostring(L, -1)));
}

static size_t add_list(
        lua_State *L, struct origins *origins, int entry, int rule, int number, const char *key, add_one add)
{
	size_t n = 0;
	int type = lua_getfield(L, entry, key);
	if (type != LUA_TNIL && type != LUA_TTABLE)
		sandbox_raise(L, "rille.origins[%d]: %s is a list, not a %s", number, key, luaL_typename(L, -1));
	for (n = 0; type == LUA_TTABLE && n < lua_rawlen(L, -1); n++) {
		lua_rawgeti(L, -1, (lua_Integer)n + 1);
		add(L, origins, rule, number);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return n;
}

static void check_keys(lua_State *L, int entry, int number)
{
	static const char *const known[] = {"name", "about", "advice", "crac", "match", "except", "path", "general"};
	for (lua_pushnil(L); lua_next(L, entry); lua_pop(L, 1)) {
		struct nearest nearest;
		bool found = false;
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "a number";
		nearest_init(&nearest, key);
		for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
			found |= !strcmp(known[i], key);
			nearest_offer(&nearest, known[i]);
		}
		if (!found && nearest.best)
			sandbox_raise(
			        L, "rille.origins[%d] has no '%s'; did you mean '%s'?", number, key, nearest.best);
		if (!found)
			sandbox_raise(L, "rille.origins[%d] has no '%s'", number, key);
	}
}

/* The entry on the top. */
static void add_entry(lua_State *L, struct origins *origins, int number)
{
	int entry = lua_gettop(L);
	if (lua_type(L, entry) != LUA_TTABLE)
		sandbox_raise(L, "rille.origins[%d] is a table, not a %s", number, luaL_typename(L, entry));
	check_keys(L, entry, number);
	struct origin origin = {
	        .name = string_of(L, entry, number, "name", true),
	        .about = string_of(L, entry, number, "about", true),
	        .advice = string_of(L, entry, number, "advice", false),
	        .crac = string_of(L, entry, number, "crac", false),
	};
	lua_getfield(L, entry, "general");
	int rule = origins_add(origins, &origin, lua_toboolean(L, -1));
	check_memory(L, rule);
	size_t n = add_list(L, origins, entry, rule, number, "match", add_match);
	n += add_list(L, origins, entry, rule, number, "path", add_path);
	add_list(L, origins, entry, rule, number, "except", add_except);
	if (!n)
		sandbox_raise(L, "rille.origins[%d] ('%s') needs match or path", number, origin.name);
	lua_settop(L, entry);
}

/* The rules of the table on the top, which is popped. */
static void compile(lua_State *L, struct script *script)
{
	int table = lua_gettop(L);
	size_t n = lua_rawlen(L, table);
	if (n > MOST_RULES)
		sandbox_raise(L, "rille.origins: more than %d entries", MOST_RULES);
	if (script->origins != script->origins_given)
		origins_free(script->origins);
	script->origins_of = NULL;
	script->origins = origins_new();
	if (!script->origins)
		sandbox_raise(L, "not enough memory");
	for (size_t i = 0; i < n; i++) {
		sandbox_charge(L, 100);
		lua_rawgeti(L, table, (lua_Integer)i + 1);
		add_entry(L, script->origins, (int)i + 1);
		lua_pop(L, 1);
		if (origins_patterns(script->origins) > MOST_IN_ALL)
			sandbox_raise(L, "rille.origins: more than %d patterns", MOST_IN_ALL);
	}
	script->origins_of = lua_topointer(L, table);
	script->norigins = n;
	lua_pop(L, 1);
}

/* Made anew if the script has put another table there, or entries into it. */
static const struct origins *current(lua_State *L, struct script *script)
{
	library_push(L);
	if (lua_getfield(L, -1, "origins") != LUA_TTABLE)
		sandbox_raise(L, "rille.origins is a table, not a %s", luaL_typename(L, -1));
	if (script->origins_of != lua_topointer(L, -1) || script->norigins != lua_rawlen(L, -1))
		compile(L, script);
	else
		lua_pop(L, 1);
	lua_pop(L, 1);
	return script->origins;
}

/* --- rille.origin(stack, path) --- */

static const char *frame_string(lua_State *L, const char *key)
{
	lua_pushstring(L, key);
	const char *s = lua_rawget(L, -2) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
	lua_pop(L, 1); /* the frame keeps it: no metamethod has made it */
	return s;
}

static void read_frame(lua_State *L, struct frame *frame)
{
	frame->kind = (uint8_t)frame_kind_find(frame_string(L, "kind"));
	frame->name = frame_string(L, "name");
	frame->module = frame_string(L, "module");
	frame->file = frame_string(L, "file");
}

/* The table at 1 as a stack, whose frames are a userdata that is pushed. */
static struct stack read_stack(lua_State *L)
{
	size_t n = lua_rawlen(L, 1);
	if (n > MOST_FRAMES)
		n = MOST_FRAMES;
	struct stack stack = {.frames = lua_newuserdatauv(L, (n + 1) * sizeof(struct frame), 0), .nframes = n};
	memset(stack.frames, 0, (n + 1) * sizeof(struct frame));
	for (size_t i = 0; i < n; i++) {
		if (lua_rawgeti(L, 1, (lua_Integer)i + 1) != LUA_TTABLE)
			sandbox_raise(L, "origin: a stack is a list of frames, not of %ss", luaL_typename(L, -1));
		read_frame(L, &stack.frames[i]);
		lua_pop(L, 1);
	}
	return stack;
}

static void set_string(lua_State *L, const char *key, const char *value)
{
	lua_pushstring(L, value);
	lua_setfield(L, -2, key);
}

static void push_hit(lua_State *L, const struct origin_hit *hit, const char *path)
{
	struct text *text = &script_of(L)->scratch;
	lua_createtable(L, 0, 6);
	set_string(L, "name", hit->origin->name);
	set_string(L, "about", hit->origin->about);
	set_string(L, "advice", hit->origin->advice);
	if (hit->origin->crac) {
		text_reset(text);
		origin_policy(text, hit->origin, path, -1);
		scratch_push(L);
		lua_setfield(L, -2, "crac");
	}
	if (hit->frame != SIZE_MAX) {
		lua_rawgeti(L, 1, (lua_Integer)hit->frame + 1);
		lua_setfield(L, -2, "frame");
	}
	if (hit->by != SIZE_MAX) {
		lua_rawgeti(L, 1, (lua_Integer)hit->by + 1);
		lua_setfield(L, -2, "by");
	}
}

static int find_origin(lua_State *L)
{
	struct script *script = script_of(L);
	struct origin_hit hit = {.by = SIZE_MAX};
	struct stack stack = {0};
	const char *path = luaL_optstring(L, 2, NULL);
	if (!lua_isnoneornil(L, 1))
		luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	const struct origins *origins = current(L, script);
	if (!lua_isnil(L, 1))
		stack = read_stack(L);
	sandbox_charge(L, (stack.nframes + 1) * (origins_patterns(origins) + 1) * 4);
	if (!origins_match(origins, stack.frames ? &stack : NULL, path, &hit))
		return 0;
	push_hit(L, &hit, path);
	return 1;
}

/* --- the table --- */

/* rille.origins, when first looked at. */
static int make_table(lua_State *L)
{
	const struct embedded *file = lua_files;
	if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "origins") != 0)
		return 0;
	while (file->name && strcmp(file->name, "origins.lua") != 0)
		file++;
	if (luaL_loadbufferx(L, file->data, file->len, "=origins.lua", "t") != LUA_OK)
		lua_error(L);
	lua_call(L, 0, 1);
	lua_pushvalue(L, -1);
	lua_setfield(L, 1, "origins");
	return 1;
}

void origins_open(lua_State *L)
{
	library_push(L);
	lua_pushcfunction(L, find_origin);
	lua_setfield(L, -2, "origin");
	lua_createtable(L, 0, 2);
	lua_pushcfunction(L, make_table);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_pop(L, 1);
}

/* Inside a protected call. */
static int check_table(lua_State *L)
{
	library_push(L);
	lua_pushliteral(L, "origins");
	if (lua_rawget(L, -2) != LUA_TNIL)
		current(L, script_of(L));
	return 0;
}

static int make_rules(lua_State *L)
{
	current(L, script_of(L));
	return 0;
}

static int run(struct script *script, lua_CFunction fn, struct err *err)
{
	lua_State *L = script->box.L;
	sandbox_enter(&script->box, BUDGET_DECLARE);
	lua_pushcfunction(L, fn);
	int status = lua_pcall(L, 0, 0, 0);
	return status == LUA_OK ? 0 : failure_take(script, status, "", err);
}

int origins_check(struct script *script, struct err *err)
{
	return run(script, check_table, err);
}

const struct origins *script_origins(struct script *script, struct err *err)
{
	if (!script->origins_given && run(script, make_rules, err) == 0)
		script->origins_given = script->origins;
	return script->origins_given;
}
