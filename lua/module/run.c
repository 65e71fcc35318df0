/* Events on their way from the library into Lua.
 *
 * The library calls on_event() in the middle of its own work. A Lua error is a longjmp and must not pass it, so what may
 * raise, if only for want of memory, is in protected calls: the callback, and preparing what the next events need. In
 * between are functions of Lua that do not raise: they copy values on a stack that has room, read tables raw, and set the
 * metatable of a userdata that has none.
 *
 * A callback that raises does not end the trace: the event counts as handled, the rest of the round is delivered, and
 * dispatch raises the first error when the library has returned. A callback cannot yield.
 *
 * The callbacks run in the coroutine that called dispatch. */
#include "module.h"

#include <errno.h>

/* Protected. Argument: the session. */
static int prepare(lua_State *L)
{
	event_prepare(L, lua_touserdata(L, 1), 1);
	return 0;
}

/* Pushes who is to be called; false, and nothing pushed, if there is nobody. */
static bool push_callback(lua_State *L, const struct session *session)
{
	lua_rawgeti(L, session->callbacks, (int)session->head.declared + 1);
	if (!lua_isnil(L, -1))
		return true;
	lua_pop(L, 1);
	lua_rawgeti(L, session->callbacks, 0);
	if (!lua_isnil(L, -1))
		return true;
	lua_pop(L, 1);
	return false;
}

/* Calls the function on the top with the event, and pops it. Returns Lua's status; the error is then on the top. */
static int call(lua_State *L, struct session *session)
{
	if (!event_push(L, session, session->metatables, session->views)) {
		lua_pushvalue(L, session->prepare);
		lua_pushvalue(L, session->self);
		int status = lua_pcall(L, 1, 0, 0);
		if (status) {
			lua_remove(L, -2);
			return status;
		}
		event_push(L, session, session->metatables, session->views);
	}
	lua_pushvalue(L, session->self);
	return lua_pcall(L, 2, 0, 0);
}

static int on_event(void *user, const rille_event *event)
{
	struct session *session = user;
	lua_State *L = session->L;
	session->head.size = sizeof(session->head);
	if (!L || rille_event_head(event, &session->head) < 0 || !push_callback(L, session))
		return 0;
	session->event = event;
	int status = call(L, session);
	event_end(session);
	if (status && !session->failed)
		lua_replace(L, session->error);
	else if (status)
		lua_pop(L, 1);
	session->failed |= status != 0;
	if (session->end)
		return RILLE_END;
	return status ? -ECANCELED : 0;
}

void run_listen(struct session *session, bool on)
{
	rille_on_event(session->r, on ? on_event : NULL, session);
}

/* Pushes the table in that slot of the session; returns its index. */
static int push_slot(lua_State *L, const struct session *session, int slot)
{
	compat_get_slots(L, session->self);
	lua_rawgeti(L, -1, slot);
	lua_remove(L, -2);
	return lua_gettop(L);
}

/* Before and after a call of the library that may call back. The session is on the top. */
static void begin(lua_State *L, struct session *session)
{
	luaL_checkstack(L, LUA_MINSTACK, "events");
	session->self = lua_gettop(L);
	lua_pushnil(L);
	session->error = lua_gettop(L);
	lua_pushcfunction(L, prepare);
	session->prepare = lua_gettop(L);
	session->callbacks = push_slot(L, session, SESSION_CALLBACKS);
	session->metatables = push_slot(L, session, SESSION_METATABLES);
	session->views = push_slot(L, session, SESSION_VIEWS);
	session->failed = session->end = false;
	session->L = L;
}

/* The stack is as it was before begin(), but for the error of a callback, which is above it. */
static void end(lua_State *L, struct session *session)
{
	session->L = NULL;
	lua_settop(L, session->error);
}

/* After end(): the trace is over, and nothing of it is left to be delivered. */
static void finished(lua_State *L, struct session *session, const char *reason)
{
	compat_get_slots(L, session->self);
	lua_pushstring(L, reason);
	lua_rawseti(L, -2, SESSION_OVER);
	lua_pop(L, 1);
	session->stopped = true;
	session_unwatch(session);
}

/* What a callback gave to session:stop(); it stays in the slots. */
static const char *asked_reason(lua_State *L, struct session *session)
{
	compat_get_slots(L, session->self);
	lua_rawgeti(L, -1, SESSION_REASON);
	const char *reason = lua_tostring(L, -1);
	lua_pop(L, 2);
	return reason;
}

/* Between begin() and end(): the report, and the events before it. `reason` NULL: the library's. */
static int stop(lua_State *L, struct session *session, const char *reason)
{
	return rille_stop(session->r, reason ? reason : asked_reason(L, session));
}

/* Ends the call, which stopped the session if `reason` is not NULL, and raises what is to be raised. */
static void raise_failures(lua_State *L, struct session *session, int e, const char *reason)
{
	end(L, session);
	if (reason)
		finished(L, session, reason);
	session_tell(L, session->self, session);
	if (session->failed)
		lua_error(L); /* what the callback raised, as it was */
	if (e < 0)
		failure_raise(L, session->r);
	lua_settop(L, session->self);
}

/* Why the trace ends: what its stopper said, else what the library says. */
static const char *final_reason(lua_State *L, struct session *session, const char *given)
{
	const char *over = rille_over_reason(session->r), *asked = given ? given : asked_reason(L, session);
	return asked ? asked : over ? over : "done";
}

int run_dispatch(lua_State *L, struct session *session, int timeout_ms, int max_events)
{
	const char *reason = NULL;
	begin(L, session);
	int n = rille_dispatch(session->r, timeout_ms, max_events), e = n;
	if (n == -ESHUTDOWN || (n >= 0 && rille_over_reason(session->r))) {
		e = stop(L, session, NULL);
		reason = final_reason(L, session, NULL);
	}
	raise_failures(L, session, e, reason);
	return n > 0 ? n : 0;
}

void run_stop(lua_State *L, struct session *session, const char *reason)
{
	begin(L, session);
	int e = stop(L, session, reason);
	raise_failures(L, session, e, final_reason(L, session, reason));
}
