/* Events on their way from the library into Lua.
 *
 * The library calls on_event() in the middle of its own work. A Lua error is a longjmp and must not pass it, so each event is
 * one protected call, of a function that was pushed beforehand: nothing outside it can raise, not even for want of memory.
 *
 * A callback that raises does not end the trace: the event counts as handled, the rest of the round is delivered, and
 * dispatch raises the first error when the library has returned. A callback cannot yield.
 *
 * The callbacks run in the coroutine that called dispatch. */
#include "module.h"

#include <errno.h>

/* Protected. Argument: the session. A probe's own callback is called in place of the session's. */
static int enter(lua_State *L)
{
	struct session *session = lua_touserdata(L, 1);
	compat_get_slots(L, 1);
	lua_rawgeti(L, 2, SESSION_PROBES);
	if (lua_istable(L, 3))
		lua_rawgeti(L, 3, (int)session->head.declared + 1);
	if (!lua_isfunction(L, -1))
		lua_rawgeti(L, 2, SESSION_ON_EVENT);
	if (!lua_isfunction(L, -1))
		return 0;
	event_push(L, session, 2);
	lua_pushvalue(L, 1);
	lua_call(L, 2, 0);
	return 0;
}

static int on_event(void *user, const rille_event *event)
{
	struct session *session = user;
	lua_State *L = session->L;
	session->head.size = sizeof(session->head);
	if (!L || rille_event_head(event, &session->head) < 0)
		return 0;
	session->event = event;
	lua_pushvalue(L, session->enter);
	lua_pushvalue(L, session->self);
	int status = lua_pcall(L, 1, 0, 0);
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

/* Before and after a call of the library that may call back. The session is on the top. */
static void begin(lua_State *L, struct session *session)
{
	luaL_checkstack(L, LUA_MINSTACK, "events");
	session->self = lua_gettop(L);
	lua_pushnil(L);
	session->error = lua_gettop(L);
	lua_pushcfunction(L, enter);
	session->enter = lua_gettop(L);
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
