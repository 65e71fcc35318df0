/* An event from JSON. */
#include "engine/out/trace_reader.h"

#include <string.h>

/* Of several probes of one name, the first whose fields the event has. */
static bool fits(const struct trace_reader *reader, size_t i, struct json_object *object)
{
	for (size_t f = 0; f < reader->schemas[i].nfields; f++)
		if (!json_object_object_get_ex(object, reader->probes[i].keys[f], NULL))
			return false;
	return true;
}

static int find_probe(const struct trace_reader *reader, struct json_object *object, size_t *ret, struct err *err)
{
	const char *name;
	bool known = false;
	if (!trace_text(object, "probe", &name, NULL))
		return trace_bad(err, "an event without a probe");
	for (*ret = 0; *ret < reader->meta.nprobes; (*ret)++) {
		if (strcmp(reader->schemas[*ret].name, name) != 0)
			continue;
		known = true;
		if (fits(reader, *ret, object))
			return 0;
	}
	return known ? trace_bad(err, "an event of %.128s does not have the fields that the trace's first line names",
	                       name)
	             : trace_bad(err, "an event of '%.128s', which the trace's first line does not name", name);
}

static int read_head(struct trace_reader *reader, struct json_object *object, struct err *err)
{
	struct rille_record *record = &reader->record;
	const char *comm;
	size_t len;
	uint64_t nsecs;
	memset(record, 0, sizeof(*record));
	if (!trace_time(object, "time", &reader->event.wall_nsecs) || !trace_u64(object, "nsecs", &nsecs) ||
	        !trace_u32(object, "pid", &record->pid) || !trace_u32(object, "tid", &record->tid) ||
	        !trace_u32(object, "ppid", &record->ppid) || !trace_text(object, "comm", &comm, &len))
		return trace_bad(err, "an event without time, nsecs, pid, tid, ppid or comm");
	record->nsecs = nsecs;
	record->size = sizeof(*record);
	if (len >
	        sizeof(record->comm)) { /* longer than a name can be: of bytes that were replaced when it was written */
		len = sizeof(record->comm);
		while (len && ((unsigned char)comm[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(record->comm, comm, len);
	return 0;
}

/* Values of text point into the JSON, the others to their place in reader->bytes. */
static int read_values(struct trace_reader *reader, size_t probe, struct json_object *object, struct err *err)
{
	const struct probe_schema *schema = &reader->schemas[probe];
	text_reset(&reader->bytes);
	for (size_t i = 0; i < schema->nfields; i++) {
		struct json_object *from = NULL;
		json_object_object_get_ex(object, reader->probes[probe].keys[i], &from);
		if (!trace_value_read(
		            reader, &schema->fields[i], &reader->probes[probe].decoders[i], from, &reader->values[i]))
			return trace_bad(err,
			        "the field '%s' of %s is not what the trace's first line says, or a name that is "
			        "not known here: %.64s",
			        schema->fields[i].name, schema->name, json_object_to_json_string(from));
	}
	if (text_failed(&reader->bytes))
		return err_nomem(err);
	for (size_t i = 0; i < schema->nfields; i++)
		if (schema->fields[i].kind != VALUE_STR)
			reader->values[i].data =
			        (const uint8_t *)text_str(&reader->bytes) + (uintptr_t)reader->values[i].data;
	return 0;
}

static int read_side(struct trace_reader *reader, struct json_object *object, const char *key, const char *end_key,
        struct stack *stack, bool *ret_has, struct err *err)
{
	struct json_object *frames = trace_member(object, key, json_type_array);
	const char *end = NULL;
	*ret_has = frames;
	if (!frames)
		return 0;
	trace_text(object, end_key, &end, NULL);
	return trace_stack_read(reader, frames, end, stack, err);
}

static const struct stack *resolve(struct event *event, enum stack_sides side)
{
	struct trace_reader *reader = event->owner;
	if (side == STACK_USER)
		return reader->has_ustack ? &reader->ustack : NULL;
	return reader->has_kstack ? &reader->kstack : NULL;
}

static const char *container(struct event *event)
{
	return ((struct trace_reader *)event->owner)->container;
}

int trace_event_read(struct trace_reader *reader, struct json_object *object, struct err *err)
{
	struct event *event = &reader->event;
	size_t probe = 0;
	int r = find_probe(reader, object, &probe, err);
	if (!r)
		r = read_head(reader, object, err);
	if (!r)
		r = read_values(reader, probe, object, err);
	if (!r)
		r = read_side(reader, object, "ustack", "ustack_end", &reader->ustack, &reader->has_ustack, err);
	if (!r)
		r = read_side(reader, object, "kstack", "kstack_end", &reader->kstack, &reader->has_kstack, err);
	if (r)
		return r;
	reader->container = NULL;
	trace_text(object, "container", &reader->container, NULL);
	reader->record.probe = (uint32_t)probe;
	event->probe = &reader->schemas[probe];
	event->record = &reader->record;
	event->size = sizeof(reader->record);
	event->number++;
	event->values = reader->values;
	event->resolve = resolve;
	event->container = container;
	event->owner = reader;
	return 0;
}
