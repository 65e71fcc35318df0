/* A session: one script, from loaded to closed. Methods check their arguments, call the library, and push or raise.
 *
 * The library's log comes in the middle of its calls, where Lua must not be entered; it is kept and told when the call has
 * returned. */
#include "module.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* What is kept of a log that nobody was told of yet. */
enum { MOST_LOG = 256 << 10 };

static struct session *any_session(lua_State *L)
{
	return luaL_checkudata(L, 1, SESSION);
}

struct session *session_check(lua_State *L, int idx)
{
	struct session *session = luaL_checkudata(L, idx, SESSION);
	if (!session->r)
		luaL_argerror(L, idx, "the session is closed");
	return session;
}

static void slot_get(lua_State *L, int idx, int slot)
{
	compat_get_slots(L, idx);
	lua_rawgeti(L, -1, slot);
	lua_remove(L, -2);
}

/* Puts what is on the top into a slot. */
static void slot_set(lua_State *L, int idx, int slot)
{
	compat_get_slots(L, idx);
	lua_insert(L, -2);
	lua_rawseti(L, -2, slot);
	lua_pop(L, 1);
}

/* --- making and closing --- */

static void keep_message(void *user, int level, const char *message)
{
	struct session *session = user;
	char digit[2] = {(char)('0' + level), '\0'};
	if (session->log.len > MOST_LOG) {
		session->untold++;
		return;
	}
	buffer_add_string(&session->log, digit);
	buffer_add_string(&session->log, message);
}

static void join(lua_State *L, struct engine *engine, struct session *session)
{
	if (engine->nsessions == engine->cap) {
		size_t cap = 2 * engine->cap + 4;
		struct session **bigger = realloc(engine->sessions, cap * sizeof(struct session *));
		if (!bigger) {
			luaL_error(L, "not enough memory"); /* does not return */
			return;
		}
		engine->sessions = bigger;
		engine->cap = cap;
	}
	engine->sessions[engine->nsessions++] = session;
	session->engine = engine;
}

/* The string in a slot of the engine, whose slots are on the top; it stays there, and alive. */
static const char *option(lua_State *L, int slot)
{
	lua_rawgeti(L, -1, slot);
	const char *text = lua_tostring(L, -1);
	lua_pop(L, 1);
	return text;
}

struct session *session_push(lua_State *L, int at)
{
	struct engine *engine = lua_touserdata(L, at);
	struct session *session = compat_userdata(L, sizeof(*session));
	memset(session, 0, sizeof(*session));
	compat_set_metatable(L, SESSION);
	lua_newtable(L);
	lua_pushvalue(L, at);
	lua_rawseti(L, -2, SESSION_ENGINE);
	lua_newtable(L);
	lua_rawseti(L, -2, SESSION_CALLBACKS);
	lua_newtable(L);
	lua_rawseti(L, -2, SESSION_METATABLES);
	lua_newtable(L);
	lua_rawseti(L, -2, SESSION_VIEWS);
	compat_set_slots(L, -2);
	compat_get_slots(L, at);
	struct rille_options options = {
	        .size = sizeof(options),
	        .log = keep_message,
	        .log_user = session,
	        .log_level = engine->log_level,
	        .cache_dir = option(L, ENGINE_CACHE),
	        .compiler = option(L, ENGINE_COMPILER),
	        .ring_bytes = engine->ring_bytes,
	        .unsafe = engine->unsafe,
	        .strict = engine->strict,
	};
	join(L, engine, session);
	session->r = rille_new(&options);
	lua_pop(L, 1);
	if (!session->r)
		failure_raise_code(L, -errno, "new", strerror(errno));
	return session;
}

/* A child of the process that attached shares its epoll set, in which nothing is the child's to change. */
void session_unwatch(struct session *session)
{
	int fd = session->r ? rille_fd(session->r) : -1;
	if (session->engine && session->engine->epoll >= 0 && fd >= 0 && session->owner == getpid())
		epoll_ctl(session->engine->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void session_close(struct session *session)
{
	session_unwatch(session);
	if (session->engine)
		engine_forget(session->engine, session);
	session->engine = NULL;
	if (session->r) {
		rille_on_event(
		        session->r, NULL, NULL); /* what was not dispatched is dropped: Lua is not entered any more */
		rille_free(session->r);
	}
	session->r = NULL;
	buffer_fini(&session->log);
}

/* The engine keeps a session from its loading to its closing. */
static void keep(lua_State *L, int idx, bool on)
{
	idx = compat_absolute(L, idx);
	slot_get(L, idx, SESSION_ENGINE);
	slot_get(L, -1, ENGINE_SESSIONS);
	lua_pushlightuserdata(L, lua_touserdata(L, idx));
	if (on)
		lua_pushvalue(L, idx);
	else
		lua_pushnil(L);
	lua_rawset(L, -3);
	lua_pop(L, 2);
}

static int session_close_method(lua_State *L)
{
	struct session *session = any_session(L);
	if (session->L)
		return luaL_error(
		        L, "a session cannot be closed in its own callback; session:stop() ends its trace there");
	if (session->r)
		keep(L, 1, false);
	session_close(session);
	return 0;
}

static int session_gc(lua_State *L)
{
	struct session *session = any_session(L);
	if (!session->L)
		session_close(session);
	return 0;
}

void session_tell(lua_State *L, int idx, struct session *session)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	size_t at = 0;
	const char *level, *message;
	if (!session->log.len)
		return;
	idx = compat_absolute(L, idx);
	struct buffer *buffer = buffer_push(L); /* a log function that fails leaves the rest to the collector */
	*buffer = session->log;
	memset(&session->log, 0, sizeof(session->log));
	slot_get(L, idx, SESSION_ENGINE);
	slot_get(L, -1, ENGINE_LOG);
	while (!lua_isnil(L, -1) && (level = buffer_next(buffer, &at)) && (message = buffer_next(buffer, &at))) {
		lua_pushvalue(L, -1);
		lua_pushstring(L, levels[(*level - '0') & 3]);
		lua_pushstring(L, message);
		lua_call(L, 2, 0);
	}
	if (session->untold && !lua_isnil(L, -1)) {
		lua_pushvalue(L, -1);
		lua_pushliteral(L, "warn");
		lua_pushfstring(L, "%d more messages found no room", (int)session->untold);
		session->untold = 0;
		lua_call(L, 2, 0);
	}
	lua_pop(L, 3);
}

/* --- methods --- */

/* The end of most methods: the log is told, a failure raised, the session returned. */
static int done(lua_State *L, struct session *session, int e)
{
	lua_settop(L, 1);
	session_tell(L, 1, session);
	return e < 0 ? failure_raise(L, session->r) : 1;
}

static int session_param(lua_State *L)
{
	struct session *session = session_check(L, 1);
	const char *name = luaL_checkstring(L, 2);
	luaL_checkany(L, 3);
	setting_push(L, 3);
	return done(L, session, rille_set_param(session->r, name, lua_tostring(L, -1)));
}

static int session_set(lua_State *L)
{
	struct session *session = session_check(L, 1);
	const char *name = luaL_checkstring(L, 2);
	luaL_checkany(L, 3);
	setting_push(L, 3);
	return done(L, session, rille_set(session->r, name, lua_tostring(L, -1)));
}

static int session_target_pid(lua_State *L)
{
	struct session *session = session_check(L, 1);
	lua_Integer pid = luaL_checkinteger(L, 2);
	luaL_argcheck(L, pid > 0 && pid <= 0x7fffffff, 2, "a process id");
	return done(L, session, rille_target_pid(session->r, (int)pid));
}

static int session_target_comm(lua_State *L)
{
	struct session *session = session_check(L, 1);
	return done(L, session, rille_target_comm(session->r, luaL_checkstring(L, 2)));
}

static int session_target_uid(lua_State *L)
{
	struct session *session = session_check(L, 1);
	int64_t uid = integer_check(L, 2);
	luaL_argcheck(L, uid >= 0 && uid <= UINT32_MAX, 2, "a user id");
	return done(L, session, rille_target_uid(session->r, (uint32_t)uid));
}

static void keep_file(lua_State *L, int file)
{
	slot_get(L, 1, SESSION_FILES);
	if (lua_isnil(L, -1)) {
		lua_newtable(L);
		lua_pushvalue(L, -1);
		slot_set(L, 1, SESSION_FILES);
		lua_remove(L, -2);
	}
	lua_pushvalue(L, file);
	lua_rawseti(L, -2, (int)compat_length(L, -2) + 1);
	lua_pop(L, 1);
}

/* session:add_output(format, path | file | descriptor) */
static int session_add_output(lua_State *L)
{
	struct session *session = session_check(L, 1);
	const char *format = luaL_checkstring(L, 2);
	FILE **file = compat_test(L, 3, LUA_FILEHANDLE);
	const char *path = lua_type(L, 3) == LUA_TSTRING ? lua_tostring(L, 3) : NULL;
	int fd = -1;
	if (file) {
		if (!*file)
			return luaL_argerror(L, 3, "a closed file");
		fflush(*file);
		fd = fileno(*file);
	} else if (!path) {
		fd = (int)luaL_checkinteger(L, 3);
	}
	int e = rille_add_output(session->r, format, path, fd);
	if (file) /* its descriptor is to stay open for as long as the session lives */
		keep_file(L, 3);
	return done(L, session, e);
}

static int session_on_event(lua_State *L)
{
	struct session *session = session_check(L, 1);
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	slot_get(L, 1, SESSION_CALLBACKS);
	lua_insert(L, -2);
	lua_rawseti(L, -2, 0);
	lua_settop(L, 1);
	run_listen(session, true);
	return 1;
}

static int session_params(lua_State *L)
{
	struct session *session = session_check(L, 1);
	struct rille_param param;
	lua_newtable(L);
	for (int i = 0; rille_param(session->r, (size_t)i, &param) == 0; i++) {
		const char *const pairs[][2] = {
		        {"name", param.name}, {"type", param.type}, {"help", param.help}, {"default", param.fallback}};
		lua_createtable(L, 0, 4);
		for (int k = 0; k < 4; k++) {
			lua_pushstring(L, pairs[k][1]);
			lua_setfield(L, -2, pairs[k][0]);
		}
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

static int session_summary(lua_State *L)
{
	lua_pushstring(L, rille_summary(session_check(L, 1)->r));
	return 1;
}

static int session_check_method(lua_State *L)
{
	struct session *session = session_check(L, 1);
	return done(L, session, rille_check(session->r));
}

/* session:emit("c" | "asm" | "object"): the text or the bytes. */
static int session_emit(lua_State *L)
{
	static const char *const forms[] = {"c", "asm", "object", NULL};
	static const enum rille_emit whats[] = {RILLE_EMIT_C, RILLE_EMIT_ASM, RILLE_EMIT_OBJECT};
	struct session *session = session_check(L, 1);
	int form = luaL_checkoption(L, 2, "c", forms);
	struct buffer *buffer = buffer_push(L);
	void *data = NULL;
	int e = rille_emit(session->r, (int)whats[form], &data, &buffer->len);
	buffer->data = data;
	session_tell(L, 1, session);
	if (e < 0)
		return failure_raise(L, session->r);
	lua_pushlstring(L, buffer->data, buffer->len);
	return 1;
}

static int session_attach(lua_State *L)
{
	struct session *session = session_check(L, 1);
	int e = rille_attach(session->r);
	if (e < 0)
		return done(L, session, e);
	struct epoll_event event = {.events = EPOLLIN};
	if (epoll_ctl(session->engine->epoll, EPOLL_CTL_ADD, rille_fd(session->r), &event) < 0)
		return failure_raise_code(L, -errno, "epoll", strerror(errno));
	session->attached = true;
	session->owner = getpid();
	return done(L, session, e);
}

/* session:stop([reason]): in a callback of this session it ends the trace after the event. */
static int session_stop(lua_State *L)
{
	struct session *session = session_check(L, 1);
	const char *reason = luaL_optstring(L, 2, NULL);
	lua_settop(L, 2);
	if (session->L) {
		session->end = true;
		slot_set(L, 1, SESSION_REASON);
		return 1;
	}
	lua_pushvalue(L, 1);
	if (session->attached && !session->stopped)
		run_stop(L, session, reason);
	lua_settop(L, 1);
	return 1;
}

/* session:report([reason]): has the outputs that tell a state tell it now. */
static int session_report(lua_State *L)
{
	struct session *session = session_check(L, 1);
	return done(L, session, rille_report(session->r, luaL_optstring(L, 2, NULL)));
}

/* session:snapshot(): instead of attaching, what such outputs can see from outside, once. */
static int session_snapshot(lua_State *L)
{
	struct session *session = session_check(L, 1);
	int e = rille_snapshot(session->r);
	session->stopped |= e == 0;
	return done(L, session, e);
}

/* session:over(): why the trace ended, nil while it has not. */
static int session_over(lua_State *L)
{
	session_check(L, 1);
	slot_get(L, 1, SESSION_OVER);
	return 1;
}

static void push_count(lua_State *L, const char *key, uint64_t count)
{
	integer_push_unsigned(L, count);
	lua_setfield(L, -2, key);
}

static void push_totals(lua_State *L, const struct rille_totals *totals)
{
	lua_createtable(L, 0, 13);
	lua_pushstring(L, totals->probe);
	lua_setfield(L, -2, "probe");
	push_count(L, "seen", totals->seen);
	push_count(L, "target", totals->target);
	push_count(L, "passed", totals->passed);
	push_count(L, "sent", totals->sent);
	push_count(L, "lost_ring", totals->lost_ring);
	push_count(L, "lost_entry", totals->lost_entry);
	push_count(L, "lost_compat", totals->lost_compat);
	push_count(L, "lost_limit", totals->lost_limit);
	push_count(L, "lost_full", totals->lost_full);
	push_count(L, "callback_errors", totals->callback_errors);
	push_count(L, "unresolved", totals->unresolved);
	lua_pushstring(L, totals->unresolved_why);
	lua_setfield(L, -2, "unresolved_why");
}

/* session:stats(): a table a probe. */
static int session_stats(lua_State *L)
{
	struct session *session = session_check(L, 1);
	size_t n = rille_probe_count(session->r);
	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		struct rille_totals totals = {.size = sizeof(totals)};
		if (rille_probe_stats(session->r, i, &totals) < 0)
			continue;
		push_totals(L, &totals);
		lua_rawseti(L, -2, (int)i + 1);
	}
	return 1;
}

/* session:phases(): { { name = "compile", nsecs = … }, … } */
static int session_phases(lua_State *L)
{
	struct session *session = session_check(L, 1);
	struct rille_phase phases[32];
	size_t n = rille_phases(session->r, phases, sizeof(phases) / sizeof(*phases));
	lua_newtable(L);
	for (size_t i = 0; i < n && i < sizeof(phases) / sizeof(*phases); i++) {
		lua_createtable(L, 0, 2);
		lua_pushstring(L, phases[i].name);
		lua_setfield(L, -2, "name");
		push_count(L, "nsecs", phases[i].nsecs);
		lua_rawseti(L, -2, (int)i + 1);
	}
	return 1;
}

static int session_mechanisms(lua_State *L)
{
	lua_pushstring(L, rille_mechanisms(session_check(L, 1)->r));
	return 1;
}

static int session_tostring(lua_State *L)
{
	const struct session *session = any_session(L);
	const char *state = !session->r         ? "closed"
	                    : session->stopped  ? "stopped"
	                    : session->attached ? "running"
	                                        : "loaded";
	lua_pushfstring(L, "rille.session: %s", state);
	return 1;
}

void session_open(lua_State *L)
{
	static const luaL_Reg methods[] = {{"param", session_param}, {"set", session_set},
	        {"target_pid", session_target_pid}, {"target_comm", session_target_comm},
	        {"target_uid", session_target_uid}, {"add_output", session_add_output}, {"on_event", session_on_event},
	        {"params", session_params}, {"summary", session_summary}, {"check", session_check_method},
	        {"emit", session_emit}, {"attach", session_attach}, {"stop", session_stop}, {"report", session_report},
	        {"snapshot", session_snapshot}, {"origin", session_origin}, {"over", session_over},
	        {"stats", session_stats}, {"phases", session_phases}, {"mechanisms", session_mechanisms},
	        {"close", session_close_method}, {NULL, NULL}};
	static const luaL_Reg metamethods[] = {{"__gc", session_gc}, {"__close", session_close_method},
	        {"__tostring", session_tostring}, {NULL, NULL}};
	luaL_newmetatable(L, SESSION);
	compat_functions(L, metamethods);
	lua_newtable(L);
	compat_functions(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}

void session_keep(lua_State *L, int idx)
{
	keep(L, idx, true);
}
