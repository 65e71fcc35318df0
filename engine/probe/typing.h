/* What the names of an expression mean, and what type every part of it has. */
#ifndef RILLE_PROBE_TYPING_H
#define RILLE_PROBE_TYPING_H

#include "engine/probe/catalog.h"
#include "engine/probe/expr.h"

enum builtin {
	BUILTIN_PID,
	BUILTIN_TID,
	BUILTIN_PPID,
	BUILTIN_UID,
	BUILTIN_GID,
	BUILTIN_COMM,
	BUILTIN_CPU,
	BUILTIN_CGROUP,
	BUILTIN_NS_PID,
	BUILTIN_NSECS,
	BUILTIN_PROBE,
	BUILTIN_RET,
	BUILTIN_ERRNO,
	BUILTIN_ELAPSED,
	BUILTIN_TASK,
	BUILTIN_COUNT
};

/* An earlier field, as later ones see it. */
struct scope_field {
	const char *name;
	struct type type;
};

/* Where an expression stands. */
struct scope {
	struct catalog *catalog;
	const struct spec *spec;
	const char *probe; /* "syscall:socket" */
	enum probe_kind kind;
	const struct event_format *format;
	const struct spec_probe *where_of; /* the expression is this probe's condition: its fields come later */
	const struct scope_field *fields;
	size_t nfields;
	size_t nentries; /* entry() slots taken so far in this probe; grows */
	bool in_entry;   /* inside entry() */
	bool counts;     /* the expression is of what is counted, which is computed before the fields, too */
	bool at_entry;   /* the probe fires when the call begins */
};

enum {
	TEXT_DEFAULT = 256,      /* room of str(p), with its NUL */
	TEXT_MAX = 4096,         /* the most that str(p, n) and buf(p, n) take */
	ARRAY_MAX = 64,          /* the most elements of s32(p, n): one present bit each */
	SCM_FDS = 32,            /* descriptors that scm_fds() gives at most: SCM_ROOM in scm.bpf.h */
	SOCKADDR_ROOM = 136,     /* u32 length + struct sockaddr_storage, rounded up to 8 */
	PATH_ROOM = 768,         /* of fd_path(): 512 of text, the rest to put it together */
	PARAM_LIST_ROOM = 256,   /* elements of a list parameter */
	PARAM_PATTERN_ROOM = 64, /* a pattern that is a parameter */
};

/* Resolves and types the whole tree, folds constants. -EINVAL with a place and the nearest name. */
int type_tree(struct scope *scope, struct expr_tree *tree, struct err *err);
/* The same for a condition: its type must be usable as one. */
int type_condition(struct scope *scope, struct expr_tree *tree, struct err *err);

/* The name of a type, for messages: "integer", "text", "pointer to struct file". */
const char *type_name(const struct type *type);
/* 64 unsigned bits are needed to hold it; all other integers are exact in 64 signed bits. */
bool type_is_wide(const struct type *type);
bool type_is_number(const struct type *type); /* integer, boolean or pointer, not an array */
bool type_is_text(const struct type *type);   /* text, or a pointer to text, which is then read */

/* Shared by typing.c, typing_names.c and function*.c. */
struct typer {
	struct scope *scope;
	struct expr_tree *tree;
	struct err *err;
};

int typer_visit(struct typer *t, struct expr *e);
/* Reads a pointer to text where text is wanted: x becomes str(x). */
int typer_text(struct typer *t, struct expr **slot);
int typer_name(struct typer *t, struct expr *e);
int typer_argument(struct typer *t, struct expr *e);
int typer_param(struct typer *t, struct expr *e);
struct type type_of_param(const char *type);
int typer_member(struct typer *t, struct expr *e);
int typer_kernel_index(struct typer *t, struct expr *e);
int typer_call(struct typer *t, struct expr *e);
int typer_entry(struct typer *t, struct expr *e);
int typer_at_entry(struct typer *t, struct expr *call, int (*check)(struct typer *t, struct expr *call));
/* Turns e into sockaddr(args.address, args.length). */
int typer_sockaddr(struct typer *t, struct expr *e, const char *address, const char *length);
int typer_fail(struct typer *t, const struct expr *e, const char *tag, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
struct type type_int(unsigned width, bool is_signed);
/* gen_text.c: a pattern of at most 63 places whose brackets are closed. */
bool glob_is_valid(const char *pattern, size_t len);

/* The functions, for completion and for `str` of a text argument. */
struct emit;
struct function {
	const char *name, *usage;
	uint8_t min, max; /* arguments */
	int (*check)(struct typer *t, struct expr *call);
	void (*emit)(struct emit *emit, const struct expr *call);
	uint8_t width; /* of the integer that it gives */
	bool is_signed;
	bool reads_user;                                           /* memory of the process */
	void (*block)(struct emit *emit, const struct expr *call); /* an array as a field of its own: as a whole */
	const char *each; /* of many descriptors at once: in bpf-templates/each_get.bpf.h */
};

const struct function *function_table(size_t *ret_n);
const char *builtin_name(enum builtin builtin);

#endif
