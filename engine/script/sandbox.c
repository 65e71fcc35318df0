/* What a script can do to the tracer: use up 64 MiB and some seconds, and then get an error.
 *
 * The tracer runs as root, scripts are passed around, and a mistake in a callback must not stop a trace that has been
 * running for a day. So scripts get the parts of Lua's library that only compute, and three bounds:
 *
 * Memory. All of Lua's memory comes from one allocator that refuses to go over the limit. Lua then collects garbage,
 * tries again, and raises "not enough memory", which is an error like any other.
 *
 * Instructions. A count hook looks every STEP instructions. Once the budget of this entry is used up the hook raises
 * an error, and from then on at every instruction, so that a script cannot go on by catching it (`while true do
 * pcall(loop) end`): each pcall gets the next error at once. Coroutines inherit the hook. It looks at the clock as well,
 * since one instruction can compare two strings of 30 MB; and when that says that it is late, at the time for which this thread had a
 * processor, which costs a system call: a machine that is busy with others is no fault of the script.
 *
 * What no hook reaches: C functions that loop on their own, and code that runs while hooks are off. guards.c and
 * patterns.c replace what would give a script either.
 *
 * With `unsafe` the rest of Lua's library is opened, C modules included; the bounds stay. */
#include "engine/script/sandbox.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STEP = 200, SLOWEST_NS = 100 };

static void *allocate(void *user, void *old, size_t old_size, size_t size)
{
	struct sandbox *box = user;
	if (!old)
		old_size = 0; /* then it is a kind of object, not a size */
	if (size == 0) {
		free(old);
		box->used -= old_size;
		return NULL;
	}
	if (size > old_size && size - old_size > box->most - box->used)
		return NULL;
	void *p = realloc(old, size);
	if (p)
		box->used = box->used - old_size + size;
	return p;
}

_Noreturn void sandbox_raise(lua_State *L, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	luaL_where(L, 1);
	lua_pushvfstring(L, fmt, ap);
	va_end(ap);
	lua_concat(L, 2);
	lua_error(L);
	abort(); /* not reached */
}

static uint64_t nsecs_of(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The first look of an entry starts its clock, so that the many that end before it never ask for the time; the first that is late
 * starts the clock of the processor. */
static bool is_late(struct sandbox *box)
{
	uint64_t now = nsecs_of(CLOCK_MONOTONIC), longest = box->budget * SLOWEST_NS;
	if (!box->deadline)
		box->deadline = now + longest;
	if (now <= box->deadline)
		return false;
	uint64_t used = nsecs_of(CLOCK_THREAD_CPUTIME_ID);
	if (!box->used_deadline)
		box->used_deadline = used + longest;
	if (used >= box->used_deadline)
		return true;
	box->deadline = now + (box->used_deadline - used);
	return false;
}

static void count(lua_State *L, lua_Debug *ar);

static void exhaust(lua_State *L, struct sandbox *box)
{
	bool by_time = box->steps < box->budget;
	box->exhausted = true;
	lua_sethook(L, count, LUA_MASKCOUNT, 1);
	if (by_time)
		sandbox_raise(L, "stopped: it ran for more than %d seconds",
		        (int)(box->budget / 1000 * SLOWEST_NS / 1000000));
	sandbox_raise(L, "stopped: it ran more than %d million instructions", (int)(box->budget / 1000000));
}

static void count(lua_State *L, lua_Debug *ar)
{
	struct sandbox *box = sandbox_of(L);
	int step = lua_gethookcount(L);
	box->steps += (uint64_t)step;
	if (box->exhausted || box->steps >= box->budget || is_late(box))
		exhaust(L, box);
	if (step != STEP) /* of a coroutine that was stopped in an earlier entry */
		lua_sethook(L, count, LUA_MASKCOUNT, STEP);
}

void sandbox_charge(lua_State *L, uint64_t n)
{
	struct sandbox *box = sandbox_of(L);
	box->steps += n;
	if (box->exhausted || box->steps >= box->budget)
		exhaust(L, box);
}

void sandbox_enter(struct sandbox *box, enum sandbox_budget budget)
{
	box->steps = 0;
	box->budget = budget;
	box->deadline = box->used_deadline = 0;
	box->exhausted = false;
	if (lua_gethookcount(box->L) != STEP)
		lua_sethook(box->L, count, LUA_MASKCOUNT, STEP);
}

static void remove_field(lua_State *L, const char *name)
{
	lua_pushnil(L);
	lua_setfield(L, -2, name);
}

static void open_base(lua_State *L, bool unsafe)
{
	static const char *const outside[] = {"collectgarbage", "dofile", "load", "loadfile", "warn"};
	luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
	for (size_t i = 0; i < sizeof(outside) / sizeof(*outside) && !unsafe; i++)
		remove_field(L, outside[i]);
	lua_pop(L, 1);
}

static void open_computing(lua_State *L, bool unsafe)
{
	luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
	luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 1);
	luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 1);
	luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
	luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
	if (!unsafe)
		remove_field(L, "dump");
	lua_pop(L, 5);
}

/* Module search by absolute directories only: the tracer runs as root, in whatever directory it was started. */
static void make_absolute(lua_State *L, const char *field)
{
	lua_getfield(L, -1, field);
	luaL_gsub(L, lua_tostring(L, -1), ";./?.lua", "");
	luaL_gsub(L, lua_tostring(L, -1), ";./?/init.lua", "");
	luaL_gsub(L, lua_tostring(L, -1), ";./?.so", "");
	lua_setfield(L, -5, field);
	lua_pop(L, 3);
}

static void open_rest(lua_State *L)
{
	lua_pushboolean(L, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
	luaL_requiref(L, LUA_LOADLIBNAME, luaopen_package, 1);
	make_absolute(L, "path");
	make_absolute(L, "cpath");
	luaL_requiref(L, LUA_IOLIBNAME, luaopen_io, 1);
	luaL_requiref(L, LUA_OSLIBNAME, luaopen_os, 1);
	luaL_requiref(L, LUA_DBLIBNAME, luaopen_debug, 1);
	lua_pop(L, 4);
}

static int open_libraries(lua_State *L)
{
	bool unsafe = lua_toboolean(L, 1);
	open_base(L, unsafe);
	open_computing(L, unsafe);
	sandbox_open_patterns(L);
	if (unsafe)
		open_rest(L);
	else
		sandbox_open_guards(L);
	return 0;
}

int sandbox_open(struct sandbox *box, void *owner, size_t most_bytes, bool unsafe)
{
	memset(box, 0, sizeof(*box));
	box->owner = owner;
	box->most = most_bytes;
	box->L = lua_newstate(allocate, box);
	if (!box->L)
		return -ENOMEM;
	*(struct sandbox **)lua_getextraspace(box->L) = box;
	sandbox_enter(box, BUDGET_DECLARE);
	lua_pushcfunction(box->L, open_libraries);
	lua_pushboolean(box->L, unsafe);
	if (lua_pcall(box->L, 1, 0, 0) == LUA_OK)
		return 0;
	sandbox_close(box);
	return -ENOMEM;
}

void sandbox_close(struct sandbox *box)
{
	if (box->L)
		lua_close(box->L);
	box->L = NULL;
}
