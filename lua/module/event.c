/* Events as callbacks see them: a view, not a copy, as in scripts.
 *
 * `ev.fd` finds the field's number, kind and shape in a table that belongs to the attached probe, and asks the library
 * for that one value. A view is made for each event, so that the use of an old one is an error and not the next event.
 *
 * This is the way that every event takes, so it has few steps: a view's slots are the names of its probe, which also
 * lead to the session's slots, and types are compared with a metatable at hand, not with one that is looked up by name. */
#include "module.h"

#include <errno.h>
#include <sys/socket.h>

struct view {
	struct session *session; /* NULL: its callback has returned */
};

/* Names that every event has; their numbers in a table of names are below zero: -1 - the index here. */
enum builtin {
	BUILTIN_PROBE,
	BUILTIN_TIME,
	BUILTIN_NSECS,
	BUILTIN_NUMBER,
	BUILTIN_PID,
	BUILTIN_TID,
	BUILTIN_PPID,
	BUILTIN_COMM,
	BUILTIN_USTACK,
	BUILTIN_KSTACK,
	BUILTIN_USTACK_END,
	BUILTIN_KSTACK_END,
	BUILTIN_CONTAINER,
	BUILTIN_LAST,
};
static const char *const builtins[BUILTIN_LAST] = {"probe", "time", "nsecs", "number", "pid", "tid", "ppid", "comm",
        "ustack", "kstack", "ustack_end", "kstack_end", "container"};

/* A field's number in a table of names: its index, then whether it is an array, then its kind. */
enum { KIND_BITS = 3, ARRAY_BIT = 1 << KIND_BITS, INDEX_SHIFT = KIND_BITS + 1 };

static struct session *live_session(lua_State *L, const struct view *view)
{
	if (!view->session)
		luaL_error(L, "event used after its callback; ev:copy() makes a table that can be kept");
	return view->session;
}

static struct session *view_check(lua_State *L)
{
	return live_session(L, luaL_checkudata(L, 1, EVENT));
}

/* The same for __index, whose upvalue is the metatable. */
static struct session *view_check_fast(lua_State *L)
{
	if (!lua_getmetatable(L, 1) || !lua_rawequal(L, -1, lua_upvalueindex(1)))
		luaL_checkudata(L, 1, EVENT);
	lua_pop(L, 1);
	return live_session(L, lua_touserdata(L, 1));
}

/* In a table of names, the session's slots. */
enum { NAMES_SLOTS = 1 };

/* --- fields --- */

static int push_missing(lua_State *L, struct session *session, int e)
{
	if (e != -ENODATA)
		return failure_raise(L, session->r);
	lua_pushnil(L);
	return 1;
}

static int push_integer(lua_State *L, struct session *session, int field, int kind)
{
	int64_t value;
	uint64_t big;
	int e = kind == RILLE_UINT ? rille_event_u64(session->event, field, &big)
	                           : rille_event_i64(session->event, field, &value);
	if (e < 0)
		return push_missing(L, session, e);
	if (kind == RILLE_BOOL)
		lua_pushboolean(L, value != 0);
	else if (kind == RILLE_UINT)
		integer_push_unsigned(L, big);
	else
		integer_push(L, value);
	return 1;
}

static int push_array(lua_State *L, struct session *session, int field, int kind)
{
	int64_t values[64];
	uint64_t has;
	int n = rille_event_array(session->event, field, values, 64, &has);
	if (n < 0)
		return push_missing(L, session, n);
	lua_createtable(L, n, 0);
	for (int i = 0; i < n && i < 64; i++) {
		if (!(has >> i & 1))
			continue;
		if (kind == RILLE_UINT)
			integer_push_unsigned(L, (uint64_t)values[i]);
		else
			integer_push(L, values[i]);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

static int push_bytes(lua_State *L, struct session *session, int field)
{
	const void *data;
	size_t len;
	int e = rille_event_bytes(session->event, field, &data, &len);
	if (e < 0)
		return push_missing(L, session, e);
	lua_pushlstring(L, data, len);
	return 1;
}

static int push_address(lua_State *L, struct session *session, int field)
{
	struct sockaddr_storage address;
	const char *text;
	size_t text_len;
	int len = rille_event_sockaddr(session->event, field, &address, sizeof(address));
	int e = len < 0 ? len : rille_event_show(session->event, field, &text, &text_len);
	if (e < 0)
		return push_missing(L, session, e);
	value_push_address(L, &address, (size_t)len < sizeof(address) ? (size_t)len : sizeof(address), text, text_len);
	return 1;
}

static int push_field(lua_State *L, struct session *session, int number)
{
	int kind = number & (ARRAY_BIT - 1), field = number >> INDEX_SHIFT;
	if (number & ARRAY_BIT)
		return push_array(L, session, field, kind);
	switch (kind) {
	case RILLE_TEXT:
	case RILLE_BYTES:
		return push_bytes(L, session, field);
	case RILLE_SOCKADDR:
		return push_address(L, session, field);
	default:
		return push_integer(L, session, field, kind);
	}
}

/* --- what every event has --- */

/* The stack as a table, the same each time the callback asks. */
static int push_stack(lua_State *L, struct session *session, int side)
{
	int slot = side == RILLE_USER ? SESSION_USTACK : SESSION_KSTACK;
	struct rille_stack stack = {.size = sizeof(stack)};
	compat_get_slots(L, 1);
	lua_rawgeti(L, -1, NAMES_SLOTS);
	lua_remove(L, -2);
	lua_rawgeti(L, -1, slot);
	if (lua_isnil(L, -1) && rille_event_stack(session->event, side, &stack) == 0) {
		lua_pop(L, 1);
		value_push_stack(L, &stack);
		lua_pushvalue(L, -1);
		lua_rawseti(L, -3, slot);
		session->stacks_kept = true;
	}
	lua_remove(L, -2);
	return 1;
}

static int push_stack_end(lua_State *L, struct session *session, int side)
{
	struct rille_stack stack = {.size = sizeof(stack)};
	lua_pushstring(L, rille_event_stack(session->event, side, &stack) == 0 ? stack.end : NULL);
	return 1;
}

static int push_container(lua_State *L, struct session *session)
{
	const char *name;
	lua_pushstring(L, rille_event_container(session->event, &name) == 0 ? name : NULL);
	return 1;
}

static int push_builtin(lua_State *L, struct session *session, enum builtin which)
{
	const struct rille_head *head = &session->head;
	switch (which) {
	case BUILTIN_PROBE:
		lua_pushstring(L, head->probe_name);
		return 1;
	case BUILTIN_TIME:
		integer_push(L, head->time);
		return 1;
	case BUILTIN_NSECS:
		integer_push_unsigned(L, head->nsecs);
		return 1;
	case BUILTIN_NUMBER:
		integer_push_unsigned(L, head->number);
		return 1;
	case BUILTIN_PID:
		lua_pushinteger(L, head->pid);
		return 1;
	case BUILTIN_TID:
		lua_pushinteger(L, head->tid);
		return 1;
	case BUILTIN_PPID:
		lua_pushinteger(L, head->ppid);
		return 1;
	case BUILTIN_COMM:
		/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): an array in the session */
		lua_pushlstring(L, head->comm, strnlen(head->comm, sizeof(head->comm)));
		return 1;
	case BUILTIN_USTACK:
	case BUILTIN_KSTACK:
		return push_stack(L, session, which == BUILTIN_USTACK ? RILLE_USER : RILLE_KERNEL_SIDE);
	case BUILTIN_USTACK_END:
	case BUILTIN_KSTACK_END:
		return push_stack_end(L, session, which == BUILTIN_USTACK_END ? RILLE_USER : RILLE_KERNEL_SIDE);
	case BUILTIN_CONTAINER:
		return push_container(L, session);
	case BUILTIN_LAST:
		break;
	}
	lua_pushnil(L);
	return 1;
}

static int push_member(lua_State *L, struct session *session, int number)
{
	if (number < 0)
		return push_builtin(L, session, (enum builtin)(-1 - number));
	return push_field(L, session, number);
}

/* --- access --- */

static bool is_declared(struct session *session, const char *name)
{
	struct rille_field_info info = {.size = sizeof(info)};
	size_t probes = rille_probe_count(session->r);
	for (size_t probe = 0; probe < probes; probe++)
		for (size_t i = 0; rille_probe_field(session->r, probe, i, &info) == 0; i++)
			if (strcmp(info.name, name) == 0)
				return true;
	return false;
}

/* The name of another probe's field is nil; of none, a typing error. */
static int unknown_field(lua_State *L, struct session *session)
{
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
	if (!name)
		return luaL_error(L, "an event's fields have names, this is a %s", luaL_typename(L, 2));
	if (is_declared(session, name)) {
		lua_pushnil(L);
		return 1;
	}
	rille_event_field(session->event, name); /* the library knows what was probably meant */
	const struct rille_error *error = rille_last_error(session->r);
	const char *hint = strstr(error->formatted, "\nhint: ");
	return luaL_error(L, "%s%s", error->message, hint ? hint : "");
}

static int event_index(lua_State *L)
{
	struct session *session = view_check_fast(L);
	compat_get_slots(L, 1);
	lua_pushvalue(L, 2);
	lua_rawget(L, -2);
	if (lua_type(L, -1) == LUA_TNUMBER)
		return push_member(L, session, (int)lua_tointeger(L, -1));
	return lua_isnil(L, -1) || lua_type(L, 2) != LUA_TSTRING ? unknown_field(L, session) : 1;
}

static int event_newindex(lua_State *L)
{
	return luaL_error(L, "events cannot be changed; ev:copy() makes a table that can");
}

/* ev:copy(): everything, as a plain table; but not what a file of /proc would have to be read for. */
static int event_copy(lua_State *L)
{
	struct session *session = view_check(L);
	lua_settop(L, 1);
	lua_newtable(L);
	compat_get_slots(L, 1);
	lua_pushnil(L);
	while (lua_next(L, 3)) {
		if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TNUMBER &&
		        lua_tointeger(L, -1) != -1 - BUILTIN_CONTAINER) {
			lua_pushvalue(L, -2);
			push_member(L, session, (int)lua_tointeger(L, -2));
			lua_rawset(L, 2);
		}
		lua_pop(L, 1);
	}
	lua_settop(L, 2);
	return 1;
}

/* ev:show(name): as the text output shows it. */
static int event_show(lua_State *L)
{
	const char *text;
	size_t len;
	struct session *session = view_check(L);
	luaL_checkstring(L, 2);
	lua_settop(L, 2);
	compat_get_slots(L, 1);
	lua_pushvalue(L, 2);
	lua_rawget(L, 3);
	if (lua_type(L, -1) != LUA_TNUMBER)
		return unknown_field(L, session);
	int number = (int)lua_tointeger(L, -1);
	if (number < 0) {
		push_builtin(L, session, (enum builtin)(-1 - number));
		if (lua_istable(L, -1))
			return value_show_stack(L);
		compat_tostring(L, -1);
		return 1;
	}
	if (rille_event_show(session->event, number >> INDEX_SHIFT, &text, &len) < 0)
		return failure_raise(L, session->r);
	lua_pushlstring(L, text, len);
	return 1;
}

/* ev:json(): as the output `jsonl` writes it. */
static int event_json(lua_State *L)
{
	const char *text;
	size_t len;
	struct session *session = view_check(L);
	if (rille_event_json(session->event, &text, &len) < 0)
		return failure_raise(L, session->r);
	lua_pushlstring(L, text, len);
	return 1;
}

static int event_tostring(lua_State *L)
{
	const struct view *view = luaL_checkudata(L, 1, EVENT);
	lua_pushfstring(L, "rille.event: %s", view->session ? view->session->head.probe_name : "of the past");
	return 1;
}

/* --- making --- */

static const luaL_Reg methods[] = {{"copy", event_copy}, {"show", event_show}, {"json", event_json}, {NULL, NULL}};

/* Pushes the table of the probe's names, made at its first event; `names` is the index of the table of tables. */
static void push_names(lua_State *L, struct session *session, int names, int slots)
{
	size_t probe = session->head.probe;
	struct rille_field_info info = {.size = sizeof(info)};
	lua_rawgeti(L, names, (int)probe);
	if (!lua_isnil(L, -1))
		return;
	lua_pop(L, 1);
	lua_newtable(L);
	compat_functions(L, methods);
	lua_pushvalue(L, slots);
	lua_rawseti(L, -2, NAMES_SLOTS);
	for (int i = 0; i < BUILTIN_LAST; i++) {
		lua_pushinteger(L, -1 - i);
		lua_setfield(L, -2, builtins[i]);
	}
	for (int i = 0; rille_probe_field(session->r, probe, (size_t)i, &info) == 0; i++) {
		lua_pushinteger(L, i << INDEX_SHIFT | (info.count ? ARRAY_BIT : 0) | info.kind);
		lua_setfield(L, -2, info.name);
	}
	lua_pushvalue(L, -1);
	lua_rawseti(L, names, (int)probe);
}

static void forget_stacks(lua_State *L, struct session *session, int slots)
{
	if (!session->stacks_kept)
		return;
	lua_pushnil(L);
	lua_rawseti(L, slots, SESSION_USTACK);
	lua_pushnil(L);
	lua_rawseti(L, slots, SESSION_KSTACK);
	session->stacks_kept = false;
}

/* What the first event of a session leaves for the others. */
static void prepare(lua_State *L, int slots)
{
	lua_newtable(L);
	lua_rawseti(L, slots, SESSION_NAMES);
	luaL_getmetatable(L, EVENT);
	lua_rawseti(L, slots, SESSION_META);
}

void event_push(lua_State *L, struct session *session, int slots)
{
	forget_stacks(L, session, slots);
	lua_rawgeti(L, slots, SESSION_META);
	if (lua_isnil(L, -1)) {
		prepare(L, slots);
		lua_pop(L, 1);
		lua_rawgeti(L, slots, SESSION_META);
	}
	struct view *view = compat_userdata(L, sizeof(*view));
	view->session = NULL;
	lua_rawgeti(L, slots, SESSION_NAMES);
	push_names(L, session, lua_gettop(L), slots);
	compat_set_slots(L, -3);
	lua_pop(L, 1);
	lua_insert(L, -2);
	lua_setmetatable(L, -2);
	lua_pushvalue(L, -1);
	lua_rawseti(L, slots, SESSION_VIEW); /* so that event_end() finds it alive */
	session->view = view;
	view->session = session;
}

void event_end(struct session *session)
{
	if (session->view)
		session->view->session = NULL;
	session->view = NULL;
	session->event = NULL;
}

void event_open(lua_State *L)
{
	static const luaL_Reg metamethods[] = {
	        {"__newindex", event_newindex}, {"__tostring", event_tostring}, {NULL, NULL}};
	luaL_newmetatable(L, EVENT);
	compat_functions(L, metamethods);
	lua_pushvalue(L, -1);
	lua_pushcclosure(L, event_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}
