/* What a script declares, after the declare phase and before anything is resolved: strings with their places.
 *
 * The script layer (or a host, in C) fills a struct spec; the engine below knows nothing of Lua. Every string a user
 * wrote keeps the place where it stands in the script, so that an error inside an expression points at its column. */
#ifndef RILLE_PROBE_SPEC_H
#define RILLE_PROBE_SPEC_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A string of the script. `pos` is where its first byte stands (after the quote); line 0 = not known. NULL text = absent.
 * Owned by the spec. */
struct spec_text {
	char *text;
	struct pos pos;
};

struct spec_field {
	struct spec_text name; /* the column's name */
	struct spec_text expr; /* its expression; the name itself for the short form */
	struct spec_text as;   /* decoder: "SOCK_", "hex", …; may be absent */
};

enum stack_sides { STACK_NONE = 0, STACK_USER = 1, STACK_KERNEL = 2 };

struct spec_stack {
	unsigned sides;     /* of enum stack_sides */
	uint32_t depth;     /* most frames kept, 0 = the default (1024) */
	uint32_t max_bytes; /* most user stack copied, 0 = the default (32 KiB); up to 64 KiB */
};

/* What is counted in the kernel: a number for each key, or a histogram. */
enum aggregate_kind {
	AGGREGATE_COUNT,
	AGGREGATE_SUM,
	AGGREGATE_AVG,
	AGGREGATE_MIN,
	AGGREGATE_MAX,
	AGGREGATE_HIST,  /* a bar for each power of two */
	AGGREGATE_LHIST, /* bars of equal width */
	AGGREGATE_KINDS
};

/* `count`, `sum` … of a probe. */
struct spec_aggregate {
	enum aggregate_kind kind;
	struct spec_field *fields; /* the keys (`by`), and behind them, of all but `count`, the value */
	size_t nfields, fields_cap;
	int64_t from, to, step; /* of `lhist` */
	uint32_t max;           /* entries of its map, 0 = the default */
	struct pos pos;         /* of what stands at its key */
};

struct spec_probe {
	struct spec_text on; /* "syscall:socket", "syscall:*bind*", "tracepoint:sched:sched_switch" */
	struct spec_text where;
	struct spec_field *fields;
	size_t nfields, fields_cap;
	struct spec_stack stack;
	struct spec_aggregate *aggregates; /* in order of kind, at most one of each */
	size_t naggregates, aggregates_cap;
	struct pos pos; /* of the probe's table */
	bool has_callback;
	bool silent;   /* it counts, and sends no events */
	bool at_entry; /* of a system call: it fires when the call begins, not when it returns */
	bool optional; /* left out where the kernel does not have it, or a structure's member that it names */
};

/* The types of parameters: bool, s8 … u64, string; and lists of integers. */
struct spec_param {
	struct spec_text name;
	char type[16]; /* "bool", "u64", "s32", "string", "u64[]" … checked by the declare phase */
	char *help;
	struct spec_text fallback; /* default value as text, may be absent (then false, 0, "", empty) */
	struct spec_text value;    /* as given by the user; absent = use the default */
};

/* A file that a script requires; NUL-terminated, which `len` does not count. */
struct spec_file {
	char *name, *text;
	size_t len;
};

struct spec {
	char *name;   /* file or recipe name, for messages */
	char *source; /* whole text */
	char *summary;
	struct spec_param *params;
	size_t nparams, params_cap;
	struct spec_probe *probes;
	size_t nprobes, probes_cap;
	struct spec_file *files; /* that the source has required so far, or brings along (portable.h) */
	size_t nfiles, files_cap;
	struct spec_text filter; /* --filter: joined to every probe's where with && */
	char **places;           /* what the `pos.file` of strings that are in no file points to */
	size_t nplaces, places_cap;
};

enum {
	SPEC_MAX_AGGREGATES = 32, /* of all probes: each is a map, and a program can have 64 */
	SPEC_MAX_KEYS = 16,
	SPEC_MAX_ENTRIES = 1000000,
	SPEC_MAX_BARS = 1000, /* of an lhist */
};
enum { SPEC_MAX_PROBES = 256, SPEC_MAX_DEPTH = 65536, SPEC_MAX_STACK = 64 * 1024 };

void spec_init(struct spec *spec);
void spec_fini(struct spec *spec);
/* Append an empty element, zeroed; NULL when out of memory. Pointers to earlier elements become invalid. */
struct spec_probe *spec_add_probe(struct spec *spec);
/* As new, but for the filter, which users set apart from what is declared. */
void spec_reset(struct spec *spec);
/* Removes all probes from number n on. */
void spec_truncate(struct spec *spec, size_t n);
/* Copies it; -ENOMEM. */
int spec_add_file(struct spec *spec, const char *name, const char *text, size_t len);
const struct spec_file *spec_find_file(const struct spec *spec, const char *name);
struct spec_param *spec_add_param(struct spec *spec);
struct spec_field *spec_add_field(struct spec_probe *probe);
struct spec_aggregate *spec_add_aggregate(struct spec_probe *probe);
struct spec_field *spec_add_key(struct spec_aggregate *aggregate);
/* "count", "sum" …; NULL for none of them. */
const char *aggregate_kind_name(unsigned kind);

/* Takes the name of a place, which the caller has allocated, and frees it with the spec. NULL: out of memory. */
const char *spec_keep(struct spec *spec, char *place);

/* Letters, digits and _, not too many. */
bool spec_is_identifier(const char *s, size_t n);
/* "name" or "name = expression" into field->name and field->expr, with their places. */
int spec_split_field(const struct spec_text *whole, struct spec_field *field, struct err *err);
/* Its name is one, and neither reserved nor that of an earlier field; it has an expression. `field` is the probe's last. */
int spec_check_field(const struct spec_probe *probe, const struct spec_field *field, struct err *err);
/* The same for a key of `by`: it may have the name of what every event has. `key` is the aggregate's last. */
int spec_check_key(const struct spec_aggregate *aggregate, const struct spec_field *key, struct err *err);
/* "user", "kernel", "both". */
int spec_read_sides(const struct spec_text *word, unsigned *ret_sides, struct err *err);
/* "entry", "exit": when the probe, whose name is known, fires. */
int spec_read_moment(const struct spec_text *word, struct spec_probe *probe, struct err *err);

#endif
