/* Numbers by names that are strings of Lua, found by the strings' addresses: what reading a field of an event costs is mostly
 * finding its number. For Lua 5.4 and LuaJIT.
 *
 * A string is an object like any other. The table of names keeps its own: as long as it does nothing else can be where they
 * are, so an address that is found is the name. Short strings exist once, so nearly every name is found; one that is not is
 * looked for in the table. */
#ifndef RILLE_LUA_LOOKUP_H
#define RILLE_LUA_LOOKUP_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* In a userdata, beside the table of names. */
struct lookup {
	void *owner;
	size_t mask;
	struct lookup_entry {
		const void *name; /* NULL: free */
		int number;
	} entries[];
};

/* The entry of the object at that address (lua_topointer()), or a free one. */
static inline const struct lookup_entry *lookup_find(const struct lookup *lookup, const void *name)
{
	uintptr_t bits = (uintptr_t)name >> 4;
	size_t at = (bits ^ bits >> 6) & lookup->mask;
	while (lookup->entries[at].name && lookup->entries[at].name != name)
		at = (at + 1) & lookup->mask;
	return lookup->entries + at;
}

/* How many entries a lookup of the table at `names` has; it is never full. */
static inline size_t lookup_room(lua_State *L, int names)
{
	size_t n = 0, room = 8;
	for (lua_pushnil(L); lua_next(L, names); lua_pop(L, 1))
		n++;
	while (room < 2 * n)
		room *= 2;
	return room;
}

static inline size_t lookup_size(size_t room)
{
	return sizeof(struct lookup) + room * sizeof(struct lookup_entry);
}

/* Enters the names that have numbers in the table at `names`. */
static inline void lookup_fill(lua_State *L, struct lookup *lookup, size_t room, void *owner, int names)
{
	memset(lookup, 0, lookup_size(room));
	lookup->owner = owner;
	lookup->mask = room - 1;
	for (lua_pushnil(L); lua_next(L, names); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TNUMBER)
			continue;
		const void *name = lua_topointer(L, -2);
		size_t at = (size_t)(lookup_find(lookup, name) - lookup->entries);
		lookup->entries[at] = (struct lookup_entry){name, (int)lua_tointeger(L, -1)};
	}
}

#endif
