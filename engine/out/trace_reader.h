/* What reading a trace is made of; for the files trace_*.c alone. */
#ifndef RILLE_OUT_TRACE_READER_H
#define RILLE_OUT_TRACE_READER_H

#include "engine/out/aggregate.h"
#include "engine/out/trace_read.h"
#include "engine/probe/decode.h"
#include "engine/stack/intern.h"

#include <json-c/json.h>

/* One probe of the trace: its schema stands in reader->schemas. */
struct trace_probe {
	struct decoder decoders[SCHEMA_MAX_FIELDS];
	char *keys[SCHEMA_MAX_FIELDS]; /* the members of events that hold the fields */
};

/* What is counted; `now` has a schema while its rows come. */
struct trace_aggregate {
	struct aggregate_schema *schema; /* in reader->counted */
	char *on, *of;
	uint32_t number_at; /* of the row, in its key */
	uint64_t rows;
	struct aggregate now;
};

struct trace_reader {
	struct json_tokener *tokener;
	struct intern *intern; /* names of frames */
	struct sink_meta meta;
	bool has_meta;
	struct probe_schema *schemas;
	struct trace_probe *probes;
	struct aggregate_schema *counted;
	struct trace_aggregate *aggregates;
	size_t naggregates;
	char *strings[5]; /* version, script, host, kernel, mechanisms */
	char **argv;

	struct event event;
	struct rille_record record;
	struct value values[SCHEMA_MAX_FIELDS];
	struct text bytes; /* what values point to */
	struct stack ustack, kstack;
	bool has_ustack, has_kstack;
	const char *container; /* of the event at hand; NULL */
};

/* Fills the event at hand. `object` has to live as long as it. -EBADMSG. */
int trace_event_read(struct trace_reader *reader, struct json_object *object, struct err *err);
/* One field. False: it is not what the schema says. */
bool trace_value_read(struct trace_reader *reader, const struct field_schema *field, const struct decoder *decoder,
        struct json_object *from, struct value *ret);
/* The bytes of a struct sockaddr, appended: the way back from sockaddr_json(). */
bool trace_sockaddr_read(struct text *out, struct json_object *from);
int trace_stack_read(
        struct trace_reader *reader, struct json_object *frames, const char *end, struct stack *ret, struct err *err);
/* The schemas, keys and decoders of meta.probes. */
int trace_probes_read(struct trace_reader *reader, struct json_object *list, struct err *err);
void trace_probes_fini(struct trace_reader *reader);
/* value_kind_name() backwards. */
bool trace_kind(const char *name, enum value_kind *ret);
/* What is counted: its schemas, a row, and the record that ends them and hands them on. A list of NULL has none. */
int trace_aggregates_read(struct trace_reader *reader, struct json_object *list, struct err *err);
void trace_aggregates_fini(struct trace_reader *reader);
int trace_aggregate_read(struct trace_reader *reader, struct json_object *object, struct err *err);
int trace_aggregate_end(
        struct trace_reader *reader, struct json_object *object, const struct trace_handler *handler, struct err *err);

/* --- members (trace_json.c). A member that is not there, or of another type: false, and *ret as it was. --- */

struct json_object *trace_member(struct json_object *object, const char *key, enum json_type type);
bool trace_u64(struct json_object *object, const char *key, uint64_t *ret);
bool trace_u32(struct json_object *object, const char *key, uint32_t *ret);
bool trace_text(struct json_object *object, const char *key, const char **ret, size_t *ret_len);
bool trace_bool(struct json_object *object, const char *key);
/* "2026-11-24T20:33:37.123456789Z" as ns since the epoch. */
bool trace_time(struct json_object *object, const char *key, int64_t *ret);
/* -EBADMSG with the tag bad-record. */
int trace_bad(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An integer that is exact: true for those that fit into 64 bits. */
bool trace_integer(struct json_object *from, int64_t *ret);

#endif
