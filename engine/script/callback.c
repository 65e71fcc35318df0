/* The run phase: the session's calls, each one protected call into Lua.
 *
 * Whatever a callback does (raises, loops, eats memory), the trace goes on: the error is reported with its place and a
 * traceback, counted, and the event goes to the outputs as if there were no callback, unless the callback had sent it
 * on before it failed. A callback that fails at every event would flood the log, so after a few reports errors are only
 * counted; the totals at the end tell. One that used up its budget of time or memory three times would, at every event,
 * take so long that events were lost: it is switched off, and says so. With `strict` the first error ends the trace.
 *
 * Everything that can raise, pushing the event included, happens inside the protected call. Nothing here enters Lua for
 * a probe without callback. */
#include "engine/script/state.h"

#include <errno.h>
#include <string.h>

enum {
	REPORTED = 3, /* errors of one callback that are told in full */
	PATIENCE = 3, /* times that one may use up its budget */
};

/* What one callback is called with. */
struct call {
	struct script_function *function;
	const char *name;
	struct event *event;                   /* on_event */
	pid_t pid;                             /* on_exec, on_exit */
	const char *comm;                      /* on_exec */
	const struct probe_schema *lost_probe; /* on_lost */
	uint64_t lost;
};

/* Runs inside the protected call: pushes function and arguments, and calls. */
static int enter(lua_State *L)
{
	const struct call *call = lua_touserdata(L, 1);
	struct script *script = script_of(L);
	lua_rawgeti(L, LUA_REGISTRYINDEX, call->function->ref);
	if (call->event)
		view_push(L, call->event);
	if (call->pid)
		lua_pushinteger(L, call->pid);
	if (call->comm)
		lua_pushstring(L, call->comm);
	if (call->lost_probe) {
		lua_pushstring(L, call->lost_probe->name);
		lua_pushinteger(L, (lua_Integer)call->lost);
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, script->output);
	lua_call(L, lua_gettop(L) - 2, 0);
	if (script->box.exhausted) /* the script has caught the error, but not used less */
		sandbox_charge(L, 0);
	return 0;
}

static void tell(struct script *script, const struct err *err)
{
	struct text message = {0};
	err_format(err, &message);
	text_add(&message, text_str(&script->scratch), script->scratch.len); /* the traceback */
	if (message.len && message.data[message.len - 1] == '\n')
		message.len--;
	log_warn(&script->logger, "%.*s", (int)message.len, text_str(&message));
	text_fini(&message);
}

static bool is_off(const struct script_function *function)
{
	return function->exhausted >= PATIENCE;
}

/* Accounts for a failed call and tells of it; under `strict` returns the code that ends the trace. */
static int fail(struct script *script, int status, const struct call *call, struct err *err)
{
	struct script_function *function = call->function;
	struct err mine = {0};
	failure_take(script, status, call->name, &mine);
	function->errors++;
	if (script->box.exhausted || status == LUA_ERRMEM) {
		function->exhausted++;
		lua_gc(script->box.L,
		        LUA_GCCOLLECT); /* Lua's own emergency collection leaves large stacks as they are */
	}
	if (script->strict) {
		if (script->scratch.len)
			log_info(&script->logger, "%s", text_str(&script->scratch));
		if (err)
			*err = mine;
		return mine.code;
	}
	if (function->errors <= REPORTED)
		tell(script, &mine);
	if (is_off(function))
		log_warn(&script->logger, "%s used up its budget %d times and is switched off%s", call->name, PATIENCE,
		        call->event ? "; events go to the outputs as if it were not there" : "");
	else if (function->errors == REPORTED)
		log_warn(&script->logger, "%s: further errors are counted, not shown", call->name);
	return 0;
}

/* The one protected call. */
static int protected_call(struct script *script, const struct call *call, enum sandbox_budget budget)
{
	lua_State *L = script->box.L;
	script->emitted = false;
	sandbox_enter(&script->box, budget);
	lua_pushcfunction(L, failure_handler);
	lua_pushcfunction(L, enter);
	lua_pushlightuserdata(L, (void *)call);
	int status = lua_pcall(L, 1, 0, -3);
	view_end(script);
	processes_end(script->processes);
	lua_remove(L, status == LUA_OK ? -1 : -2); /* the handler */
	return status;
}

static void emit(struct script *script, struct event *event)
{
	int r = session_emit_event(script->session, event);
	if (r < 0 && !script->failure)
		script->failure = r;
}

static int run(struct script *script, const struct call *call, enum sandbox_budget budget, struct err *err)
{
	int r = 0;
	script->failure = 0;
	if (is_off(call->function)) {
		if (call->event)
			emit(script, call->event);
		return script->failure;
	}
	int status = protected_call(script, call, budget);
	if (status != LUA_OK) {
		r = fail(script, status, call, err);
		if (call->event && !script->emitted)
			emit(script, call->event);
	}
	return r < 0 ? r : script->failure;
}

static int on_event(void *user, struct event *event, struct err *err)
{
	struct script *script = user;
	struct script_probe *probe = &script->probes[event->probe->spec_probe];
	struct call call = {.function = &probe->on_event, .name = "on_event", .event = event};
	return run(script, &call, BUDGET_EVENT, err);
}

/* The others are installed only if the script has them. */

static int on_start(void *user, struct err *err)
{
	struct script *script = user;
	struct call call = {.function = &script->callbacks.on_start, .name = "on_start"};
	return run(script, &call, BUDGET_REPORT, err);
}

static int on_end(void *user, struct err *err)
{
	struct script *script = user;
	struct call call = {.function = &script->callbacks.on_end, .name = "on_end"};
	return run(script, &call, BUDGET_REPORT, err);
}

static int on_tick(void *user, struct err *err)
{
	struct script *script = user;
	struct call call = {.function = &script->callbacks.every, .name = "every"};
	return run(script, &call, BUDGET_TICK, err);
}

static int on_process_exec(void *user, pid_t pid, const char *comm, struct err *err)
{
	struct script *script = user;
	struct call call = {
	        .function = &script->callbacks.on_exec, .name = "on_exec", .pid = pid, .comm = comm ? comm : ""};
	return run(script, &call, BUDGET_EVENT, err);
}

static int on_process_exit(void *user, pid_t pid, struct err *err)
{
	struct script *script = user;
	struct call call = {.function = &script->callbacks.on_exit, .name = "on_exit", .pid = pid};
	return run(script, &call, BUDGET_EVENT, err);
}

static int on_lost(void *user, const struct probe_schema *probe, uint64_t lost, struct err *err)
{
	struct script *script = user;
	struct call call = {
	        .function = &script->callbacks.on_lost, .name = "on_lost", .lost_probe = probe, .lost = lost};
	return run(script, &call, BUDGET_EVENT, err);
}

static uint64_t callback_errors(void *user, size_t probe)
{
	struct script *script = user;
	return probe < script->spec->nprobes ? script->probes[probe].on_event.errors : 0;
}

static const struct origins *origins(void *user, struct err *err)
{
	return script_origins(user, err);
}

static bool has(const struct script_function *function)
{
	return function->ref != LUA_NOREF;
}

void callback_install(struct script *script)
{
	const struct script_callbacks *have = &script->callbacks;
	struct session_callbacks callbacks = {
	        .user = script,
	        .on_start = has(&have->on_start) ? on_start : NULL,
	        .on_exec = has(&have->on_exec) ? on_process_exec : NULL,
	        .on_exit = has(&have->on_exit) ? on_process_exit : NULL,
	        .on_lost = has(&have->on_lost) ? on_lost : NULL,
	        .on_end = has(&have->on_end) ? on_end : NULL,
	        .on_tick = has(&have->every) ? on_tick : NULL,
	        .callback_errors = callback_errors,
	        .origins = origins,
	        .tick_ns = has(&have->every) ? (uint64_t)(have->every_seconds * 1e9) : 0,
	};
	for (size_t i = 0; i < script->spec->nprobes; i++)
		if (script->spec->probes[i].has_callback)
			callbacks.on_event = on_event;
	session_set_callbacks(script->session, &callbacks);
}
