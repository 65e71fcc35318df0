/* An engine: sessions, and one descriptor over all of them for the loop of the host.
 *
 * Each session is a handle of the library with an epoll descriptor of its own; the engine's epoll descriptor watches
 * those. Loops that want an object instead of a descriptor find the methods that cqueues (pollfd, events, timeout) and
 * LuaSocket's select (getfd, dirty) ask for.
 *
 * A session that runs is kept by its engine, so that `engine:load("unix"):attach()` is enough. */
#include "module.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct engine *any_engine(lua_State *L, int idx)
{
	return luaL_checkudata(L, idx, ENGINE);
}

struct engine *engine_check(lua_State *L, int idx)
{
	struct engine *engine = any_engine(L, idx);
	if (!engine->open)
		luaL_argerror(L, idx, "the engine is closed");
	return engine;
}

/* --- making --- */

static void keep_option(lua_State *L, int options, int slots, const char *key, int type, int slot)
{
	lua_getfield(L, options, key);
	if (!lua_isnil(L, -1) && lua_type(L, -1) != type)
		luaL_error(L, "option '%s' is a %s, not a %s", key, lua_typename(L, type), luaL_typename(L, -1));
	lua_rawseti(L, slots, slot);
}

static bool flag_option(lua_State *L, int options, const char *key)
{
	lua_getfield(L, options, key);
	if (!lua_isnil(L, -1) && !lua_isboolean(L, -1))
		luaL_error(L, "option '%s' is a boolean, not a %s", key, luaL_typename(L, -1));
	bool on = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return on;
}

static int level_option(lua_State *L, int options)
{
	static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
	lua_getfield(L, options, "log_level");
	int level = lua_isnil(L, -1) ? RILLE_LOG_WARN : luaL_checkoption(L, -1, NULL, levels);
	lua_pop(L, 1);
	return level;
}

static void check_options(lua_State *L, int options)
{
	static const char known[] = " log log_level cache_dir compiler ring_bytes unsafe strict ";
	lua_pushnil(L);
	while (lua_next(L, options)) {
		lua_pop(L, 1);
		const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "a number";
		const char *padded = lua_pushfstring(L, " %s ", key);
		if (!strstr(known, padded))
			luaL_error(L, "there is no option '%s'; there are%s", key, known);
		lua_pop(L, 1);
	}
}

static void read_options(lua_State *L, struct engine *engine, int options, int slots)
{
	check_options(L, options);
	keep_option(L, options, slots, "log", LUA_TFUNCTION, ENGINE_LOG);
	keep_option(L, options, slots, "cache_dir", LUA_TSTRING, ENGINE_CACHE);
	keep_option(L, options, slots, "compiler", LUA_TSTRING, ENGINE_COMPILER);
	engine->log_level = level_option(L, options);
	engine->unsafe = flag_option(L, options, "unsafe");
	engine->strict = flag_option(L, options, "strict");
	lua_getfield(L, options, "ring_bytes");
	if (!lua_isnil(L, -1))
		engine->ring_bytes = (uint64_t)integer_check(L, -1);
	lua_pop(L, 1);
}

int engine_new(lua_State *L)
{
	lua_settop(L, 1);
	if (lua_isnil(L, 1)) {
		lua_newtable(L);
		lua_replace(L, 1);
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	struct engine *engine = compat_userdata(L, sizeof(*engine));
	memset(engine, 0, sizeof(*engine));
	engine->epoll = -1;
	compat_set_metatable(L, ENGINE);
	lua_newtable(L);
	read_options(L, engine, 1, 3);
	lua_newtable(L);
	lua_rawseti(L, 3, ENGINE_SESSIONS);
	compat_set_slots(L, 2);
	engine->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (engine->epoll < 0)
		return failure_raise_code(L, -errno, "descriptors", strerror(errno));
	engine->open = true;
	return 1;
}

/* --- closing --- */

void engine_forget(struct engine *engine, struct session *session)
{
	for (size_t i = 0; i < engine->nsessions; i++) {
		if (engine->sessions[i] != session)
			continue;
		if (engine->dispatching)
			engine->sessions[i] = NULL;
		else
			engine->sessions[i] = engine->sessions[--engine->nsessions];
		return;
	}
}

static void close_engine(struct engine *engine)
{
	engine->open = false;
	while (engine->nsessions)
		session_close(engine->sessions[engine->nsessions - 1]);
	free(engine->sessions);
	engine->sessions = NULL;
	engine->cap = 0;
	if (engine->epoll >= 0)
		close(engine->epoll);
	engine->epoll = -1;
}

static int engine_close(lua_State *L)
{
	struct engine *engine = any_engine(L, 1);
	if (engine->dispatching)
		return luaL_error(L, "an engine cannot be closed in a callback; session:stop() ends a trace there");
	close_engine(engine);
	return 0;
}

/* Lua's state may be closed in a callback (os.exit(0, true)): then nothing can be given back. */
static int engine_gc(lua_State *L)
{
	struct engine *engine = any_engine(L, 1);
	if (!engine->dispatching)
		close_engine(engine);
	return 0;
}

/* --- loading --- */

static int is_path(const char *what)
{
	size_t len = strlen(what);
	return strchr(what, '/') || (len > 4 && strcmp(what + len - 4, ".lua") == 0);
}

static int set_params(lua_State *L, struct session *session, int params)
{
	if (lua_isnoneornil(L, params))
		return 0;
	luaL_checktype(L, params, LUA_TTABLE);
	lua_pushnil(L);
	while (lua_next(L, params)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			return luaL_error(L, "parameters have names: { inode = 4711 }");
		setting_push(L, -1);
		if (rille_set_param(session->r, lua_tostring(L, -3), lua_tostring(L, -1)))
			return failure_raise(L, session->r);
		lua_pop(L, 2);
	}
	return 0;
}

static int load_table(lua_State *L, struct session *session, int table, int at)
{
	size_t len;
	compat_get_slots(L, at);
	lua_rawgeti(L, -1, SESSION_CALLBACKS);
	literal_push(L, table, -1);
	const char *text = lua_tolstring(L, -1, &len);
	int e = rille_load_string(session->r, text, len, "table");
	lua_pop(L, 3);
	if (e == 0)
		run_listen(session, true);
	return e;
}

/* What both ways to load have in common: the session is on the top. */
static int loaded(lua_State *L, struct session *session, int e, int params)
{
	int at = lua_gettop(L);
	session_tell(L, at, session);
	if (e < 0)
		return failure_raise(L, session->r);
	set_params(L, session, params);
	lua_settop(L, at);
	session_keep(L, at);
	return 1;
}

/* engine:load(recipe | path | table [, params]) */
static int engine_load(lua_State *L)
{
	engine_check(L, 1);
	lua_settop(L, 3);
	bool is_table = lua_istable(L, 2);
	const char *what = is_table ? NULL : luaL_checkstring(L, 2);
	struct session *session = session_push(L, 1);
	int e;
	if (is_table)
		e = load_table(L, session, 2, 4);
	else if (is_path(what))
		e = rille_load_file(session->r, what);
	else
		e = rille_load_recipe(session->r, what);
	return loaded(L, session, e, 3);
}

/* engine:load_string(text [, params [, name]]): a script, or one probe in braces. */
static int engine_load_string(lua_State *L)
{
	size_t len;
	engine_check(L, 1);
	lua_settop(L, 4);
	const char *text = luaL_checklstring(L, 2, &len);
	const char *name = luaL_optstring(L, 4, "string");
	struct session *session = session_push(L, 1);
	bool is_probe = text[strspn(text, " \t\r\n")] == '{';
	int e = is_probe ? rille_load_table(session->r, text, name) : rille_load_string(session->r, text, len, name);
	return loaded(L, session, e, 3);
}

/* engine:load_object(bytes [, params]): what session:emit("object") gave, here or elsewhere; attaching needs no compiler. */
static int engine_load_object(lua_State *L)
{
	size_t len;
	engine_check(L, 1);
	lua_settop(L, 3);
	const char *bytes = luaL_checklstring(L, 2, &len);
	struct session *session = session_push(L, 1);
	return loaded(L, session, rille_load_object(session->r, bytes, len), 3);
}

/* --- the loop --- */

static int engine_fd(lua_State *L)
{
	lua_pushinteger(L, engine_check(L, 1)->epoll);
	return 1;
}

static int engine_events(lua_State *L)
{
	lua_pushliteral(L, "r");
	return 1;
}

static int engine_timeout(lua_State *L)
{
	lua_pushnil(L);
	return 1;
}

static int engine_dirty(lua_State *L)
{
	lua_pushboolean(L, 0);
	return 1;
}

static bool runs(const struct session *session)
{
	return session && session->attached && !session->stopped;
}

static size_t count_running(const struct engine *engine)
{
	size_t n = 0;
	for (size_t i = 0; i < engine->nsessions; i++)
		n += runs(engine->sessions[i]);
	return n;
}

/* Runs protected, so that `dispatching` ends with it. Arguments: the engine, its list of sessions, timeout, most. */
static int dispatch_all(lua_State *L)
{
	struct engine *engine = lua_touserdata(L, 1);
	int timeout = (int)lua_tointeger(L, 3), most = (int)lua_tointeger(L, 4), total = 0;
	size_t n = engine->nsessions, first = engine->turn++;
	if (count_running(engine) > 1) {
		struct epoll_event event;
		epoll_wait(engine->epoll, &event, 1, timeout); /* interrupted: a round with nothing to do */
		timeout = 0;
	}
	for (size_t i = 0; i < n && (most == 0 || total < most); i++) {
		struct session *session = engine->sessions[(first + i) % n];
		if (!runs(session))
			continue;
		lua_pushlightuserdata(L, session);
		lua_rawget(L, 2);
		total += run_dispatch(L, session, timeout, most ? most - total : 0);
		lua_pop(L, 1);
	}
	/* Told at once: a loop that waits for the descriptor would not be woken again. */
	if (count_running(engine) == 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, total);
	lua_pushinteger(L, total);
	return 2;
}

static void drop_closed(struct engine *engine)
{
	size_t n = 0;
	for (size_t i = 0; i < engine->nsessions; i++)
		if (engine->sessions[i])
			engine->sessions[n++] = engine->sessions[i];
	engine->nsessions = n;
}

/* engine:dispatch([timeout_ms [, max_events]]): how many events; nil, and how many, if no session runs any more. */
static int engine_dispatch(lua_State *L)
{
	struct engine *engine = engine_check(L, 1);
	lua_Integer timeout = luaL_optinteger(L, 2, -1), most = luaL_optinteger(L, 3, 0);
	luaL_argcheck(L, timeout >= -1 && timeout <= 0x7fffffff, 2, "milliseconds, or -1 for no end");
	luaL_argcheck(L, most >= 0 && most <= 0x7fffffff, 3, "a number of events, or 0 for no bound");
	if (engine->dispatching)
		return luaL_error(L, "dispatch called in a callback of dispatch");
	if (count_running(engine) == 0) {
		lua_pushnil(L);
		lua_pushinteger(L, 0);
		return 2;
	}
	lua_settop(L, 1);
	lua_pushcfunction(L, dispatch_all);
	lua_pushvalue(L, 1);
	compat_get_slots(L, 1);
	lua_rawgeti(L, -1, ENGINE_SESSIONS);
	lua_remove(L, -2);
	lua_pushinteger(L, timeout);
	lua_pushinteger(L, most);
	engine->dispatching = true;
	int failed = lua_pcall(L, 4, 2, 0);
	engine->dispatching = false;
	drop_closed(engine);
	if (failed)
		return lua_error(L);
	if (!lua_isnil(L, -2))
		lua_pop(L, 1);
	return lua_gettop(L) - 1;
}

/* --- what there is: asked of a handle of its own --- */

static int add_item(void *user, const struct rille_item *item)
{
	struct buffer *buffer = user;
	buffer_add_string(buffer, item->name);
	buffer_add_string(buffer, item->summary);
	buffer_add_string(buffer, item->source);
	return buffer->failed ? -ENOMEM : 0;
}

static int add_argument(void *user, const struct rille_argument *argument)
{
	struct buffer *buffer = user;
	buffer_add_string(buffer, argument->name);
	buffer_add_string(buffer, argument->type);
	buffer_add_string(buffer, argument->at_exit ? "at_exit" : "");
	return buffer->failed ? -ENOMEM : 0;
}

static int add_finding(void *user, const struct rille_finding *finding)
{
	struct buffer *buffer = user;
	buffer_add_string(buffer, finding->name);
	buffer_add_string(buffer, finding->detail);
	buffer_add_string(buffer, finding->ok > 0 ? "ok" : finding->ok < 0 ? "optional" : "");
	return buffer->failed ? -ENOMEM : 0;
}

/* A list of tables with the strings of the buffer, three a table, under these keys; what is empty is left out. */
static int push_list(lua_State *L, const struct buffer *buffer, const char *const keys[3])
{
	size_t at = 0;
	const char *text;
	lua_newtable(L);
	for (int i = 1; (text = buffer_next(buffer, &at)); i++) {
		lua_createtable(L, 0, 3);
		for (int k = 0; k < 3 && text; k++) {
			if (*text) {
				lua_pushstring(L, text);
				lua_setfield(L, -2, keys[k]);
			}
			text = k < 2 ? buffer_next(buffer, &at) : NULL;
		}
		lua_rawseti(L, -2, i);
	}
	return 1;
}

/* Raises if asking failed; the buffer is on the top, the session that was asked below. */
static void check_asked(lua_State *L, struct session *session, const struct buffer *buffer, int e)
{
	if (buffer->failed)
		luaL_error(L, "not enough memory");
	if (e < 0)
		failure_raise(L, session->r);
}

static int engine_recipes(lua_State *L)
{
	static const char *const keys[] = {"name", "summary", "source"};
	engine_check(L, 1);
	struct session *session = session_push(L, 1);
	struct buffer *buffer = buffer_push(L);
	check_asked(L, session, buffer, rille_list_recipes(session->r, add_item, buffer));
	session_close(session);
	return push_list(L, buffer, keys);
}

/* engine:probes(glob): names. */
static int engine_probes(lua_State *L)
{
	engine_check(L, 1);
	const char *glob = luaL_optstring(L, 2, "*"), *name;
	struct session *session = session_push(L, 1);
	struct buffer *buffer = buffer_push(L);
	size_t at = 0;
	check_asked(L, session, buffer, rille_list_probes(session->r, glob, add_item, buffer));
	session_close(session);
	lua_newtable(L);
	for (int i = 1; (name = buffer_next(buffer, &at)); i++) {
		lua_pushstring(L, name);
		lua_rawseti(L, -2, i);
		buffer_next(buffer, &at);
		buffer_next(buffer, &at);
	}
	return 1;
}

/* engine:arguments(probe) */
static int engine_arguments(lua_State *L)
{
	static const char *const keys[] = {"name", "type", "scope"};
	engine_check(L, 1);
	const char *probe = luaL_checkstring(L, 2);
	struct session *session = session_push(L, 1);
	struct buffer *buffer = buffer_push(L);
	check_asked(L, session, buffer, rille_list_arguments(session->r, probe, add_argument, buffer));
	session_close(session);
	return push_list(L, buffer, keys);
}

static int engine_doctor(lua_State *L)
{
	static const char *const keys[] = {"name", "detail", "state"};
	engine_check(L, 1);
	struct session *session = session_push(L, 1);
	struct buffer *buffer = buffer_push(L);
	check_asked(L, session, buffer, rille_doctor(session->r, add_finding, buffer));
	session_close(session);
	return push_list(L, buffer, keys);
}

static int engine_tostring(lua_State *L)
{
	const struct engine *engine = any_engine(L, 1);
	if (engine->open)
		lua_pushfstring(L, "rille.engine: %d sessions", (int)engine->nsessions);
	else
		lua_pushliteral(L, "rille.engine: closed");
	return 1;
}

void engine_open(lua_State *L)
{
	static const luaL_Reg methods[] = {{"load", engine_load}, {"load_string", engine_load_string},
	        {"load_object", engine_load_object}, {"fd", engine_fd}, {"pollfd", engine_fd}, {"getfd", engine_fd},
	        {"events", engine_events}, {"timeout", engine_timeout}, {"dirty", engine_dirty},
	        {"dispatch", engine_dispatch}, {"recipes", engine_recipes}, {"probes", engine_probes},
	        {"arguments", engine_arguments}, {"doctor", engine_doctor}, {"close", engine_close}, {NULL, NULL}};
	static const luaL_Reg metamethods[] = {
	        {"__gc", engine_gc}, {"__close", engine_close}, {"__tostring", engine_tostring}, {NULL, NULL}};
	luaL_newmetatable(L, ENGINE);
	compat_functions(L, metamethods);
	lua_newtable(L);
	compat_functions(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}
