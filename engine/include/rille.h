/* rille.h: trace processes with a Lua script, from C.
 *
 * Life of a handle:
 *
 *     rille_new → rille_load_* → rille_set_* / rille_target_* / rille_add_output → rille_attach
 *               → { rille_fd in your loop → rille_dispatch } → rille_stop → rille_free
 *
 * What this library does to your process: nothing that outlives rille_free(). It never prints, exits, installs a signal
 * handler, changes directory, limits, locale or umask, and starts no thread of yours. It opens descriptors (all
 * close-on-exec) and, in rille_attach() when no cached object fits, runs the helper rille-cc as a child process and waits
 * for it. A handle belongs to one thread at a time; rille_wake() alone may be called from any thread and from signal handlers.
 *
 * Functions return 0 (or a count) on success and a negative errno on failure; rille_last_error() then has the whole story.
 */
#ifndef RILLE_H
#define RILLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RILLE_API __attribute__((visibility("default")))

typedef struct rille rille;

/* The values are the command's exit codes. */
enum rille_class {
	RILLE_RUNTIME = 1,
	RILLE_SCRIPT = 2,
	RILLE_PERMISSION = 3,
	RILLE_KERNEL = 4,
};

struct rille_error {
	int code;           /* negative errno, 0 = no error yet */
	int error_class;    /* enum rille_class */
	const char *tag;    /* stable: "unknown-field" */
	const char *file;   /* script, "" if none */
	uint32_t line, col; /* 1-based, 0 = none */
	const char *message;
	const char *formatted; /* as the command prints it: place, message, source line with caret, hint */
};

enum rille_log_level { RILLE_LOG_ERROR, RILLE_LOG_WARN, RILLE_LOG_INFO, RILLE_LOG_DEBUG };

struct rille_options {
	size_t size; /* sizeof(struct rille_options) */
	void (*log)(void *user, int level, const char *message);
	void *log_user;
	int log_level;
	const char *cache_dir;   /* NULL: the user's; "": no cache */
	const char *compiler;    /* path of rille-cc; NULL: look for it */
	const char *const *argv; /* told in `meta` records; NULL-terminated or NULL */
	uint64_t ring_bytes;     /* 0: chosen by what the probes send */
	uint8_t unsafe;          /* scripts may use io, os, load, C modules */
	uint8_t strict;          /* an error in a callback ends the trace */
	uint8_t reserved[6];
};

RILLE_API const char *rille_version(void);
/* No I/O. NULL: out of memory, or options that this version does not know (a non-zero tail). */
RILLE_API rille *rille_new(const struct rille_options *options);
RILLE_API void rille_free(rille *r);
RILLE_API const struct rille_error *rille_last_error(const rille *r);

/* Declare. One of these, once. They run the script's declare phase; nothing is opened in the kernel and no privileges are
 * needed. `name` is what messages call the text. rille_load_table wraps `text`, the body of one probe, in a script. */
RILLE_API int rille_load_recipe(rille *r, const char *name);
RILLE_API int rille_load_file(rille *r, const char *path);
RILLE_API int rille_load_string(rille *r, const char *text, size_t len, const char *name);
RILLE_API int rille_load_table(rille *r, const char *text, const char *name);

struct rille_param {
	const char *name, *type, *help, *fallback;
};
RILLE_API size_t rille_param_count(const rille *r);
RILLE_API int rille_param(const rille *r, size_t i, struct rille_param *ret);
RILLE_API const char *rille_summary(const rille *r);

/* Settings, before rille_attach(). Values are text as on the command line; a list is "1,2,3". */
RILLE_API int rille_set_param(rille *r, const char *name, const char *value);
/* Names: "filter" (expression joined to every probe's where), "stack" ("user", "kernel", "both"), "depth", "limit" (events),
 * "fields" ("fd,inode"), "color" ("yes", "no"), "timestamp" ("time", "iso", "epoch", "delta", "none"), "addresses" ("yes"),
 * "top" (places shown by the format "top", 0 = all), "follow" ("no": children of the target are not traced), "signatures" ("yes"). */
RILLE_API int rille_set(rille *r, const char *name, const char *value);
RILLE_API int rille_target_pid(rille *r, int pid);
RILLE_API int rille_target_comm(rille *r, const char *comm);
RILLE_API int rille_target_uid(rille *r, uint32_t uid);
/* format: "text", "jsonl", "csv", "perf-script", or, written at the end, "top", "folded", "flamegraph", "speedscope", "pprof"; path NULL: descriptor `fd`, which stays the caller's. */
RILLE_API int rille_add_output(rille *r, const char *format, const char *path, int fd);

/* Everything short of the kernel: names, types, generated code. Needs root only for tracepoints' formats. */
RILLE_API int rille_check(rille *r);
enum rille_emit { RILLE_EMIT_C, RILLE_EMIT_ASM, RILLE_EMIT_OBJECT };
/* The caller frees *ret_data with free(). */
RILLE_API int rille_emit(rille *r, int what, void **ret_data, size_t *ret_len);

/* Compiles (or takes from the cache), loads, attaches: all or nothing. */
RILLE_API int rille_attach(rille *r);
/* Readable when rille_dispatch() has something to do. */
RILLE_API int rille_fd(const rille *r);
/* Waits at most timeout_ms (0: not at all, -1: until something happens), handles at most max_events (0: no bound) and returns
 * how many. -ESHUTDOWN: the trace is over (limit reached, a script's exit, --strict): rille_over_reason() says why. */
RILLE_API int rille_dispatch(rille *r, int timeout_ms, int max_events);
RILLE_API const char *rille_over_reason(const rille *r);
/* Makes a waiting rille_dispatch() return. Safe from threads and signal handlers. */
RILLE_API void rille_wake(rille *r);
/* The report: last events, on_end, totals to the outputs; then detaches. `reason` is told in the report, NULL = "done". */
RILLE_API int rille_stop(rille *r, const char *reason);

struct rille_totals {
	size_t size; /* sizeof(struct rille_totals) */
	const char *probe;
	uint64_t seen, target, passed, sent;
	uint64_t lost_ring, lost_entry, lost_compat, lost_limit;
	uint64_t callback_errors;
	uint64_t unresolved;      /* stacks that did not reach their root, … */
	char unresolved_why[256]; /* … and why: "no-cfi 3, process-gone 1" */
};
RILLE_API size_t rille_probe_count(const rille *r);
RILLE_API int rille_probe_stats(const rille *r, size_t i, struct rille_totals *ret);

/* Phases of loading and attaching, for -v: "compile", nanoseconds. Returns how many; fills at most n. */
struct rille_phase {
	const char *name;
	uint64_t nsecs;
};
RILLE_API size_t rille_phases(const rille *r, struct rille_phase *ret, size_t n);
/* One line a chosen mechanism. */
RILLE_API const char *rille_mechanisms(const rille *r);

/* What there is. Each calls fn for every match in order of name until it returns non-zero, which is returned. */
struct rille_item {
	const char *name, *summary;
	const char *source; /* recipe: its text */
};
RILLE_API int rille_list_recipes(rille *r, int (*fn)(void *user, const struct rille_item *item), void *user);
/* glob over "syscall:NAME" and "tracepoint:CATEGORY:NAME". */
RILLE_API int rille_list_probes(
        rille *r, const char *glob, int (*fn)(void *user, const struct rille_item *item), void *user);
struct rille_argument {
	const char *probe, *name, *type;
	int at_exit; /* in scope only at exit (ret, errno, elapsed) */
};
RILLE_API int rille_list_arguments(
        rille *r, const char *probe, int (*fn)(void *user, const struct rille_argument *argument), void *user);
/* What this kernel and these privileges allow, one call of fn a finding. */
struct rille_finding {
	const char *name;   /* "BTF", "tracefs", "rille-cc" … */
	int ok;             /* 1 yes, 0 no, -1 no but not needed for the recipes */
	const char *detail; /* what was seen; if not ok, what to do */
};
RILLE_API int rille_doctor(rille *r, int (*fn)(void *user, const struct rille_finding *finding), void *user);

#ifdef __cplusplus
}
#endif
#endif
