/* The module that stock Lua 5.4 and LuaJIT can `require`. It is a host like any other: it knows rille.h, and that alone.
 *
 * An engine holds sessions, one script each, and an epoll descriptor over all of them. Userdata are born closed and
 * then acquire; close, __gc and __close share one idempotent path. What Lua values a userdata refers to lie in its table
 * of slots, not in the registry, so that an engine, its sessions and the callbacks that use them are garbage together. */
#ifndef RILLE_LUA_MODULE_H
#define RILLE_LUA_MODULE_H

#include "compat.h"

#include <rille.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ENGINE "rille.engine"
#define SESSION "rille.session"
#define LIBRARY "rille.library" /* the table that require "rille" gives */

/* --- integer.c: 64 bits, exact on both --- */

void integer_open(lua_State *L);
void integer_push(lua_State *L, int64_t value);
void integer_push_unsigned(lua_State *L, uint64_t value);
/* Any form of an integer at idx: a number without a fraction, cdata. False if it is none. */
bool integer_read(lua_State *L, int idx, int64_t *ret);
int64_t integer_check(lua_State *L, int idx);
/* Pushes the decimal digits of the integer at idx; false, and nothing pushed, if it is none. */
bool integer_text(lua_State *L, int idx);

/* --- failure.c: errors as tables --- */

void failure_open(lua_State *L);
/* Raises what rille_last_error() says. */
int failure_raise(lua_State *L, const rille *r);
int failure_raise_code(lua_State *L, int code, const char *tag, const char *message);

/* --- buffer.c: bytes from the library that Lua frees --- */

struct buffer {
	char *data;
	size_t len, cap;
	bool failed;
};

void buffer_open(lua_State *L);
/* Pushes an empty one; it is freed when Lua collects it. */
struct buffer *buffer_push(lua_State *L);
void buffer_add(struct buffer *buffer, const void *data, size_t len);
/* With its NUL; NULL is "". */
void buffer_add_string(struct buffer *buffer, const char *text);
/* The string at *at, which is moved behind it; NULL at the end. */
const char *buffer_next(const struct buffer *buffer, size_t *at);
void buffer_fini(struct buffer *buffer);

/* --- literal.c: a table as the text of a script --- */

/* Pushes the text. The functions that were in the table are put into the table at `callbacks`: [0] the script's
 * on_event, [i] that of probe i. */
void literal_push(lua_State *L, int table, int callbacks);

/* --- settings.c --- */

/* Pushes a value at idx as rille_set() and rille_set_param() want it: text, "1,2,3", "yes". */
void setting_push(lua_State *L, int idx);

/* --- engine.c --- */

struct session;
struct view;

struct engine {
	bool open;
	bool dispatching;
	int epoll;
	int log_level;
	bool unsafe, strict;
	uint64_t ring_bytes;
	struct session **sessions; /* NULL: closed while dispatching */
	size_t nsessions, cap;
	size_t turn; /* who is first */
};

/* Slots of an engine. */
enum { ENGINE_LOG = 1, ENGINE_CACHE, ENGINE_COMPILER, ENGINE_SESSIONS };

void engine_open(lua_State *L);
int engine_new(lua_State *L); /* rille.open{…} */
struct engine *engine_check(lua_State *L, int idx);
/* Forgets a session that is being closed. */
void engine_forget(struct engine *engine, struct session *session);

/* --- session.c, run.c --- */

struct session {
	rille *r; /* NULL: closed */
	struct engine *engine;
	bool attached, stopped;
	pid_t owner;       /* the process that attached */
	struct buffer log; /* messages, level and text, until they can be told */
	unsigned untold;   /* messages that found no room */

	/* While a call of the library may call back. The indexes are of L. */
	lua_State *L; /* NULL: none is under way */
	int self, prepare, error, callbacks, metatables, views;
	bool failed; /* the first error of a callback is at `error` */
	bool end;    /* a callback wants the trace to end */

	/* While a callback runs. */
	const rille_event *event;
	struct rille_head head;
	struct view *view; /* what its event is in Lua; kept in SESSION_VIEWS */
	int views_left;    /* there, unused; used from the last one on */
	size_t views_for;  /* the probe whose metatable they have */
	bool stacks_kept;  /* in slots, of this event or an earlier one */
};

/* Slots of a session. */
enum {
	SESSION_ENGINE = 1,
	SESSION_CALLBACKS,  /* [0] the session's, [i] of probe i, which is called in its place */
	SESSION_METATABLES, /* of events, by the number of the probe */
	SESSION_VIEWS,      /* of events to come, and the last ones */
	SESSION_USTACK,
	SESSION_KSTACK,
	SESSION_REASON,
	SESSION_OVER,
	SESSION_FILES
};

void session_open(lua_State *L);
/* Pushes a new session of the engine at idx. */
struct session *session_push(lua_State *L, int engine);
struct session *session_check(lua_State *L, int idx);
/* Has the engine keep the session at idx until it is closed. */
void session_keep(lua_State *L, int idx);
/* Takes the session's descriptor out of the engine's. */
void session_unwatch(struct session *session);
/* For both ways to an end, from Lua and from the collector: frees what the library holds. */
void session_close(struct session *session);
/* Tells the log what the library said in this call. The session is at idx. */
void session_tell(lua_State *L, int idx, struct session *session);
/* Gives the session's events to its callbacks, or takes them away. */
void run_listen(struct session *session, bool on);
/* One rille_dispatch(). The session is on the top and stays. Returns how many events; when the trace is over it is stopped.
 * Raises what a callback raised, or the library's error. */
int run_dispatch(lua_State *L, struct session *session, int timeout_ms, int max_events);
/* rille_stop(), which delivers what is left. The session is on the top. */
void run_stop(lua_State *L, struct session *session, const char *reason);

/* --- event.c --- */

enum { VIEWS = 32 }; /* that are made at a time */

/* Makes what event_push() needs for the event at hand. The session is at `self`. */
void event_prepare(lua_State *L, struct session *session, int self);
/* Pushes the event at hand as Lua sees it, and does not raise; false, and nothing pushed, if it has to be prepared. The
 * session's slots of these names are at the other indexes. */
bool event_push(lua_State *L, struct session *session, int metatables, int views);
/* The callback has returned: its event is not to be used any more. Does not enter Lua. */
void event_end(struct session *session);

/* --- origin.c --- */

int session_origin(lua_State *L); /* session:origin([stack [, path]]) */

/* --- value.c --- */

void value_open(lua_State *L);
/* Pushes a table with text, family, address, port … */
void value_push_address(lua_State *L, const void *address, size_t len, const char *text, size_t text_len);
void value_push_stack(lua_State *L, const struct rille_stack *stack);
/* Pushes the text of the stack on the top, a line a frame. */
int value_show_stack(lua_State *L);

/* --- library.c: rille.constant and what else has no handle --- */

void library_open(lua_State *L);

#endif
