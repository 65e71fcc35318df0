/* A Lua state that a script cannot get out of: bounded in memory and in instructions, without files or processes. */
#ifndef RILLE_SCRIPT_SANDBOX_H
#define RILLE_SCRIPT_SANDBOX_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Instructions of the Lua machine that one entry from C may run; the units are "about": the hook looks every thousand.
 */
enum sandbox_budget {
	BUDGET_EVENT = 10 * 1000 * 1000,    /* a callback while the trace runs: some 40 ms */
	BUDGET_TICK = 50 * 1000 * 1000,     /* `every` */
	BUDGET_REPORT = 1000 * 1000 * 1000, /* on_start, on_end: may walk large tables */
	BUDGET_DECLARE = 100 * 1000 * 1000,
};

struct sandbox {
	lua_State *L;
	void *owner;       /* for C functions: sandbox_of(L)->owner */
	size_t used, most; /* bytes of Lua memory, now and at most */
	uint64_t steps, budget;
	uint64_t deadline;      /* CLOCK_MONOTONIC, ns; 0 = not yet looked at the clock */
	uint64_t used_deadline; /* CLOCK_THREAD_CPUTIME_ID, ns; 0 = it was not late yet */
	bool exhausted;         /* the budget of instructions ran out since sandbox_enter() */
};

/* 0 or -ENOMEM. */
int sandbox_open(struct sandbox *box, void *owner, size_t most_bytes, bool unsafe);
void sandbox_close(struct sandbox *box);
/* To be called before each entry into Lua from C. */
void sandbox_enter(struct sandbox *box, enum sandbox_budget budget);

/* luaL_error(), known not to return. */
_Noreturn void sandbox_raise(lua_State *L, const char *fmt, ...);
/* Charges work of a C function as if it were n instructions; raises once the budget is used up. */
void sandbox_charge(lua_State *L, uint64_t n);

/* Of any thread (coroutine) of the state. */
static inline struct sandbox *sandbox_of(lua_State *L)
{
	return *(struct sandbox **)lua_getextraspace(L);
}

/* patterns.c: string.find, match, gmatch, gsub and rep with bounds, in the place of Lua's. */
void sandbox_open_patterns(lua_State *L);
/* guards.c: the other functions that could run without end, with bounds. */
void sandbox_open_guards(lua_State *L);

#endif
