/* What a script is made of; for the files of this folder alone. */
#ifndef RILLE_SCRIPT_STATE_H
#define RILLE_SCRIPT_STATE_H

#include "engine/out/columns.h"
#include "engine/script/locate.h"
#include "engine/script/sandbox.h"
#include "engine/script/script.h"
#include "engine/stack/origin.h"

#include <lauxlib.h>
#include <lua.h>

/* A text that was loaded: the script itself (the first), then each file it required. */
struct source {
	char *name; /* what messages call it */
	char *text;
	size_t len;
	char chunk[48]; /* what Lua calls it: "=" and the tail of the name; unique enough, and short enough to come back
	                   whole */
	struct locator *locator;
};

/* A callback and its account. */
struct script_function {
	int ref;            /* in Lua's registry; LUA_NOREF = none */
	uint64_t errors;    /* calls that failed */
	unsigned exhausted; /* … because they used up their budget */
};

/* What the script says beyond its struct spec. */
struct script_callbacks {
	struct script_function on_start, on_event, on_exec, on_exit, on_lost, on_end, every;
	double every_seconds;
};

struct script_probe {
	struct script_function on_event; /* its own, or the script's */
};

/* A parameter as it was declared; index as in spec.params. */
struct script_param {
	char type[48];
	char prefix[32]; /* of the constants that its values may be given as, "" = plain numbers */
	char *fallback;  /* as a user would type it */
};

struct view;

/* One attached probe as Lua sees its events; index as in probe_schema.index. Made at its first event. */
struct script_view {
	int metatable;          /* reference */
	struct column *columns; /* for showing values as text; made when first asked for */
	size_t ncolumns;
};

struct script {
	struct session *session;
	struct spec *spec; /* the session's */
	struct logger logger;
	struct sandbox box;
	bool strict, unsafe;
	bool running; /* the declare phase is over */
	int dir_fd;   /* own copy, or -1 */
	struct source **sources;
	size_t nsources, sources_cap;
	struct script_callbacks callbacks;
	struct script_probe *probes; /* one a spec probe */
	struct script_param *params; /* one a spec param */
	size_t nparams;
	struct script_view *views;
	size_t nviews, views_cap;

	struct origins *origins;       /* the rules of rille.origins as it was; NULL: not made yet */
	struct origins *origins_given; /* those that the outputs have: kept */
	const void *origins_of;        /* … that table, … */
	size_t norigins;               /* … and the number of its entries */

	struct processes *processes; /* what rille.proc read last; NULL: nothing */

	/* Of the callback at hand. */
	int output;        /* reference of the object that callbacks call `out` */
	struct view *live; /* the event that may be used, NULL = none */
	int stacks;        /* reference of the table that keeps its stacks once looked at */
	bool stacks_kept;
	bool emitted;          /* the event has been given to the sinks */
	int failure;           /* a sink's */
	struct pos error_pos;  /* where the last Lua error was raised; line 0 = not known */
	char error_callee[48]; /* the function that the line had called, "" = none */
	struct text scratch;   /* freed with the script, so that a Lua error cannot leak it */
};

static inline struct script *script_of(lua_State *L)
{
	return sandbox_of(L)->owner;
}

/* --- source.c: loading texts --- */

/* Keeps a copy of the text (its `#!` line blanked) under `name`. NULL: out of memory. */
struct source *source_add(struct script *script, const char *name, const char *text, size_t len);
/* Compiles it onto the stack; a syntax error gives -EINVAL with its place. Not protected against want of memory: it is.
 */
int source_compile(struct script *script, lua_State *L, struct source *source, struct err *err);
/* The source that Lua calls `chunk`, or NULL. */
struct source *source_find(struct script *script, const char *chunk);
/* The place of a string by its value: in the script itself, or in what it required. Line 0 if it is nowhere. */
struct pos source_locate(struct script *script, const char *value, size_t len);
void source_free_all(struct script *script);

/* --- failure.c: Lua errors --- */

/* The message handler of every protected call: remembers the place, adds a traceback. */
int failure_handler(lua_State *L);
/* Fills `err` from the failed call's value on the stack's top, which is popped. `what` names the callback; "" in the declare
 * phase. */
int failure_take(struct script *script, int status, const char *what, struct err *err);

/* --- declare.c --- */

/* Checks the table on the stack's top and fills the spec. The caller protects it; -EINVAL and `err` if it is wrong. */
int declare_table(struct script *script, struct err *err);

/* --- param.c --- */

/* Checks a type's name and splits it: "const:AF_[]" is type "s64[]" with prefix "AF_". */
bool param_type(const char *name, char ret_type[16], char ret_prefix[32]);
/* Appends the normal form of a value: 1 or 0, decimal numbers with commas, the text itself. -EINVAL with a message that
 * says why; `pos` is where the error points. */
int param_normalise(const struct spec_param *param, const char *prefix, const char *value, struct pos pos,
        struct text *ret, struct err *err);

/* --- library.c, require.c: what scripts can call --- */

/* Called protected, once. */
void library_open(lua_State *L);
void require_open(lua_State *L);
/* Pushes the script's scratch text; raises if it could not be written whole. */
void scratch_push(lua_State *L);
/* Pushes the table `rille`. */
void library_push(lua_State *L);
/* Pushes the text of an integer as a field with that `as` is shown. */
void library_format(lua_State *L, lua_Integer value, const char *as);
/* An integer that is to be shown as unsigned; NULL if the value at idx is not one. */
const uint64_t *library_unsigned(lua_State *L, int idx);

/* --- origins.c: rille.origin() --- */

/* Called protected, once. */
void origins_open(lua_State *L);
/* Checks rille.origins if the script has looked at it. */
int origins_check(struct script *script, struct err *err);

/* --- processes.c: rille.proc and rille.sock --- */

struct processes;
void processes_open(lua_State *L);
void processes_end(struct processes *answers); /* of a callback */
void processes_free(struct processes *answers);

/* --- counts.c: rille.pairs() and rille.clear() --- */

/* Called protected, once. */
void counts_functions(lua_State *L);

/* --- view.c: events --- */

/* Pushes the event as Lua sees it. It can be used until view_end(). May raise. */
void view_push(lua_State *L, struct event *event);
void view_end(struct script *script);
/* A field's value as Lua has it. */
void value_push(lua_State *L, const struct value *value);
/* The live event at idx; raises if it is not one, or its callback has returned. */
struct event *view_check(lua_State *L, int idx);
void view_free_all(struct script *script);

/* --- address.c, frames.c: values of events that are tables --- */

void address_open(lua_State *L);
void address_push(lua_State *L, const uint8_t *data, size_t len);
/* The text of the address at idx, which keeps it; NULL if it is not one. */
const char *address_text(lua_State *L, int idx, size_t *ret_len);
void frames_push(lua_State *L, const struct stack *stack);

/* --- output.c: the object `out` --- */
void output_open(lua_State *L);

/* --- callback.c --- */
void callback_install(struct script *script);

#endif
