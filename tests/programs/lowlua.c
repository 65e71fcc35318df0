/* A Lua 5.4 host that is short of memory: an allocator that fails from the n-th allocation on, for every n in turn.
 *
 *     lowlua SCRIPT.lua    SCRIPT returns functions that are called in that way, each until it comes through
 *
 * The script runs with enough memory; then each function is tried. Prints how often each was tried, and the number of this
 * process's descriptors before and after. A crash, or an error that is none of memory, is what a test looks for. */
#include <dirent.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long left = -1; /* allocations that may still succeed; < 0: all */

static void *allocate(void *user, void *old, size_t old_size, size_t size)
{
	(void)user;
	if (!size) {
		free(old);
		return NULL;
	}
	if (left == 0 && (!old || size > old_size))
		return NULL;
	if (left > 0)
		left--;
	return realloc(old, size);
}

static int descriptors(void)
{
	int n = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* 0: it came through; 1: for want of memory not; -1: something else went wrong. */
static int try(lua_State *L, long allocations)
{
	lua_pushvalue(L, -1);
	left = allocations;
	int status = lua_pcall(L, 0, 0, 0);
	left = -1;
	if (status == LUA_OK)
		return 0;
	const char *message = luaL_tolstring(L, -1, NULL);
	int mine = status == LUA_ERRMEM || strstr(message, "memory") != NULL;
	if (!mine)
		fprintf(stderr, "after %ld allocations: %s\n", allocations, message);
	lua_pop(L, 2);
	return mine ? 1 : -1;
}

/* The function on the top. Every number of allocations at first, then steps. */
static int try_all(lua_State *L)
{
	int tries = 0, result = 1;
	for (long n = 0; result == 1; n += n < 300 ? 1 : 1 + n / 40) {
		result = try(L, n);
		lua_gc(L, LUA_GCCOLLECT);
		tries++;
	}
	printf("tried %d times\n", tries);
	return result;
}

int main(int argc, char **argv)
{
	lua_State *L = argc == 2 ? lua_newstate(allocate, NULL) : NULL;
	if (!L)
		return 2;
	luaL_openlibs(L);
	if (luaL_dofile(L, argv[1])) {
		fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
		return 2;
	}
	int functions = lua_gettop(L), result = 0, before = descriptors();
	for (int i = 1; i <= functions && !result; i++) {
		lua_pushvalue(L, i);
		result = try_all(L);
		lua_pop(L, 1);
	}
	lua_gc(L, LUA_GCCOLLECT);
	lua_gc(L, LUA_GCCOLLECT);
	printf("descriptors %d %d\n", before, descriptors());
	lua_close(L);
	return result ? 1 : 0;
}
