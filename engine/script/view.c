/* Events as callbacks see them: a view on the record, not a copy of it.
 *
 * Making a table of every event would cost several times what the callback does, and most callbacks look at two fields.
 * So an event is a userdata of one pointer; `ev.fd` finds the field's number in a table that belongs to the probe's
 * metatable and reads the record. Stacks are resolved when first looked at, and kept until the callback returns.
 *
 * The view is made anew for each event. One for all would be cheaper still, but then an event that a script has kept
 * would silently turn into the next one; this way its use is an error ("used after its callback").
 *
 * A field that the kernel side could not get is nil. A name that no probe of the script declares is an error: a typing
 * error must not look like a missing value. */
#include "engine/script/state.h"
#include "engine/base/grow.h"
#include "engine/base/nearest.h"
#include "engine/out/frame_text.h"
#include "engine/out/value.h"
#include "lua/builtins.h"
#include "lua/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct view {
	struct event *event; /* NULL: its callback has returned */
};

/* --- values --- */

static void push_array(lua_State *L, const struct value *value)
{
	lua_createtable(L, value->count, 0);
	for (size_t i = 0; i < value->count; i++) {
		if (!value_has(value, i))
			continue;
		lua_pushinteger(L, value_int(value, i));
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

void value_push(lua_State *L, const struct value *value)
{
	if (value->missing) {
		lua_pushnil(L);
		return;
	}
	switch (value->kind) {
	case VALUE_INT:
	case VALUE_UINT:
		if (value->count)
			push_array(L, value);
		else
			lua_pushinteger(L, value_int(value, 0));
		return;
	case VALUE_BOOL:
		lua_pushboolean(L, value_int(value, 0) != 0);
		return;
	case VALUE_STR:
	case VALUE_BYTES:
		lua_pushlstring(L, (const char *)value->data, value->len);
		return;
	case VALUE_SOCKADDR:
		address_push(L, value->data, value->len);
		return;
	}
	lua_pushnil(L);
}

static const struct stack *stack_of(struct event *event, enum stack_sides side)
{
	return side == STACK_USER ? event_ustack(event) : event_kstack(event);
}

/* The stack as a table, the same one each time the callback asks. */
static void push_stack(lua_State *L, struct event *event, enum stack_sides side)
{
	struct script *script = script_of(L);
	const struct stack *stack = stack_of(event, side);
	if (!stack) {
		lua_pushnil(L);
		return;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, script->stacks);
	if (lua_rawgeti(L, -1, side) == LUA_TNIL) {
		lua_pop(L, 1);
		frames_push(L, stack);
		lua_pushvalue(L, -1);
		lua_rawseti(L, -3, side);
		script->stacks_kept = true;
	}
	lua_remove(L, -2);
}

static void push_stack_end(lua_State *L, struct event *event, enum stack_sides side)
{
	const struct stack *stack = stack_of(event, side);
	lua_pushstring(L, stack ? stack_end_name(stack->end) : NULL);
}

static void push_builtin(lua_State *L, struct event *event, enum builtin which)
{
	const struct rille_record *record = event->record;
	switch (which) {
	case BUILTIN_PROBE:
		lua_pushstring(L, event->probe->name);
		return;
	case BUILTIN_TIME:
		lua_pushinteger(L, event->wall_nsecs);
		return;
	case BUILTIN_NSECS:
		lua_pushinteger(L, (lua_Integer)record->nsecs);
		return;
	case BUILTIN_NUMBER:
		lua_pushinteger(L, (lua_Integer)event->number);
		return;
	case BUILTIN_PID:
		lua_pushinteger(L, record->pid);
		return;
	case BUILTIN_TID:
		lua_pushinteger(L, record->tid);
		return;
	case BUILTIN_PPID:
		lua_pushinteger(L, record->ppid);
		return;
	case BUILTIN_COMM:
		lua_pushlstring(L, record->comm, strnlen(record->comm, sizeof(record->comm)));
		return;
	case BUILTIN_USTACK:
	case BUILTIN_KSTACK:
		push_stack(L, event, which == BUILTIN_USTACK ? STACK_USER : STACK_KERNEL);
		return;
	case BUILTIN_USTACK_END:
	case BUILTIN_KSTACK_END:
		push_stack_end(L, event, which == BUILTIN_USTACK_END ? STACK_USER : STACK_KERNEL);
		return;
	case BUILTIN_CONTAINER:
		sandbox_charge(L, 1000); /* reads a file of /proc */
		lua_pushstring(L, event_container(event));
		return;
	case BUILTIN_LAST:
		break;
	}
	lua_pushnil(L);
}

static void push_member(lua_State *L, struct event *event, lua_Integer number)
{
	if (number >= 0) {
		struct value value = event_value(event, (size_t)number);
		value_push(L, &value);
	} else {
		push_builtin(L, event, (enum builtin)(-1 - number));
	}
}

/* --- access --- */

static struct view *view_at(lua_State *L, int idx)
{
	struct script *script = script_of(L);
	struct view *view = lua_touserdata(L, idx);
	if (view && view == script->live)
		return view;
	/* Not the live event: then it is an old one, or no event at all. */
	if (!view || !lua_getmetatable(L, idx))
		luaL_typeerror(L, idx, "event");
	lua_pushliteral(L, "__name");
	if (lua_rawget(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -1), "event") != 0)
		luaL_typeerror(L, idx, "event");
	sandbox_raise(L, "event used after its callback; ev:copy() makes a table that can be kept");
	return NULL;
}

struct event *view_check(lua_State *L, int idx)
{
	return view_at(L, idx)->event;
}

/* Whether any probe of the script declares the field. */
static bool is_declared(const struct spec *spec, const char *name, struct nearest *nearest)
{
	for (size_t i = 0; i < spec->nprobes; i++)
		for (size_t k = 0; k < spec->probes[i].nfields; k++) {
			const char *field = spec->probes[i].fields[k].name.text;
			if (strcmp(field, name) == 0)
				return true;
			nearest_offer(nearest, field);
		}
	return false;
}

static int unknown_field(lua_State *L, const struct event *event)
{
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
	if (!name)
		return luaL_error(L, "an event's fields have names, this is a %s", luaL_typename(L, 2));
	struct nearest nearest;
	nearest_init(&nearest, name);
	if (is_declared(script_of(L)->spec, name, &nearest)) {
		lua_pushnil(L); /* of another probe */
		return 1;
	}
	for (size_t i = 0; i < BUILTIN_LAST; i++)
		nearest_offer(&nearest, builtins[i]);
	if (nearest.best)
		return luaL_error(
		        L, "%s has no field '%s'; did you mean '%s'?", event->probe->name, name, nearest.best);
	return luaL_error(L, "%s has no field '%s'", event->probe->name, name);
}

/* ev.NAME; upvalue 1: names to numbers, and methods; 2: the lookup of the numbers. */
static int view_index(lua_State *L)
{
	struct event *event = view_check(L, 1);
	const struct lookup_entry *found = lookup_find(lua_touserdata(L, lua_upvalueindex(2)), lua_topointer(L, 2));
	if (found->name) {
		push_member(L, event, found->number);
		return 1;
	}
	lua_pushvalue(L, 2);
	int type = lua_rawget(L, lua_upvalueindex(1));
	if (type == LUA_TNUMBER)
		push_member(L, event, lua_tointeger(L, -1));
	else if (type == LUA_TNIL)
		return unknown_field(L, event);
	return 1;
}

static int view_newindex(lua_State *L)
{
	return luaL_error(L, "events cannot be changed; ev:copy() makes a table that can");
}

/* ev:copy(): everything, as a plain table. */
static int view_copy(lua_State *L)
{
	struct event *event = view_check(L, 1);
	lua_settop(L, 1);
	lua_newtable(L);
	lua_pushnil(L);
	while (lua_next(L, lua_upvalueindex(1))) {
		/* where its process is costs a look at /proc: only for who asks */
		if (lua_type(L, -1) == LUA_TNUMBER && lua_tointeger(L, -1) != -1 - BUILTIN_CONTAINER) {
			lua_Integer number = lua_tointeger(L, -1);
			lua_pushvalue(L, -2);
			push_member(L, event, number);
			lua_rawset(L, 2);
		}
		lua_pop(L, 1);
	}
	return 1;
}

/* --- ev:show(name): as the text output shows it --- */

/* The columns of the event's probe, with their decoders, made when first asked for. */
static const struct column *column_of(lua_State *L, const struct event *event, size_t field)
{
	struct script_view *view = &script_of(L)->views[event->probe->index];
	size_t n = event->probe->nfields;
	if (!view->columns) {
		view->columns = calloc(n + 1, sizeof(*view->columns));
		view->ncolumns = view->columns ? n : 0;
		for (size_t i = 0; i < view->ncolumns; i++) {
			view->columns[i].field = i;
			view->columns[i].schema = &event->probe->fields[i];
			if (decoder_init(&view->columns[i].decoder, view->columns[i].schema, NULL) < 0)
				sandbox_raise(L, "not enough memory");
		}
	}
	if (field >= view->ncolumns)
		sandbox_raise(L, "not enough memory");
	return &view->columns[field];
}

static void show_stack(lua_State *L, struct event *event, enum stack_sides side)
{
	const struct frame_style style = {.palette = palette_get(false)};
	const struct stack *stack = stack_of(event, side);
	struct text *text = &script_of(L)->scratch;
	text_reset(text);
	if (stack)
		stack_text(text, stack, &style);
	scratch_push(L);
}

static int view_show(lua_State *L)
{
	struct event *event = view_check(L, 1);
	luaL_checkstring(L, 2);
	lua_settop(L, 2);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNUMBER)
		return unknown_field(L, event);
	lua_Integer number = lua_tointeger(L, -1);
	if (number >= 0) {
		struct value value = event_value(event, (size_t)number);
		const struct column *column = column_of(L, event, (size_t)number);
		struct text *text = &script_of(L)->scratch;
		text_reset(text);
		value_text(text, column, &value);
		scratch_push(L);
	} else if (number == -1 - BUILTIN_USTACK || number == -1 - BUILTIN_KSTACK) {
		show_stack(L, event, number == -1 - BUILTIN_USTACK ? STACK_USER : STACK_KERNEL);
	} else {
		push_member(L, event, number);
		luaL_tolstring(L, -1, NULL);
	}
	return 1;
}

/* --- making --- */

/* Pushes the table from names to numbers. */
static void push_names(lua_State *L, const struct probe_schema *probe)
{
	lua_createtable(L, 0, (int)probe->nfields + BUILTIN_LAST + 2);
	for (lua_Integer i = 0; i < BUILTIN_LAST; i++) {
		lua_pushinteger(L, -1 - i);
		lua_setfield(L, -2, builtins[i]);
	}
	for (size_t i = 0; i < probe->nfields; i++) {
		lua_pushinteger(L, (lua_Integer)i);
		lua_setfield(L, -2, probe->fields[i].name);
	}
}

/* Makes the metatable of one probe's events; returns a reference to it. */
static int make_metatable(lua_State *L, const struct probe_schema *probe)
{
	static const luaL_Reg methods[] = {{"copy", view_copy}, {"show", view_show}, {NULL, NULL}};
	lua_createtable(L, 0, 4);
	push_names(L, probe);
	lua_pushvalue(L, -1);
	luaL_setfuncs(L, methods, 1); /* into the names, which are their upvalue too */
	size_t room = lookup_room(L, lua_gettop(L));
	struct lookup *lookup = lua_newuserdatauv(L, lookup_size(room), 0);
	lookup_fill(L, lookup, room, NULL, lua_gettop(L) - 1);
	lua_pushcclosure(L, view_index, 2);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, view_newindex);
	lua_setfield(L, -2, "__newindex");
	lua_pushliteral(L, "event");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* The metatable for the event's probe, on the stack. */
static void push_metatable(lua_State *L, struct script *script, const struct probe_schema *probe)
{
	while (script->nviews <= probe->index) {
		if (grow(&script->views, &script->views_cap, script->nviews + 1, sizeof(*script->views)) < 0)
			sandbox_raise(L, "not enough memory");
		script->views[script->nviews++] = (struct script_view){.metatable = LUA_NOREF};
	}
	struct script_view *view = &script->views[probe->index];
	if (view->metatable == LUA_NOREF)
		view->metatable = make_metatable(L, probe);
	lua_rawgeti(L, LUA_REGISTRYINDEX, view->metatable);
}

void view_push(lua_State *L, struct event *event)
{
	struct script *script = script_of(L);
	struct view *view = lua_newuserdatauv(L, sizeof(*view), 0);
	view->event = event;
	push_metatable(L, script, event->probe);
	lua_setmetatable(L, -2);
	script->live = view;
}

void view_end(struct script *script)
{
	lua_State *L = script->box.L;
	script->live = NULL;
	if (!script->stacks_kept)
		return;
	lua_rawgeti(L, LUA_REGISTRYINDEX, script->stacks);
	for (int side = STACK_USER; side <= STACK_KERNEL; side++) {
		lua_pushnil(L);
		lua_rawseti(L, -2, side);
	}
	lua_pop(L, 1);
	script->stacks_kept = false;
}

void view_free_all(struct script *script)
{
	for (size_t i = 0; i < script->nviews; i++) {
		for (size_t k = 0; k < script->views[i].ncolumns; k++)
			decoder_fini(&script->views[i].columns[k].decoder);
		free(script->views[i].columns);
	}
	free(script->views);
}
