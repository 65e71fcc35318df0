/* An event as callbacks and sinks see it: a view on one record, with the stacks resolved when first asked for. */
#ifndef RILLE_OUT_EVENT_H
#define RILLE_OUT_EVENT_H

#include "bpf-templates/record.h"
#include "engine/probe/schema.h"
#include "engine/stack/frame.h"

struct event {
	const struct probe_schema *probe;
	const struct rille_record *record;
	size_t size;        /* of the record */
	int64_t wall_nsecs; /* record->nsecs as CLOCK_REALTIME, ns since the epoch */
	uint64_t number;    /* 1, 2, 3 … */
	/* The fields' values, where they are not in the record: of an event that was read from a file. */
	const struct value *values;
	/* NULL if the probe has no such stack. Valid as long as the event. */
	const struct stack *(*resolve)(struct event *event, enum stack_sides side);
	/* Where its process is: "docker:web-1"; NULL = in no container, or not known. May itself be NULL. */
	const char *(*container)(struct event *event);
	void *owner;
};

static inline const struct stack *event_ustack(struct event *event)
{
	return event->probe->stack_sides & STACK_USER ? event->resolve(event, STACK_USER) : NULL;
}
static inline const struct stack *event_kstack(struct event *event)
{
	return event->probe->stack_sides & STACK_KERNEL ? event->resolve(event, STACK_KERNEL) : NULL;
}
static inline const char *event_container(struct event *event)
{
	return event->container ? event->container(event) : NULL;
}
static inline struct value event_value(const struct event *event, size_t i)
{
	if (event->values)
		return event->values[i];
	return schema_value(event->probe, event->record, event->size, i);
}

#endif
