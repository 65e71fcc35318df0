/* Errors: one struct that says what went wrong, where in the script, and what to do next. */
#ifndef RILLE_BASE_ERR_H
#define RILLE_BASE_ERR_H

#include <stdint.h>

struct text;

/* What kind of trouble it is; the values are the command's exit codes. */
enum err_class {
	ERR_NONE = 0,
	ERR_RUNTIME = 1,    /* the trace itself failed: I/O, memory, a callback under --strict */
	ERR_SCRIPT = 2,     /* usage, or anything a script can get wrong */
	ERR_PERMISSION = 3, /* a capability is missing */
	ERR_KERNEL = 4,     /* this kernel lacks something */
};

/* A place in a script: 1-based line and column (in bytes), 0 = unknown. `file` is borrowed and outlives the error's
 * making, not the error: struct err copies it. `source` is the whole text of the file, or NULL: err_at() copies the line
 * it points into, to show it with a caret. */
struct pos {
	const char *file;
	const char *source;
	uint32_t line, col;
};

struct err {
	int code; /* a negative errno; 0 = no error */
	enum err_class class;
	const char *tag;   /* stable, static: "unknown-field", "verifier-rejected", … */
	const char *stage; /* which step of a longer job failed, static: "compile"; NULL = not told */
	uint32_t line, col;
	char file[256];
	char message[1024];
	char source[256]; /* the source line, cut to fit */
	char hint[256];   /* what to do next: the nearest name, a command */
};

/* Fills `err` (which may be NULL) and returns `code`, a negative errno. The message is formatted here, once. */
int err_set(struct err *err, int code, enum err_class class, const char *tag, const char *fmt, ...)
        __attribute__((format(printf, 5, 6)));

/* The same with a place in a script; class ERR_SCRIPT, code -EINVAL (returned). */
int err_at(struct err *err, struct pos pos, const char *tag, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

/* -ENOMEM with the tag "out-of-memory". */
int err_nomem(struct err *err);

/* The analyser sees one file at a time: without this it follows paths on which an error is 0. */
#ifdef __clang_analyzer__
#include <errno.h>
#define err_set(err, code, ...) ((err_set)(err, code, __VA_ARGS__), (code))
#define err_at(err, ...) ((err_at)(err, __VA_ARGS__), -EINVAL)
#define err_nomem(err) ((err_nomem)(err), -ENOMEM)
#endif

/* Adds the line that says what to do next. */
void err_hint(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "CONTEXT: " before the message; a caller does so at most once ("attach syscall:bind"). */
void err_context(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends "FILE:LINE:COL: error: MESSAGE [TAG]", the source line with a caret, and the hint, a line each. */
void err_format(const struct err *err, struct text *out);

#endif
