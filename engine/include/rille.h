/* rille.h: trace processes with a Lua script, or with probes declared from C. C99 and C++.
 *
 * Life of a handle:
 *
 *     rille_new → rille_load_* or rille_add_probe → rille_set_* / rille_target_* / rille_add_output / rille_on_event
 *               → rille_attach → { rille_fd in your loop → rille_dispatch } → rille_stop → rille_free
 *
 * A program of thirty lines is docs/examples/host.c.
 *
 * Errors. Functions return 0 (or a count) on success and a negative errno on failure; rille_last_error() then has the
 * whole story, with a tag that stays the same from version to version. A call that the handle's state does not allow is
 * refused with -EBUSY or -EINVAL and one of these tags, and changes nothing:
 *
 *     null-argument   NULL for something that must not be
 *     bad-argument    a number or a size that makes no sense; a struct of a newer version of this library
 *     wrong-state     before or after its time: dispatching before rille_attach(), loading twice, a probe after attaching
 *     in-callback     rille_attach, _dispatch, _stop or _free inside one of your callbacks (events, log, lists)
 *     forked          in a child of the process that attached
 *     stale-event     an event after its callback has returned
 *     wrong-type      a field read as what it is not
 *     out-of-range    a field's number that its probe does not have; an integer that does not fit
 *
 * Threads. A handle belongs to one thread at a time, which may change; several handles are independent of each other.
 * rille_wake() alone may be called from any thread and from signal handlers.
 *
 * Structs with a `size` are filled or read up to that many bytes, so that a program and the library need not be of the
 * same version: set it to sizeof the struct. What the library does not know of a struct that it reads must be zero.
 *
 * What this library does to your process:
 *
 *   - It opens descriptors, all of them close-on-exec: while it declares, the script's folder and the cache; from
 *     rille_attach() on the BPF programs, maps and links, one perf event for each CPU, an epoll, a timer, an event
 *     descriptor, a pidfd for each target, and the outputs. Files of traced processes are opened for as long as they are
 *     read. rille_stop() detaches and closes the outputs, rille_free() closes everything.
 *   - It maps memory: the ring buffer (a window of 256 KiB) and the perf buffers. Lua's memory is bounded by 64 MiB; a
 *     process with big programs costs some 10 MB for their symbols.
 *   - It runs rille-cc, as a child process with nothing open but what it needs to answer, in rille_attach(), rille_emit()
 *     and rille_doctor(), unless an object fits that is in the cache or was loaded. It waits for that child and for no
 *     other. Your process gets SIGCHLD then.
 *   - It writes to the cache ($XDG_CACHE_HOME/rille, ~/.cache/rille or options.cache_dir; "": none), and to the outputs
 *     that were added. A write to a pipe that nobody reads blocks SIGPIPE in this thread for the time of the write.
 *   - It may start one thread, all signals blocked, to read the memory of a traced process where a page could block the
 *     reader for ever (userfaultfd, FUSE). It ends with rille_free(), or with its read if that blocks.
 *   - The kernel's tracepoints are shared: while handles are attached the whole machine runs their programs.
 *   - libbpf's print callback, which is one of the process, is taken away while rille_attach() and rille_doctor() are in
 *     libbpf, and put back. On kernels before 5.11, where BPF needs it, libbpf raises RLIMIT_MEMLOCK.
 *
 * It never prints, exits, installs a signal handler, changes directory, root, limits (but for that one), locale, umask,
 * environment or capabilities. Scripts cannot either, unless options.unsafe gives them the whole of Lua's library.
 *
 * fork(). In a child of the process that attached, the handle is of no use: each call fails with the tag forked,
 * rille_wake() does nothing, and rille_free() gives back the child's memory and descriptors without touching the trace,
 * which goes on in the parent. A child may as well exit or exec without a word; one that does none of these keeps the
 * kernel's programs attached after the parent has stopped. Before rille_attach() a handle may be taken along (a daemon
 * that forks into the background attaches afterwards).
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
	/* What failed: "declare" (rille_load_*, rille_add_probe), in rille_attach() the phase as rille_phases() calls it
	 * ("prepare", "generate", "compile", "load", "attach" …), else the function without its prefix ("set", "check"). */
	const char *stage;
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
/* No I/O. NULL with errno ENOMEM, or EINVAL for options that this version does not know (a non-zero tail, a size that
 * is too small). `options` may be NULL; its strings are copied, but for argv, which is used until rille_free(). */
RILLE_API rille *rille_new(const struct rille_options *options);
/* Stops first, if that has not been done. NULL is fine. Inside a callback it does nothing but set the error in-callback. */
RILLE_API void rille_free(rille *r);
/* Of the last call that failed; never NULL, also for r NULL. Valid until the next call with this handle. */
RILLE_API const struct rille_error *rille_last_error(const rille *r);

/* Declare. One of these, once. They run the script's declare phase; nothing is opened in the kernel and no privileges are
 * needed. `name` is what messages call the text. rille_load_table wraps `text`, the body of one probe, in a script. */
RILLE_API int rille_load_recipe(rille *r, const char *name);
RILLE_API int rille_load_file(rille *r, const char *path);
RILLE_API int rille_load_string(rille *r, const char *text, size_t len, const char *name);
RILLE_API int rille_load_table(rille *r, const char *text, const char *name);
/* What rille_emit(RILLE_EMIT_OBJECT) or `rille emit --object` made, here or elsewhere; rille_load_file() takes such a file
 * as well. It brings along the script (and what it requires) or the probes, and the settings "filter", "stack" and
 * "depth"; parameters, targets and all else are set as usual. rille_attach() then needs no compiler. Damage is told here
 * (bad-object, foreign-object); that this kernel's types, another version of the library or a changed setting make
 * another program, by rille_attach() (object-mismatch). An object is to be trusted as much as a program run as root. */
RILLE_API int rille_load_object(rille *r, const void *data, size_t len);

struct rille_param {
	const char *name, *type, *help, *fallback;
};
RILLE_API size_t rille_param_count(const rille *r);
RILLE_API int rille_param(const rille *r, size_t i, struct rille_param *ret);
RILLE_API const char *rille_summary(const rille *r);

/* Probes from C, without a script and without Lua: called once a probe, instead of a rille_load_*. The strings are
 * those of a script (rille-script(7)) and are copied. Returns the probe's number, from 0.
 *
 * What is wrong with a name or a field's form is an error at once, what is wrong inside an expression one of
 * rille_check() and rille_attach(). rille_error.file then says which string ("probe 1 where", "probe 2 field addr", both
 * counted from 1), line and col the place in it. */
struct rille_field {
	const char *name; /* "fd"; with expr NULL also a script's short form, "addr = sockaddr(umyaddr, addrlen)" */
	const char *expr; /* NULL: the value of that name */
	const char *as;   /* how it is shown: "AF_", "errno", "hex" …; NULL: as it is */
	const void *reserved;
};
struct rille_probe {
	size_t size;       /* sizeof(struct rille_probe) */
	const char *on;    /* "syscall:bind", "tracepoint:sched:sched_process_exec"; * and ? attach to all that match */
	const char *where; /* NULL: every event */
	const struct rille_field *fields;
	size_t nfields;
	const char *stack;  /* "user", "kernel", "both"; NULL: none */
	uint32_t depth;     /* at most so many frames; 0: 1024 */
	uint32_t max_bytes; /* of the user stack that are copied in the kernel; 0: 32768 */
	const char *at;     /* of a system call: "entry", before it does anything; "exit" or NULL: when it returns */
	uint8_t optional;   /* 1: left out where the kernel does not have it, or a structure that it names */
	uint8_t reserved[7];
};
RILLE_API int rille_add_probe(rille *r, const struct rille_probe *probe);

/* Settings, before rille_attach(). Values are text as on the command line; a list is "1,2,3". */
RILLE_API int rille_set_param(rille *r, const char *name, const char *value);
/* Names: "filter" (expression joined to every probe's where), "stack" ("user", "kernel", "both"), "depth", "limit" (events),
 * "fields" ("fd,inode"), "color" ("yes", "no"), "timestamp" ("time", "iso", "epoch", "delta", "none"), "addresses" ("yes"),
 * "top" (places shown by the format "top", 0 = all), "follow" ("no": children of the target are not traced), "signatures" ("yes").
 * "ring" (size of the ring buffer, "64M"; as options.ring_bytes),
 * "origins" ("yes": what stacks are about is said below them), "container" (only what runs in it, by id or name; "a,b").
 * Of the formats "open": "open-by" ("site": grouped by creation point; "fd"), "open-fd" and "open-inode" (only these, "4,7"),
 * "open-kind" ("socket,pipe"), "open-crac" (a file with the text of a CRaC CheckpointException: answers to each of its
 * descriptors), "open-crac-later" (the same; the file may come to be later, and is read again for each report). */
RILLE_API int rille_set(rille *r, const char *name, const char *value);
RILLE_API int rille_target_pid(rille *r, int pid);
RILLE_API int rille_target_comm(rille *r, const char *comm);
RILLE_API int rille_target_uid(rille *r, uint32_t uid);
/* format: "text", "jsonl", "csv", "perf-script", or, written at the end, "open", "open-jsonl", "top", "folded", "flamegraph", "speedscope", "pprof"; path NULL: descriptor `fd`, which stays the caller's. */
RILLE_API int rille_add_output(rille *r, const char *format, const char *path, int fd);

/* Everything short of the kernel: names, types, generated code. Needs root only for tracepoints' formats. */
RILLE_API int rille_check(rille *r);
enum rille_emit { RILLE_EMIT_C, RILLE_EMIT_ASM, RILLE_EMIT_OBJECT };
/* The caller frees *ret_data with free(). */
RILLE_API int rille_emit(rille *r, int what, void **ret_data, size_t *ret_len);

/* Compiles (or takes from the cache), loads, attaches: all or nothing. */
RILLE_API int rille_attach(rille *r);
/* Readable when rille_dispatch() has something to do. Negative before rille_attach(). */
RILLE_API int rille_fd(const rille *r);
/* Waits at most timeout_ms (0: not at all, -1: until something happens), handles at most max_events (0: no bound) and returns
 * how many. -ESHUTDOWN: the trace is over (limit reached, a script's exit, --strict): rille_over_reason() says why. */
RILLE_API int rille_dispatch(rille *r, int timeout_ms, int max_events);
RILLE_API const char *rille_over_reason(const rille *r);
/* Makes a waiting rille_dispatch() return. Safe from threads and signal handlers. */
RILLE_API void rille_wake(rille *r);
/* Asks the outputs that tell a state, as of now, while the trace goes on: "open" and "open-jsonl" list what is open. The
 * others have nothing to say before the end. `reason` is told with it, NULL = "asked". */
RILLE_API int rille_report(rille *r, const char *reason);
/* Instead of rille_attach(), without a script and without tracing: what such outputs can see of the targets (none named:
 * of every process) from outside, once. The handle is stopped then. */
RILLE_API int rille_snapshot(rille *r);
/* The report: last events, on_end, totals to the outputs; then detaches. `reason` is told in the report, NULL = "done". */
RILLE_API int rille_stop(rille *r, const char *reason);

/* --- Reports ---
 *
 * Instead of tracing: reads a trace that the format "jsonl" wrote, to the end of `fd`, into the outputs that were added,
 * with the settings "fields", "limit", "color", "timestamp", "addresses", "signatures", "top" and "origins"; a script that was
 * loaded before says with the last what stacks are about. Nothing is loaded or
 * attached, and no privileges are needed; the handle is then as after rille_stop().
 * -EPROTO (tag not-a-trace): the first line is none of a trace. -EBADMSG (incomplete-trace): lines could not be read, or
 * the end is missing; each was told to the log with its number, and the outputs have all the rest. */
struct rille_conversion {
	size_t size; /* sizeof(struct rille_conversion) */
	int fd;
	const char *name;     /* of the trace, for messages; NULL: "the trace" */
	const uint32_t *pids; /* only events of these processes; npids 0: of all */
	size_t npids;
	const char *comm; /* only events of threads of this name; NULL: of all */
};
RILLE_API int rille_convert(rille *r, const struct rille_conversion *what);

/* --- Events ---
 *
 * `fn` is called in rille_dispatch() and rille_stop(), once for each event that passed `where`, after the script's own
 * callback, if it has one, and after the event went to the outputs; what the script does with an event changes nothing
 * for `fn`. Returning 0 goes on, RILLE_END ends the trace after this event (rille_dispatch() then gives -ESHUTDOWN, with
 * rille_over_reason() "callback"), a negative errno is an error of the callback: it is counted (callback_errors), the
 * first three are logged, and with options.strict it ends the trace, rille_dispatch() returning it.
 * fn NULL: none. May be called at any time before rille_stop(), in `fn` as well.
 *
 * An event is valid during the callback only. The library knows: using it later fails with -ESTALE, for at least the
 * next 255 events and until rille_free(). What the functions below give as pointers is valid during the callback, too. */
typedef struct rille_event rille_event;
typedef int (*rille_event_fn)(void *user, const rille_event *event);
enum { RILLE_END = 1 };
RILLE_API int rille_on_event(rille *r, rille_event_fn fn, void *user);

struct rille_head {
	size_t size;     /* sizeof(struct rille_head) */
	size_t probe;    /* index as for rille_probe_stats() and rille_probe_field() */
	size_t declared; /* which of the script's probes, or what rille_add_probe() returned: with * in a name several
	                           attached probes have one declaration */
	const char *probe_name; /* "syscall:bind"; valid until rille_free() */
	uint64_t number;        /* 1, 2, 3 … of this run */
	int64_t time;           /* ns since 1970 */
	uint64_t nsecs;         /* CLOCK_MONOTONIC */
	uint32_t pid, tid, ppid;
	char comm[16]; /* NUL-terminated, any bytes */
	uint32_t reserved;
};
RILLE_API int rille_event_head(const rille_event *event, struct rille_head *ret);

/* A field's number by its name, the same for all events of a probe, so that it can be kept by head.probe. -ENOENT. */
RILLE_API int rille_event_field(const rille_event *event, const char *name);

/* Values. `field` is the number of a field, from 0. All return -ENODATA, and set no error, if the kernel could not get
 * the value (unreadable memory, a descriptor that was not open), -EINVAL with the tag wrong-type if the field is
 * something else, and -ERANGE with the tag out-of-range as said above.
 *
 * An integer of any width or a boolean. A value that does not fit (-1 as u64) is out-of-range. */
RILLE_API int rille_event_i64(const rille_event *event, int field, int64_t *ret);
RILLE_API int rille_event_u64(const rille_event *event, int field, uint64_t *ret);
/* Text (without its NUL, which follows), bytes, or the raw bytes of a socket address; in the event's memory. */
RILLE_API int rille_event_bytes(const rille_event *event, int field, const void **ret, size_t *ret_len);
/* An array of integers: fills at most `room` of them and returns how many there are, at most 64. Bit i of *ret_has (may
 * be NULL) says that element i has a value; what has none is 0. Unsigned elements are to be cast to uint64_t. */
RILLE_API int rille_event_array(const rille_event *event, int field, int64_t *ret, size_t room, uint64_t *ret_has);
/* A socket address: fills `room` bytes at `ret` (a struct sockaddr_storage), zeros behind the address, and returns the
 * length that the process passed, which may be too short for its family, or 0. */
RILLE_API int rille_event_sockaddr(const rille_event *event, int field, void *ret, size_t room);
/* Any field as the output `text` shows it: SOCK_STREAM, 127.0.0.1:80, 1.5 ms; "-" if it has no value. Fit for a terminal.
 * *ret is NUL-terminated and valid until the next call of this function with the event. */
RILLE_API int rille_event_show(const rille_event *event, int field, const char **ret, size_t *ret_len);
/* The event as one JSON object, the bytes of the line that the output `jsonl` writes, without its newline. *ret is
 * NUL-terminated and valid until the next call of this function with the event. */
RILLE_API int rille_event_json(const rille_event *event, const char **ret, size_t *ret_len);

/* The container that the event's process runs in, "docker:web-1"; reads a file of /proc. -ENODATA: none, or not known. */
RILLE_API int rille_event_container(const rille_event *event, const char **ret);

enum rille_side { RILLE_USER = 1, RILLE_KERNEL_SIDE = 2 };

/* What is not known is NULL or 0. Names come from the traced process; control characters, and bytes that are not UTF-8,
 * are written as \xNN. */
struct rille_frame {
	uint64_t address; /* the program counter */
	uint64_t offset;  /* in the function if it has a name, else in the module */
	const char *kind; /* "native", "kernel", "java", "js", "stub", "marker" … "stale": its callback has returned */
	const char *tier;      /* of a language runtime: "interp", "c1", "c2", "turbofan" … */
	const char *how;       /* NULL: by unwind information; else "fp", "scan", "approx" … */
	const char *name;      /* of the function */
	const char *signature; /* of a Java method, with the setting "signatures" */
	const char *module;    /* path of the mapped file */
	const char *build_id;  /* hexadecimal */
	const char *file;      /* of the source */
	int32_t line;          /* 0: not known */
	uint8_t inlined;       /* into the next frame */
	uint8_t reserved[3];
	uint64_t reserved2[5];
};
struct rille_stack {
	size_t size;                      /* sizeof(struct rille_stack) */
	const struct rille_frame *frames; /* innermost first */
	size_t nframes;
	const char *end; /* why it ends: "root" if it is complete, else "truncated", "no-cfi" … */
	uint64_t site;   /* equal for the same creation point; 0: no frames */
};
/* The stack, resolved when first asked for. -ENODATA: the probe takes no stack of that side. */
RILLE_API int rille_event_stack(const rille_event *event, int side, struct rille_stack *ret);

/* What a stack is about, by the table of what is known of the C library, the JVM, Netty, Node.js and so on, with what the
 * script that was loaded has added to rille.origins (rille-script(7)). */
struct rille_origin {
	size_t size;                /* sizeof(struct rille_origin) */
	const char *name;           /* "jdk-watch-service"; valid until rille_free() */
	const char *about, *advice; /* one line each: what it is, what to do about it (NULL: nothing) */
	const char *crac; /* for -Djdk.crac.resource-policies, until the next call of this function; NULL: no rule */
	int64_t frame;    /* number of the frame that told; -1: it was the path */
	int64_t by;       /* of the first frame of the program itself; -1: none */
};
/* `frames`: of rille_event_stack(), or others, innermost first, of which the first 1024 count, with what is known of kind,
 * name, module and file; nframes 0: none. `path`: of the descriptor that was made, or the address of a Unix socket; NULL:
 * not known. -ENODATA, and no error is set: what they are about is not known. */
RILLE_API int rille_origin(
        rille *r, const struct rille_frame *frames, size_t nframes, const char *path, struct rille_origin *ret);

/* What the attached probes record; known after rille_check() or rille_attach(). -ENOENT past the last field or probe. */
enum rille_kind { RILLE_INT = 1, RILLE_UINT, RILLE_BOOL, RILLE_TEXT, RILLE_BYTES, RILLE_SOCKADDR };
struct rille_field_info {
	size_t size;      /* sizeof(struct rille_field_info) */
	const char *name; /* valid until rille_free(), or a rille_check(), rille_emit() or rille_attach() before it */
	int32_t kind;     /* enum rille_kind */
	uint32_t bits;    /* of an integer: 8, 16, 32, 64 */
	uint32_t count;   /* elements of an array, 0: not an array */
	uint32_t reserved;
};
RILLE_API int rille_probe_field(const rille *r, size_t probe, size_t i, struct rille_field_info *ret);

struct rille_totals {
	size_t size; /* sizeof(struct rille_totals) */
	const char *probe;
	uint64_t seen, target, passed, sent;
	uint64_t lost_ring, lost_entry, lost_compat, lost_limit;
	uint64_t callback_errors;
	uint64_t unresolved;      /* stacks that did not reach their root, … */
	char unresolved_why[256]; /* … and why: "no-cfi 3, process-gone 1" */
	uint64_t lost_full;       /* not counted: a map of what is counted in the kernel was full */
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
/* A constant of the kernel's or the C library's headers: "AF_UNIX" is 1. -ENOENT. */
RILLE_API int rille_constant(const char *name, int64_t *ret);
/* A number as a field with that `as` is shown: 2049 as "SOCK_" is SOCK_STREAM|SOCK_NONBLOCK. Like snprintf(): at most `room`
 * bytes with the NUL, returns the length of the whole. -EINVAL: there is no such `as`. */
RILLE_API int rille_format(int64_t value, const char *as, char *ret, size_t room);
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
