/* A resolved stack as Lua sees it: a list of tables, innermost frame first, with the keys that JSON lines use.
 *
 * Names come from the traced process and may hold anything; a script will print them. So what is not text for a
 * terminal is escaped here already, which leaves ordinary names as they are. */
#include "engine/script/state.h"

#include <string.h>

static bool is_clean(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

static void set_text(lua_State *L, const char *key, const char *value)
{
	if (!value)
		return;
	if (is_clean(value)) {
		lua_pushstring(L, value);
	} else {
		struct text *clean = &script_of(L)->scratch;
		text_reset(clean);
		text_add_clean(clean, value, strlen(value));
		scratch_push(L);
	}
	lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, uint64_t value)
{
	lua_pushinteger(L, (lua_Integer)value);
	lua_setfield(L, -2, key);
}

static void push_frame(lua_State *L, const struct frame *frame)
{
	lua_createtable(L, 0, 8);
	set_text(L, "kind", frame_kind_name(frame->kind));
	set_text(L, "name", frame->name);
	set_text(L, "signature", frame->signature);
	set_text(L, "module", frame->module);
	set_text(L, "build_id", frame->build_id);
	set_text(L, "file", frame->file);
	set_text(L, "tier", frame_tier_name(frame->tier));
	set_text(L, "how", frame_how_name(frame->how));
	set_integer(L, "address", frame->ip);
	if (frame->name || frame->module)
		set_integer(L, "offset", frame->offset);
	if (frame->line > 0)
		set_integer(L, "line", (uint64_t)frame->line);
	if (frame->inlined) {
		lua_pushboolean(L, 1);
		lua_setfield(L, -2, "inlined");
	}
}

void frames_push(lua_State *L, const struct stack *stack)
{
	lua_createtable(L, (int)stack->nframes, 1);
	for (size_t i = 0; i < stack->nframes; i++) {
		push_frame(L, &stack->frames[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	set_integer(L, "site", stack->site);
}
