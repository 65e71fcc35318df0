/* Events for a host's callback: a head, fields by number and by name, and what the outputs would write.
 *
 * A host is given a pointer to an object of the handle's, not to the event. The object says whether its event is still
 * there, so a pointer that was kept leads to an error and never to memory that is gone. Each event gets the next object
 * of a ring of 256: a pointer kept from one callback into the next but one is noticed as well, not taken for the event
 * at hand.
 *
 * Reading a value is a look at the schema and at the record; nothing is copied or allocated. That a value is missing is
 * ordinary, so it costs a return code and no message. */
#include "engine/api/event.h"
#include "engine/base/nearest.h"
#include "engine/out/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- the callback --- */

static int observe(void *user, struct event *event, struct err *err)
{
	rille *r = user;
	struct events *events = r->events;
	struct rille_event *object = &events->pool[events->next++ % EVENT_MEMORY];
	object->r = r;
	object->event = event;
	r->err.code = 0;
	r->inside++;
	int result = events->fn(events->user, object);
	r->inside--;
	object->event = NULL;
	if (result < 0 && r->err.code) /* most likely what the callback gave up for */
		*err = r->err;
	if (events->user_frames.made || events->kernel_frames.made)
		frames_end(events);
	return result;
}

int rille_on_event(rille *r, rille_event_fn fn, void *user)
{
	int e = handle_enter(r, "on_event");
	if (e < 0)
		return e;
	if (session_state(r->session) == SESSION_STOPPED)
		return err_set(
		        &r->err, -EBUSY, ERR_RUNTIME, "wrong-state", "rille_on_event: the handle has been stopped");
	if (!r->events && fn)
		r->events = calloc(1, sizeof(*r->events));
	if (!r->events)
		return fn ? err_nomem(&r->err) : 0;
	r->events->fn = fn;
	r->events->user = user;
	session_set_observer(r->session, fn ? observe : NULL, r);
	return 0;
}

void events_free(rille *r)
{
	if (!r->events)
		return;
	frames_free(r->events);
	columns_fini(&r->events->columns);
	text_fini(&r->events->shown);
	free(r->events);
	r->events = NULL;
}

struct event *event_live(const rille_event *event, int *ret_error)
{
	if (event && event->event)
		return event->event;
	*ret_error = -EINVAL;
	if (event && event->r)
		*ret_error = err_set(&event->r->err, -ESTALE, ERR_RUNTIME, "stale-event",
		        "an event was used after its callback had returned");
	return NULL;
}

/* --- head and fields --- */

int rille_event_head(const rille_event *object, struct rille_head *ret)
{
	int e;
	struct event *event = event_live(object, &e);
	if (!event)
		return e;
	const struct rille_record *record = event->record;
	struct rille_head head = {
	        .probe = event->probe->index,
	        .declared = event->probe->spec_probe,
	        .probe_name = event->probe->name,
	        .number = event->number,
	        .time = event->wall_nsecs,
	        .nsecs = record->nsecs,
	        .pid = record->pid,
	        .tid = record->tid,
	        .ppid = record->ppid,
	};
	memcpy(head.comm, record->comm, sizeof(head.comm) - 1);
	return handle_write_struct(object->r, "rille_event_head", ret, &head, sizeof(head));
}

int rille_event_field(const rille_event *object, const char *name)
{
	int e;
	struct event *event = event_live(object, &e);
	if (!event)
		return e;
	if (!name)
		return handle_null(object->r, "rille_event_field", "name");
	const struct probe_schema *probe = event->probe;
	for (size_t i = 0; i < probe->nfields; i++)
		if (strcmp(probe->fields[i].name, name) == 0)
			return (int)i;
	struct nearest nearest;
	nearest_init(&nearest, name);
	for (size_t i = 0; i < probe->nfields; i++)
		nearest_offer(&nearest, probe->fields[i].name);
	err_set(&object->r->err, -ENOENT, ERR_RUNTIME, "unknown-field", "%s has no field '%s'", probe->name, name);
	if (nearest.best)
		err_hint(&object->r->err, "did you mean '%s'?", nearest.best);
	return -ENOENT;
}

/* --- values --- */

static int out_of_range(const rille_event *object, const struct probe_schema *probe, int field)
{
	return err_set(&object->r->err, -ERANGE, ERR_RUNTIME, "out-of-range", "%s has fields 0 to %zu, not %d",
	        probe->name, probe->nfields - 1, field);
}

/* 0, or why there is no value: the event, the number, the value itself. */
static int value_of(const rille_event *object, int field, const void *ret, struct value *value)
{
	int e = 0;
	const struct event *event = event_live(object, &e);
	if (!event)
		return e;
	if (field < 0 || (size_t)field >= event->probe->nfields)
		return out_of_range(object, event->probe, field);
	if (!ret)
		return handle_null(object->r, "rille_event_*", "ret");
	*value = event_value(event, (size_t)field);
	return 0;
}

static const char *kind_name(const struct value *value)
{
	if (value->count)
		return "an array: rille_event_array()";
	switch (value->kind) {
	case VALUE_STR:
		return "text: rille_event_bytes()";
	case VALUE_BYTES:
		return "bytes: rille_event_bytes()";
	case VALUE_SOCKADDR:
		return "a socket address: rille_event_sockaddr()";
	default:
		return "an integer: rille_event_i64()";
	}
}

static int wrong_type(const rille_event *object, int field, const struct value *value)
{
	const struct probe_schema *probe = object->event->probe;
	return err_set(&object->r->err, -EINVAL, ERR_RUNTIME, "wrong-type", "%s: '%s' is %s reads it", probe->name,
	        probe->fields[field].name, kind_name(value));
}

static bool is_integer(const struct value *value)
{
	return value->kind == VALUE_INT || value->kind == VALUE_UINT || value->kind == VALUE_BOOL;
}

/* What is wrong with reading a field as a number. */
static int no_number(const rille_event *object, int field, const void *ret)
{
	struct value value;
	int e = value_of(object, field, ret, &value);
	return e ? e : wrong_type(object, field, &value);
}

/* The integer as 64 bits; *ret_signed tells how to take them. What nearly every callback does, so all is checked at once and
 * what is wrong is looked for only if something is. */
static int integer_of(const rille_event *object, int field, const void *ret, int64_t *ret_value, bool *ret_signed)
{
	const struct event *event = object ? object->event : NULL;
	if (!event || !ret || (unsigned)field >= event->probe->nfields)
		return no_number(object, field, ret);
	const struct field_schema *schema = &event->probe->fields[field];
	if (schema->kind > VALUE_BOOL || schema->count)
		return no_number(object, field, ret);
	*ret_signed = schema->kind == VALUE_INT;
	return schema_number(event->probe, event->record, event->size, (size_t)field, ret_value) ? 0 : -ENODATA;
}

static int does_not_fit(const rille_event *object, int field, const char *type)
{
	const struct probe_schema *probe = object->event->probe;
	return err_set(&object->r->err, -ERANGE, ERR_RUNTIME, "out-of-range",
	        "%s: the value of '%s' does not fit into %s", probe->name, probe->fields[field].name, type);
}

int rille_event_i64(const rille_event *object, int field, int64_t *ret)
{
	int64_t value = 0;
	bool is_signed = false;
	int e = integer_of(object, field, ret, &value, &is_signed);
	if (e == 0 && !is_signed && value < 0)
		e = does_not_fit(object, field, "an int64_t");
	if (e == 0)
		*ret = value;
	return e;
}

int rille_event_u64(const rille_event *object, int field, uint64_t *ret)
{
	int64_t value = 0;
	bool is_signed = false;
	int e = integer_of(object, field, ret, &value, &is_signed);
	if (e == 0 && is_signed && value < 0)
		e = does_not_fit(object, field, "a uint64_t");
	if (e == 0)
		*ret = (uint64_t)value;
	return e;
}

int rille_event_bytes(const rille_event *object, int field, const void **ret, size_t *ret_len)
{
	struct value value;
	int e = value_of(object, field, ret ? (const void *)ret_len : NULL, &value);
	if (e)
		return e;
	if (is_integer(&value))
		return wrong_type(object, field, &value);
	if (value.missing)
		return -ENODATA;
	*ret = value.data;
	*ret_len = value.len;
	return 0;
}

int rille_event_array(const rille_event *object, int field, int64_t *ret, size_t room, uint64_t *ret_has)
{
	struct value value;
	uint64_t has = 0;
	int e = value_of(object, field, room ? (const void *)ret : object, &value);
	if (e)
		return e;
	if (!is_integer(&value) || !value.count)
		return wrong_type(object, field, &value);
	if (value.missing)
		return -ENODATA;
	for (size_t i = 0; i < value.count; i++) {
		bool there = value_has(&value, i);
		has |= i < 64 && there ? 1ULL << i : 0;
		if (i < room)
			ret[i] = there ? value_int(&value, i) : 0;
	}
	if (ret_has)
		*ret_has = has;
	return value.count;
}

int rille_event_sockaddr(const rille_event *object, int field, void *ret, size_t room)
{
	struct value value;
	int e = value_of(object, field, ret, &value);
	if (e)
		return e;
	if (value.kind != VALUE_SOCKADDR)
		return wrong_type(object, field, &value);
	if (value.missing)
		return -ENODATA;
	memset(ret, 0, room);
	memcpy(ret, value.data, value.len < room ? value.len : room);
	return (int)value.len;
}

/* --- as outputs show it --- */

static void no_label(struct text *out, const char *name, void *user)
{
}

static int make_columns(rille *r)
{
	struct events *events = r->events;
	struct sink_options all = {0};
	struct sink_meta meta = {.probes = session_probe(r->session, 0), .nprobes = session_probe_count(r->session)};
	int e = events->has_columns ? 0 : columns_init(&events->columns, &all, &meta, no_label, NULL, &r->err);
	events->has_columns = e == 0;
	return e;
}

int rille_event_show(const rille_event *object, int field, const char **ret, size_t *ret_len)
{
	struct value value;
	int e = value_of(object, field, ret, &value);
	if (e == 0)
		e = make_columns(object->r);
	if (e < 0)
		return e;
	struct text *shown = &object->r->events->shown;
	text_reset(shown);
	value_text(shown, &columns_of(&object->r->events->columns, object->event).list[field], &value);
	if (text_failed(shown))
		return err_nomem(&object->r->err);
	*ret = text_str(shown);
	if (ret_len)
		*ret_len = shown->len;
	return 0;
}

int rille_event_json(const rille_event *object, const char **ret, size_t *ret_len)
{
	int e;
	struct event *event = event_live(object, &e);
	if (!event)
		return e;
	rille *r = object->r;
	if (!ret || !ret_len)
		return handle_null(r, "rille_event_json", ret ? "ret_len" : "ret");
	return session_event_json(r->session, &r->shared, event, ret, ret_len, &r->err);
}

int rille_event_container(const rille_event *object, const char **ret)
{
	int e;
	struct event *event = event_live(object, &e);
	if (!event)
		return e;
	if (!ret)
		return handle_null(object->r, "rille_event_container", "ret");
	*ret = event_container(event);
	return *ret ? 0 : -ENODATA;
}
