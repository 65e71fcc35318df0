/* What probes count, as sinks and scripts see it.
 *
 * It is read from the kernel whenever somebody asks, and for the last time at the moment at which the trace ends (loop.c), like
 * the totals. Beginning anew leaves the kernel's maps alone (engine/run/rows.c says why): what they held then is remembered and
 * taken off what they hold later. A least or greatest value cannot be taken off. */
#include "engine/core/state.h"
#include "engine/out/aggregate.h"
#include "engine/run/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* An entry as it was when counting began anew. */
struct base {
	struct rille_row row;
	UT_hash_handle hh;
	uint8_t key[];
};

struct counts {
	struct aggregate now;
	struct base *bases;
	struct rille_uncounted base;
};

static void forget_bases(struct counts *counts)
{
	struct base *base, *next;
	HASH_ITER (hh, counts->bases, base, next) {
		HASH_DEL(counts->bases, base);
		free(base);
	}
	counts->base = (struct rille_uncounted){0};
}

void counts_close(struct session *session)
{
	for (size_t i = 0; session->counts && i < session->plan.naggregates; i++) {
		forget_bases(&session->counts[i]);
		if (session->counts[i].now.schema)
			aggregate_fini(&session->counts[i].now);
	}
	free(session->counts);
	session->counts = NULL;
}

int counts_open(struct session *session, struct err *err)
{
	session->counts = calloc(session->plan.naggregates + 1, sizeof(*session->counts));
	return session->counts ? 0 : err_nomem(err);
}

static int add_entry(void *user, const uint8_t *key, const struct rille_row *entry)
{
	struct counts *counts = user;
	struct rille_row row = *entry;
	struct base *base;
	HASH_FIND(hh, counts->bases, key, counts->now.schema->key_size, base);
	if (base) {
		row.count -= base->row.count;
		row.value -= base->row.value;
	}
	return row.count ? aggregate_add(&counts->now, key, &row) : 0;
}

static int cannot_read(const struct aggregate_schema *schema, int code, struct err *err)
{
	return err_set(err, code, ERR_RUNTIME, "cannot-read", "cannot read the %s of %s: %s",
	        aggregate_kind_name(schema->kind), schema->on, strerror(-code));
}

static int read_counts(struct session *session, struct counts *counts, const struct aggregate_schema *schema)
{
	if (counts->now.schema)
		aggregate_fini(&counts->now);
	int r = aggregate_init(&counts->now, schema, session->plan.probes, session->plan.nprobes);
	if (r == 0)
		r = rows_read(session->kernel, schema, add_entry, counts);
	if (r == 0)
		r = aggregate_sort(&counts->now);
	if (r == 0)
		r = rows_uncounted(session->kernel, schema, &counts->now.uncounted);
	counts->now.uncounted.full -= counts->base.full;
	counts->now.uncounted.missing -= counts->base.missing;
	counts->now.wall_nsecs = (int64_t)now_ns(CLOCK_REALTIME);
	return r;
}

int session_aggregate(struct session *session, size_t i, const struct aggregate **ret, struct err *err)
{
	if (!session->counts || i >= session->plan.naggregates)
		return err_set(err, -ENOENT, ERR_RUNTIME, "wrong-state", "nothing is counted here");
	struct counts *counts = &session->counts[i];
	const struct aggregate_schema *schema = &session->plan.aggregates[i];
	int r = session->frozen ? 0 : read_counts(session, counts, schema);
	*ret = &counts->now;
	return r < 0 ? cannot_read(schema, r, err) : 0;
}

int counts_freeze(struct session *session, struct err *err)
{
	const struct aggregate *unused;
	int r = 0;
	for (size_t i = 0; i < session->plan.naggregates; i++) {
		int one = session_aggregate(session, i, &unused, r < 0 ? NULL : err);
		r = r < 0 ? r : one;
	}
	return r;
}

static int add_base(void *user, const uint8_t *key, const struct rille_row *row)
{
	struct counts *counts = user;
	size_t size = counts->now.schema->key_size;
	struct base *base;
	HASH_FIND(hh, counts->bases, key, size, base);
	if (!base) {
		base = calloc(1, sizeof(*base) + size);
		if (!base)
			return -ENOMEM;
		memcpy(base->key, key, size);
		HASH_ADD_KEYPTR(hh, counts->bases, base->key, size, base);
		if (!base->hh.tbl) {
			free(base);
			return -ENOMEM;
		}
	}
	base->row = *row;
	return 0;
}

/* At the end there is only what has been read. */
static void drop(struct session *session, struct counts *counts)
{
	const struct aggregate_schema *schema = counts->now.schema;
	int64_t wall_nsecs = counts->now.wall_nsecs;
	aggregate_fini(&counts->now);
	if (aggregate_init(&counts->now, schema, session->plan.probes, session->plan.nprobes) < 0)
		counts->now.schema = schema;
	counts->now.wall_nsecs = wall_nsecs;
}

int session_aggregate_clear(struct session *session, size_t i, struct err *err)
{
	const struct aggregate *unused;
	int r = session_aggregate(session, i, &unused, err);
	if (r < 0)
		return r;
	struct counts *counts = &session->counts[i];
	const struct aggregate_schema *schema = &session->plan.aggregates[i];
	if (session->frozen) {
		drop(session, counts);
		return 0;
	}
	if (schema->kind == AGGREGATE_MIN || schema->kind == AGGREGATE_MAX)
		return err_set(err, -EINVAL, ERR_SCRIPT, "cannot-clear",
		        "%s cannot be cleared while it is counted: what was the %s of all does not tell that of the "
		        "rest",
		        aggregate_kind_name(schema->kind), aggregate_kind_name(schema->kind));
	r = rows_read(session->kernel, schema, add_base, counts);
	if (r == 0)
		r = rows_uncounted(session->kernel, schema, &counts->base);
	return r < 0 ? cannot_read(schema, r, err) : 0;
}

size_t session_aggregate_count(const struct session *session)
{
	return session->counts ? session->plan.naggregates : 0;
}

const struct aggregate_schema *session_aggregate_schema(const struct session *session, size_t i)
{
	return i < session->plan.naggregates ? &session->plan.aggregates[i] : NULL;
}

/* Cleared at the end: the script has told all that was to be told. */
static bool is_dropped(const struct session *session, const struct aggregate *aggregate)
{
	return session->frozen && !aggregate->list;
}

int session_emit_aggregates(struct session *session, struct err *err)
{
	int r = 0;
	for (size_t i = 0; i < session->plan.naggregates && r == 0; i++) {
		const struct aggregate *aggregate;
		r = session_aggregate(session, i, &aggregate, err);
		if (r == 0 && !is_dropped(session, aggregate))
			r = event_aggregate(session, aggregate);
	}
	return r;
}

/* Formats for events alone. */
void counts_warn(struct session *session)
{
	if (!session->plan.naggregates)
		return;
	for (size_t i = 0; i < session->noutputs; i++)
		if (!sink_shows_aggregates(session->outputs[i].sink))
			log_warn(&session->log, "the format %s does not show what is counted; text and jsonl do",
			        session->outputs[i].options.format);
}
