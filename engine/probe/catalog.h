/* What this kernel offers: system calls and tracepoints with their arguments, and the types of its structures.
 *
 * Every question goes through a memo of facts that is kept on disk for this boot of this kernel (facts.c): a second start
 * with the same script opens neither tracefs nor BTF. Answers are copied out; they stay valid until catalog_close().
 *
 * System calls come from a table built into the library alone: their ABI is fixed, so `rille check` needs no root; and
 * tracefs does not tell their numbers, without which a call cannot be traced. */
#ifndef RILLE_PROBE_CATALOG_H
#define RILLE_PROBE_CATALOG_H

#include "engine/base/err.h"
#include "engine/base/log.h"
#include "engine/probe/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct catalog;

/* `facts_dir` is the user's cache directory (created and checked by cache.c) or NULL for no memo. Opens nothing else. */
int catalog_open(struct catalog **ret, const char *facts_dir, const struct logger *log, struct err *err);
/* Saves the memo if it has grown (a failure to save is logged, not an error), and gives back the memory that only questions
 * need; a later question opens again what it needs. What was handed out stays. */
void catalog_rest(struct catalog *catalog);
/* The same, and ends it. NULL is fine. */
void catalog_close(struct catalog *catalog);

/* One argument of a system call or field of a tracepoint. */
struct argument {
	const char *name;
	const char *type; /* the C type as the kernel prints it: "struct sockaddr *" */
	uint32_t offset;  /* tracepoint: in the record. syscall: argument number × 8 */
	uint32_t size;    /* bytes; syscall: of the C type, 8 for pointers and longs */
	bool is_signed;
	bool is_pointer;
	bool is_user_string; /* const char * of a system call */
	uint32_t elements;   /* > 0: an array of `size`/elements bytes each (char[16]) */
	bool is_dynamic;     /* __data_loc: a u32 of length << 16 | offset */
};

struct event_format {
	const char *category; /* NULL for a system call */
	const char *name;
	int64_t number; /* system call number, or tracepoint id */
	const struct argument *arguments;
	size_t narguments;
};

/* Exact names ("stat" or as in tracefs "newstat"; the format says "stat"). -ENOENT with the tag unknown-probe and the
 * nearest name in the hint. Tracepoints: -EACCES if tracefs cannot be read; -ENODEV if this kernel has none. */
int catalog_syscall(struct catalog *catalog, const char *name, const struct event_format **ret, struct err *err);
int catalog_tracepoint(struct catalog *catalog, const char *category, const char *name, const struct event_format **ret,
        struct err *err);

/* Whether it is remembered that this kernel has no such tracepoint, in a category that it has: asking for it anew would open
 * tracefs at every start of a script with optional probes. */
bool catalog_lacks_tracepoint(struct catalog *catalog, const char *category, const char *name);

/* Calls fn for each name that matches the glob, in order of name: "socket", or "sched:sched_switch". Stops at fn's first
 * non-zero result and returns it. */
int catalog_match_syscalls(struct catalog *catalog, const char *glob, int (*fn)(void *user, const char *name),
        void *user, struct err *err);
int catalog_match_tracepoints(struct catalog *catalog, const char *glob, int (*fn)(void *user, const char *name),
        void *user, struct err *err);

/* A type of the kernel, as far as expressions need it. */
enum ktype_kind { KTYPE_INT, KTYPE_BOOL, KTYPE_ENUM, KTYPE_STRUCT, KTYPE_POINTER, KTYPE_ARRAY, KTYPE_OTHER };

struct ktype {
	enum ktype_kind kind;
	uint32_t size; /* bytes */
	bool is_signed;
	bool is_char;
	char name[64];      /* struct or union name without keyword; "" if anonymous */
	uint32_t type_id;   /* BTF id, for following a pointer, array or member */
	uint32_t target_id; /* pointer: what it points to; array: its element */
	uint32_t elements;  /* array */
};

struct kmember {
	struct ktype type;
	uint32_t bit_offset; /* from the start of the outer struct, anonymous members flattened */
	uint32_t bit_size;   /* 0 = not a bit-field */
};

/* A struct or union by name. -ENOENT (tag unknown-type) or -EOPNOTSUPP when the kernel has no BTF. */
int catalog_struct(struct catalog *catalog, const char *name, struct ktype *ret, struct err *err);
int catalog_type(struct catalog *catalog, uint32_t type_id, struct ktype *ret, struct err *err);
/* A member, also inside anonymous structs and unions. -ENOENT (tag unknown-member) with the nearest member in the hint.
 * That something is missing is remembered as well: with `err` NULL, asking for a member that only some kernels have does
 * not open BTF at a warm start. */
int catalog_member(
        struct catalog *catalog, uint32_t struct_id, const char *member, struct kmember *ret, struct err *err);
/* The byte offset of "task_struct", "real_parent": the common case for the generator's own code. */
int catalog_offset(struct catalog *catalog, const char *type, const char *member, uint32_t *ret, struct err *err);

/* A private handle on tracefs (an O_PATH or directory descriptor, owned by the catalog), or a negative errno. */
int catalog_tracefs(struct catalog *catalog, struct err *err);

/* Constants of the kernel's and libc's headers, collected when the engine was built. */
struct constant {
	const char *name;
	int64_t value;
};
/* NULL if unknown. */
const struct constant *constant_find(const char *name);
/* All constants in order of name; *ret_n of them. */
const struct constant *constant_table(size_t *ret_n);

#endif
