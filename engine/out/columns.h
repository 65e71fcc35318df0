/* Which fields of each probe a sink shows, in what order, with what decoder: worked out once, when the sink is opened.
 */
#ifndef RILLE_OUT_COLUMNS_H
#define RILLE_OUT_COLUMNS_H

#include "engine/base/err.h"
#include "engine/base/text.h"
#include "engine/out/sink.h"
#include "engine/probe/decode.h"

struct column {
	size_t field; /* in the probe's schema */
	const struct field_schema *schema;
	struct decoder decoder;
	struct text label; /* what the sink puts before the value: `fd=`, `,"fd":` */
};

/* The columns of one probe. */
struct columns {
	struct column *list;
	size_t n;
};

/* One entry a probe, in the order of sink_meta.probes, which is that of probe_schema.index. */
struct column_set {
	struct columns *probes;
	size_t nprobes;
	bool container; /* the builtin column was asked for */
};

/* `label` writes a field's label. With options->columns, a probe shows those it has of them, in that order; one that no
 * probe has is an error (tag unknown-field) with the nearest name, unless it is "container". The schemas are borrowed. */
int columns_init(struct column_set *set, const struct sink_options *options, const struct sink_meta *meta,
        void (*label)(struct text *out, const char *name, void *user), void *user, struct err *err);
void columns_fini(struct column_set *set);

/* An event's columns; empty if its probe is not one of the set's. */
static inline struct columns columns_of(const struct column_set *set, const struct event *event)
{
	uint32_t i = event->probe->index;
	return i < set->nprobes ? set->probes[i] : (struct columns){0};
}

#endif
