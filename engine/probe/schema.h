/* The one description of a record: what the generator writes, the reader reads and the sinks print.
 *
 * One struct probe_schema belongs to one attached probe: a spec_probe with a glob gives several, each with its own fields
 * resolved against its own arguments. */
#ifndef RILLE_PROBE_SCHEMA_H
#define RILLE_PROBE_SCHEMA_H

#include "engine/probe/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_kind {
	VALUE_INT,      /* signed, `width` bytes */
	VALUE_UINT,     /* unsigned, `width` bytes */
	VALUE_BOOL,     /* one byte */
	VALUE_STR,      /* NUL-terminated text in `size` bytes */
	VALUE_BYTES,    /* u32 length, then up to size-4 bytes */
	VALUE_SOCKADDR, /* u32 length, then up to size-4 bytes of a struct sockaddr */
};
/* As a trace in JSON lines calls it: "int", "text"; NULL for none of them. */
const char *value_kind_name(unsigned kind);

enum { SCHEMA_MAX_FIELDS = 64 };

/* How an integer is shown. A decoder never changes the value, only its text. */
enum format_kind {
	FORMAT_NONE,
	FORMAT_HEX,
	FORMAT_OCTAL,
	FORMAT_NS,    /* duration: "1.5 ms" */
	FORMAT_BYTES, /* size: "4 KiB" */
	FORMAT_ERRNO, /* ENOENT */
	FORMAT_IP,
	FORMAT_ENUM,  /* constants with `prefix`, one equal to the value */
	FORMAT_FLAGS, /* constants with `prefix`, or-ed; a rest in hexadecimal. SOCK_: low 4 bits are an enum */
};

struct field_schema {
	char *name;
	enum value_kind kind;
	uint8_t width;     /* of one element of an integer: 1, 2, 4, 8 */
	uint16_t count;    /* 0 = a scalar; n = an array of n */
	uint32_t offset;   /* from the record's start */
	uint32_t size;     /* bytes in the record, a multiple of 8 with padding */
	bool element_bits; /* an array whose last 8 bytes say which elements have a value: see value_has() */
	bool varies;       /* … and that is as long as they say */
	enum format_kind format;
	char prefix[32]; /* for FORMAT_ENUM and FORMAT_FLAGS: "AF_" */
};

enum probe_kind { PROBE_SYSCALL, PROBE_TRACEPOINT };

struct probe_schema {
	uint32_t index; /* struct rille_record.probe */
	char *name;     /* "syscall:socket": what `probe` says */
	enum probe_kind kind;
	char *category, *event; /* tracepoint: "sched", "sched_switch"; syscall: NULL, "socket" */
	int64_t number;         /* syscall number; tracepoint: its id in tracefs */
	size_t spec_probe;      /* index in spec.probes: whose callback */
	struct field_schema *fields;
	size_t nfields, fields_cap;
	unsigned stack_sides;
	uint32_t depth, max_bytes;
	uint32_t kstack_offset; /* of struct rille_kstack, 0 = none */
	uint32_t ustack_offset; /* of struct rille_ustack, 0 = none; no fixed offset follows it */
	uint32_t size;          /* of the record without the user stack's bytes */
	bool at_entry;          /* a system call: fires when it begins */
	bool needs_entry;       /* uses entry() or elapsed: an entry program keeps state in task storage */
};

void probe_schema_fini(struct probe_schema *schema);

/* What one `count`, `sum` … of a spec_probe counts, for all the probes that it is attached to. An entry of its map is a key
 * of `key_size` bytes (u64 present, of a histogram s64 bar, the keys) and a struct rille_row on each CPU. */
struct aggregate_schema {
	uint32_t index; /* of the map: RILLE_MAP_ROWS followed by it */
	size_t spec_probe;
	const char *on; /* the probe as the script names it, borrowed from the spec: "syscall:*" */
	enum aggregate_kind kind;
	struct field_schema *fields; /* the keys, and behind them, of all but a count, the value */
	size_t nfields, fields_cap, nkeys;
	uint32_t probe_keys; /* bit i: key i is the index of a probe, which stands for its name */
	const char *of;      /* the value's expression, borrowed; NULL: a count */
	bool is_signed;      /* the value */
	uint32_t key_size, max;
	int64_t from, to, step; /* AGGREGATE_LHIST */
};

void aggregate_schema_fini(struct aggregate_schema *schema);
/* Key i of an entry's key. A `probe_keys` key is a number here. */
struct value aggregate_key(const struct aggregate_schema *schema, const uint8_t *key, size_t i);
bool aggregate_has_bars(const struct aggregate_schema *schema);

/* The bars of histograms. Of powers of two: bar -1 is what is below 0, bar 0 is 0, bar n is 2^(n-1) up to 2^n. Of equal
 * width: bar 0 is what is below `from`, then those between, the last is what is `to` or above. */
struct bar_bounds {
	bool has_from, has_to;
	int64_t from, to; /* to: exclusive. Of an unsigned value they are, too */
};
struct bar_bounds bar_bounds(const struct aggregate_schema *schema, int64_t bar);

/* A field's value in a record. Strings and bytes are borrowed from the record. */
struct value {
	enum value_kind kind;
	bool missing;   /* the kernel side could not get it: shown as null */
	uint16_t count; /* elements, 0 = scalar; elements of an array may be missing on their own: see value_has() */
	uint8_t width;
	const uint8_t *data; /* the raw element(s) */
	size_t len;          /* bytes of text (without NUL), bytes or sockaddr */
	uint64_t elements;   /* bit i: element i has a value; use value_has() */
};

struct rille_record;
/* The value of field i. Bounds are checked against the record's size: a short record gives `missing`. */
struct value schema_value(const struct probe_schema *schema, const struct rille_record *record, size_t size, size_t i);
/* The same for a number alone, in less time: field i is a scalar of kind VALUE_INT, VALUE_UINT or VALUE_BOOL. False: missing. */
bool schema_number(
        const struct probe_schema *schema, const struct rille_record *record, size_t size, size_t i, int64_t *ret);
/* Whether element i (0 for a scalar) of an integer value is there. */
bool value_has(const struct value *value, size_t i);
/* Element i (0 for a scalar) of an integer value, sign- or zero-extended to 64 bits. */
int64_t value_int(const struct value *value, size_t i);

#endif
