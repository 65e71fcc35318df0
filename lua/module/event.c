/* Events as callbacks see them: a view, not a copy, as in scripts.
 *
 * `ev.fd` finds the field's number, kind and shape by its name, and asks the library for that one value. A view is used
 * for one event, so that the use of an old one is an error and not the next event.
 *
 * This is the way that every event takes, so it has few steps. Views are made ahead, many at a time, in protected calls;
 * the callback is then called directly (run.c). Each probe has a metatable of its own, whose __index has what it needs as
 * upvalues: that its argument is the event at hand is one comparison with the session's, and a name is found by the
 * address of its string (lua/lookup.h). */
#include "module.h"
#include "lua/builtins.h"
#include "lua/lookup.h"

#include <errno.h>
#include <sys/socket.h>

struct view {
	struct session *session; /* NULL: its callback has returned, or not begun */
};

/* A field's number in a table of names: its index, then whether it is an array, then its kind. */
enum { KIND_BITS = 3, ARRAY_BIT = 1 << KIND_BITS, INDEX_SHIFT = KIND_BITS + 1 };

/* In a table of names, the session's slots. */
enum { NAMES_SLOTS = 1 };

/* The key of the table of names in an event's metatable: an address, which no program in Lua has. */
static char names_key;

/* The view at 1, of whatever probe and session. Pushes the table of its names. */
static const struct view *any_view(lua_State *L)
{
	bool has = lua_isuserdata(L, 1) && lua_getmetatable(L, 1);
	if (has) {
		lua_pushlightuserdata(L, &names_key);
		lua_rawget(L, -2);
		lua_remove(L, -2);
	}
	if (!has || !lua_istable(L, -1))
		luaL_argerror(L, 1, "rille.event expected");
	return lua_touserdata(L, 1);
}

static struct session *view_check(lua_State *L)
{
	const struct view *view = any_view(L);
	if (!view->session)
		luaL_error(L, "event used after its callback; ev:copy() makes a table that can be kept");
	return view->session;
}

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
static int push_stack(lua_State *L, struct session *session, int names, int side)
{
	int slot = side == RILLE_USER ? SESSION_USTACK : SESSION_KSTACK;
	struct rille_stack stack = {.size = sizeof(stack)};
	lua_rawgeti(L, names, NAMES_SLOTS);
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

static int push_builtin(lua_State *L, struct session *session, int names, enum builtin which)
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
		return push_stack(L, session, names, which == BUILTIN_USTACK ? RILLE_USER : RILLE_KERNEL_SIDE);
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

/* `names` is the index of the table of names. */
static int push_member(lua_State *L, struct session *session, int names, int number)
{
	if (number < 0)
		return push_builtin(L, session, names, (enum builtin)(-1 - number));
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

/* Upvalues of __index. The session is there to be kept. */
enum { INDEX_LOOKUP = 1, INDEX_NAMES, INDEX_SESSION, INDEX_UPVALUES = INDEX_SESSION };

/* What is no field of this probe, or no event at hand. */
static int index_rest(lua_State *L)
{
	struct session *session = view_check(L);
	lua_pushvalue(L, 2);
	lua_rawget(L, -2);
	if (lua_type(L, -1) == LUA_TNUMBER)
		return push_member(L, session, lua_gettop(L) - 1, (int)lua_tointeger(L, -1));
	return lua_isnil(L, -1) || lua_type(L, 2) != LUA_TSTRING ? unknown_field(L, session) : 1;
}

/* ev.NAME */
static int event_index(lua_State *L)
{
	const struct lookup *lookup = lua_touserdata(L, lua_upvalueindex(INDEX_LOOKUP));
	struct session *session = lookup->owner;
	const struct view *view = lua_touserdata(L, 1);
	const struct lookup_entry *found = lookup_find(lookup, lua_topointer(L, 2));
	if (!view || view != session->view || !found->name)
		return index_rest(L);
	return push_member(L, session, lua_upvalueindex(INDEX_NAMES), found->number);
}

static int event_newindex(lua_State *L)
{
	return luaL_error(L, "events cannot be changed; ev:copy() makes a table that can");
}

/* ev:copy(): everything, as a plain table; but not what a file of /proc would have to be read for. */
static int event_copy(lua_State *L)
{
	lua_settop(L, 1);
	struct session *session = view_check(L);
	lua_newtable(L);
	lua_pushnil(L);
	while (lua_next(L, 2)) {
		if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TNUMBER &&
		        lua_tointeger(L, -1) != -1 - BUILTIN_CONTAINER) {
			lua_pushvalue(L, -2);
			push_member(L, session, 2, (int)lua_tointeger(L, -2));
			lua_rawset(L, 3);
		}
		lua_pop(L, 1);
	}
	return 1;
}

/* ev:show(name): as the text output shows it. */
static int event_show(lua_State *L)
{
	const char *text;
	size_t len;
	lua_settop(L, 2);
	struct session *session = view_check(L);
	luaL_checkstring(L, 2);
	lua_pushvalue(L, 2);
	lua_rawget(L, 3);
	if (lua_type(L, -1) != LUA_TNUMBER)
		return unknown_field(L, session);
	int number = (int)lua_tointeger(L, -1);
	if (number < 0) {
		push_builtin(L, session, 3, (enum builtin)(-1 - number));
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
	const struct view *view = any_view(L);
	lua_pushfstring(L, "rille.event: %s", view->session ? view->session->head.probe_name : "of the past");
	return 1;
}

/* --- making --- */

/* Pushes the table from names to numbers and methods. */
static void push_names(lua_State *L, struct session *session, int slots)
{
	static const luaL_Reg methods[] = {
	        {"copy", event_copy}, {"show", event_show}, {"json", event_json}, {NULL, NULL}};
	struct rille_field_info info = {.size = sizeof(info)};
	lua_newtable(L);
	compat_functions(L, methods);
	lua_pushvalue(L, slots);
	lua_rawseti(L, -2, NAMES_SLOTS);
	for (int i = 0; i < BUILTIN_LAST; i++) {
		lua_pushinteger(L, -1 - i);
		lua_setfield(L, -2, builtins[i]);
	}
	for (int i = 0; rille_probe_field(session->r, session->head.probe, (size_t)i, &info) == 0; i++) {
		lua_pushinteger(L, i << INDEX_SHIFT | (info.count ? ARRAY_BIT : 0) | info.kind);
		lua_setfield(L, -2, info.name);
	}
}

/* Pushes the metatable of events of the probe at hand. The session is at `self`. */
static void push_metatable(lua_State *L, struct session *session, int self, int slots)
{
	static const luaL_Reg metamethods[] = {
	        {"__newindex", event_newindex}, {"__tostring", event_tostring}, {NULL, NULL}};
	lua_newtable(L);
	compat_functions(L, metamethods);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	push_names(L, session, slots);
	int names = lua_gettop(L);
	lua_pushlightuserdata(L, &names_key);
	lua_pushvalue(L, names);
	lua_rawset(L, names - 1);
	size_t room = lookup_room(L, names);
	lookup_fill(L, compat_bytes(L, lookup_size(room)), room, session, names);
	lua_pushvalue(L, names);
	lua_pushvalue(L, self);
	lua_pushcclosure(L, event_index, INDEX_UPVALUES);
	lua_setfield(L, names - 1, "__index");
	lua_settop(L, names - 1);
}

static void forget_stacks(lua_State *L, struct session *session, int slots)
{
	lua_pushnil(L);
	lua_rawseti(L, slots, SESSION_USTACK);
	lua_pushnil(L);
	lua_rawseti(L, slots, SESSION_KSTACK);
	session->stacks_kept = false;
}

/* Views of events to come. The last ones are kept until new ones take their places, so an event is alive as long as its
 * callback runs. */
static void make_views(lua_State *L, struct session *session, int metatable, int views)
{
	session->views_left = 0; /* if one cannot be made */
	for (int i = 1; i <= VIEWS; i++) {
		struct view *view = compat_bytes(L, sizeof(*view));
		view->session = NULL;
		lua_pushvalue(L, metatable);
		lua_setmetatable(L, -2);
		lua_rawseti(L, views, i);
	}
	session->views_left = VIEWS;
	session->views_for = session->head.probe;
}

void event_prepare(lua_State *L, struct session *session, int self)
{
	int probe = (int)session->head.probe;
	compat_get_slots(L, self);
	int slots = lua_gettop(L), metatable = slots + 2;
	if (session->stacks_kept)
		forget_stacks(L, session, slots);
	lua_rawgeti(L, slots, SESSION_METATABLES);
	lua_rawgeti(L, -1, probe);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		push_metatable(L, session, self, slots);
		lua_pushvalue(L, -1);
		lua_rawseti(L, -3, probe);
	}
	lua_rawgeti(L, slots, SESSION_VIEWS);
	if (!session->views_left)
		make_views(L, session, metatable, metatable + 1);
}

bool event_push(lua_State *L, struct session *session, int metatables, int views)
{
	if (!session->views_left || session->stacks_kept)
		return false;
	lua_rawgeti(L, views, session->views_left);
	if (session->head.probe != session->views_for) {
		lua_rawgeti(L, metatables, (int)session->head.probe);
		if (lua_isnil(L, -1)) {
			lua_pop(L, 2);
			return false;
		}
		lua_setmetatable(L, -2);
	}
	session->views_left--;
	session->view = lua_touserdata(L, -1);
	session->view->session = session;
	return true;
}

void event_end(struct session *session)
{
	if (session->view)
		session->view->session = NULL;
	session->view = NULL;
	session->event = NULL;
}
