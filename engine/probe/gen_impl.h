/* Shared by the files of the generator.
 *
 *     gen.c          spec → probes: globs, one build a probe, the whole program
 *     gen_probe.c    one probe: types its expressions, lays out its record, writes its function
 *     gen_aggregate.c what a probe counts in the kernel
 *     gen_expr.c     expressions → C; gen_kernel.c: those that go through kernel structures
 *     gen_text.c     comparing text and patterns
 *     gen_call.c     the functions of functions.c → C
 *     gen_dispatch.c system call numbers → the functions of probes
 *     gen_program.c  pieces, offsets, parameters, maps → the source
 */
#ifndef RILLE_PROBE_GEN_IMPL_H
#define RILLE_PROBE_GEN_IMPL_H

#include "engine/probe/gen.h"
#include "engine/probe/typing.h"

/* Files of bpf-templates that a program may need, in the order in which they are put into it. */
enum piece {
	PIECE_BASE,
	PIECE_LOAD_BTF,
	PIECE_LOAD_PROBE,
	PIECE_REGS,
	PIECE_REGS_HELPER,
	PIECE_REGS_STACK,
	PIECE_SEND,
	PIECE_SCRATCH,
	PIECE_AGGREGATE,
	PIECE_STACK_END_VMA,
	PIECE_STACK_END_NONE,
	PIECE_USER_STACK,
	PIECE_STACK_INLINE,
	PIECE_STACK_SHARED,
	PIECE_KERNEL_STACK,
	PIECE_TARGETS,
	PIECE_FOLLOW,
	PIECE_CGROUPS,
	PIECE_ENTRIES_TASK,
	PIECE_ENTRIES_HASH,
	PIECE_ARITH,
	PIECE_TEXT,
	PIECE_PATTERN,
	PIECE_USER_MEMORY,
	PIECE_KERNEL_MEMORY,
	PIECE_DESCRIPTORS,
	PIECE_FAMILY,
	PIECE_FLAGS,
	PIECE_KIND,
	PIECE_PATH,
	PIECE_PATH_LOOP,
	PIECE_PATH_STEPS,
	PIECE_PATH_GET,
	PIECE_NS_PID,
	PIECE_EACH,
	PIECE_EACH_LOOP,
	PIECE_EACH_STEPS,
	PIECE_EACH_GET,
	PIECE_SCM,
	PIECE_SCM_LOOP,
	PIECE_SCM_STEPS,
	PIECE_SCM_GET,
	PIECE_COUNT
};

/* What the running kernel's BPF has, by its version. */
enum feature {
	FEATURE_TASK_BTF = 1,     /* a typed pointer to the running task: 5.11 */
	FEATURE_TASK_STORAGE = 2, /* for tracing programs: 5.12 */
	FEATURE_TASK_REGS = 4,    /* bpf_task_pt_regs(): 5.15 */
	FEATURE_FIND_VMA = 8,     /* and bpf_loop(): 5.17 */
};

struct offset {
	char *macro; /* OFF_task_struct__mm */
	char structure[64], member[64];
	uint32_t value;
};

struct gen {
	const struct spec *spec;
	const struct gen_options *options;
	struct catalog *catalog;
	struct gen_result *ret;
	struct err *err;
	int failed; /* the first error while writing C, where it cannot be returned */
	unsigned features;
	uint64_t pieces; /* bit enum piece */
	bool *params_used;
	bool *params_pattern; /* used after ~ */
	struct offset *offsets;
	size_t noffsets, offsets_cap;
	uint32_t stack_room, no_text;
	struct text tables;  /* constant data */
	struct text entries; /* members of struct rille_entry */
	struct text records; /* a struct a probe */
	struct text scratch; /* members of struct rille_scratch */
	struct text rows;    /* the maps of what is counted */
	struct text probes;  /* functions */
	struct text exit_cases, enter_cases, tracepoints;
	char **globs; /* literal patterns that have a table */
	size_t nglobs, globs_cap;
	struct unit *units;
	size_t nunits, units_cap;
};

/* The code of one probe, or of several that differ in nothing but their index (`syscall:*` with fields that every call
 * has): generated once, called with the index. */
struct unit {
	char *text; /* as generated, with UNIT for its number */
};

/* Stands for a unit's number until it is known whether the same code is there already. */
#define UNIT "@@"

enum { MAX_UNITS = 200, INLINE_UNITS = 8 };

/* An entry() that is in use, and the text that it stands in. */
struct kept_entry {
	const struct expr *expr;
	const struct spec_text *source;
};

/* One attached probe while its code is written. */
struct build {
	struct gen *gen;
	const struct spec_probe *spec;
	struct probe_schema *schema;
	const struct event_format *format;
	struct scope scope;
	struct expr_tree where, filter;
	struct expr_tree *trees; /* of the fields */
	size_t ntrees;
	struct scope_field fields[SCHEMA_MAX_FIELDS];
	struct text members;     /* of the record's struct */
	struct text temps;       /* rooms for text behind the part that is sent */
	struct text early, late; /* the function's body before and after the record is there */
	struct text kept;        /* members of struct rille_entry */
	struct text record;      /* the record's struct */
	struct text enter;       /* what is tested at the entry */
	bool enter_room;         /* … and needs room */
	struct text functions;
	struct kept_entry *entries;
	size_t nentries, entries_cap;
	uint64_t args_used, args_used_entry; /* arguments that are loaded into variables */
	bool uses_comm, uses_ret, uses_state, uses_elapsed;
	bool comm_entry;
	unsigned ntemps;
	unsigned branches; /* in the expressions written so far */
	bool early_record; /* `where` needs room */
	bool scratch;
	bool is_key;          /* this is the small record of something that is counted: equal values have equal bytes */
	size_t nkeys;         /* … of so many keys, and behind them what is counted */
	struct build *counts; /* one an aggregate of the probe */
	size_t ncounts;
	struct text counting; /* the code of all of them */
	uint32_t size;        /* of the record's fixed part */
};

/* Writes one expression. */
struct emit {
	struct gen *gen;
	struct build *build;
	struct text *out;
	const struct spec_text *source; /* of the expression that is being written */
	const char *to;                 /* a C expression: where text goes. NULL: a room of its own */
	bool at_entry;
	bool tests;  /* … to decide whether anything is kept: there is no state yet */
	int element; /* of an array, where one number is wanted; or one of the next two */
};

enum { ELEMENT_NONE = -1, ELEMENT_LOOP = -2 /* the one that the variable `el` says */ };

void gen_need(struct gen *gen, enum piece piece);
/* Notes that the program needs the offset and returns the macro for it. */
const char *gen_offset(struct gen *gen, const char *structure, const char *member);
const char *gen_known_offset(struct gen *gen, const char *structure, const char *member, uint32_t value);
void gen_fail(struct gen *gen, int r);
/* Puts this line where generated lines follow after a script's: gen_source() makes it a #line of the program itself. */
#define GEN_LINE_HERE "#line_here\n"
int gen_source(struct gen *gen);
/* The programs on system calls. */
int gen_dispatch(struct gen *gen, struct text *out);
unsigned gen_features(const struct gen_options *options);

/* A whole expression on a line of its own, with the #line that says where it stands in the script. */
void emit_script(struct emit *em, const struct expr_tree *tree, void (*emit)(struct emit *em, const struct expr *e));

/* A number or text as a C expression: s64, or u64 where the type is wide; for text a pointer. */
void emit_expr(struct emit *em, const struct expr *e);
/* The same with a cast to u64 around it. */
void emit_unsigned(struct emit *em, const struct expr *e);
/* Non-zero if true. */
void emit_truth(struct emit *em, const struct expr *e);
/* Where the text is that e reads: em->to, or a fresh room. */
void emit_room(struct emit *em, const struct expr *e);
void emit_member(struct emit *em, const struct expr *e);
void emit_kernel_index(struct emit *em, const struct expr *e);
void emit_same_text(struct emit *em, const struct expr *a, const struct expr *b);
void emit_glob(struct emit *em, const struct expr *e);
void emit_in(struct emit *em, const struct expr *e);
/* `text` (a C expression) equals the literal. */
void emit_literal_match(struct emit *em, const char *text, uint32_t room, const char *s, size_t len);
void emit_c_string(struct text *out, const char *s, size_t len);
const char *c_type(const struct type *type);    /* "s32" */
const char *wide_type(const struct type *type); /* "s64" or "u64" */

void emit_buf(struct emit *em, const struct expr *call);
void emit_fd_family(struct emit *em, const struct expr *call);
void emit_element(struct emit *em);
void emit_fd_file(struct emit *em, const struct expr *call);
void emit_fd_flags(struct emit *em, const struct expr *call);
void emit_fd_kind(struct emit *em, const struct expr *call);
void emit_has(struct emit *em, const struct expr *call);
void emit_kptr(struct emit *em, const struct expr *call);
void emit_scm_count(struct emit *em, const struct expr *call);
void emit_scm_fds(struct emit *em, const struct expr *call);
void emit_scm_block(struct emit *em, const struct expr *call);
void emit_array_block(struct emit *em, const struct expr *call);
void emit_fd_inode(struct emit *em, const struct expr *call);
void emit_fd_path(struct emit *em, const struct expr *call);
void emit_kstr(struct emit *em, const struct expr *call);
void emit_read(struct emit *em, const struct expr *call);
void emit_sockaddr(struct emit *em, const struct expr *call);
void emit_str(struct emit *em, const struct expr *call);

/* The load of an argument as a C expression. */
void emit_load_argument(struct text *out, const struct build *b, const struct argument *arg, bool again);

/* Types, lays out and writes one probe; its schema is appended already. */
int build_probe(struct build *build, struct err *err);
void build_fini(struct build *build);
/* Layout and code of the fields (gen_fields.c), from b->size on. */
int build_fields(struct build *build, struct err *err);
/* Code and schemas of what the probe counts (gen_aggregate.c), into build->counting. */
int build_aggregates(struct build *build, struct err *err);
const char *scratch_room(const struct build *b);

#endif
