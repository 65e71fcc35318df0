/* A session: one script's life from declared to stopped. It owns everything below it.
 *
 *     NEW ─declare─▶ LOADED ─attach─▶ RUNNING ─stop─▶ STOPPED
 *
 * The script layer (or a C host) installs callbacks; the session calls up only through them. */
#ifndef RILLE_CORE_SESSION_H
#define RILLE_CORE_SESSION_H

#include "engine/base/err.h"
#include "engine/base/log.h"
#include "engine/base/text.h"
#include "engine/out/sink.h"
#include "engine/probe/catalog.h"
#include "engine/probe/gen.h"
#include "engine/probe/spec.h"

#include <stdbool.h>
#include <sys/types.h>

struct session;

/* Each returns 0, or a negative errno to end the trace (the session then stops with that error). All may be NULL. */
struct session_callbacks {
	void *user;
	int (*on_start)(void *user, struct err *err);
	/* The script's view of an event. Not set, or the probe has no callback: the event goes to every sink. */
	int (*on_event)(void *user, struct event *event, struct err *err);
	int (*on_exec)(void *user, pid_t pid, const char *comm, struct err *err);
	int (*on_exit)(void *user, pid_t pid, struct err *err);
	int (*on_lost)(void *user, const struct probe_schema *probe, uint64_t lost, struct err *err);
	int (*on_tick)(void *user, struct err *err); /* `every` */
	int (*on_end)(void *user, struct err *err);
	uint64_t (*callback_errors)(void *user, size_t probe);
	const struct origins *(*origins)(
	        void *user, struct err *err); /* what stacks are about, for outputs that say so */
	uint64_t tick_ns;                     /* 0 = no on_tick */
};

/* A host's look at each event, after the script's callback and the sinks. 1 ends the trace; a negative errno is counted,
 * told with what is in `err` (if its code is set), and with `strict` ends the trace. */
typedef int (*session_observer)(void *user, struct event *event, struct err *err);

struct session_options {
	struct logger log;
	const char *cache_dir, *compiler;
	const char *version;     /* of the engine, for `meta`; static */
	const char *const *argv; /* borrowed */
	uint64_t ring_bytes;
	bool strict; /* an observer's error ends the trace */
};

int session_new(struct session **ret, const struct session_options *options);
void session_free(struct session *session);

/* The spec to fill in the declare phase; owned by the session. */
struct spec *session_spec(struct session *session);
void session_set_callbacks(struct session *session, const struct session_callbacks *callbacks);
void session_set_observer(struct session *session, session_observer fn, void *user); /* NULL = none */
struct gen_options *session_gen_options(struct session *session);
int session_catalog(struct session *session, struct catalog **ret, struct err *err); /* opened when first asked for */

/* Where objects are cached; NULL = nowhere. Borrowed. */
const char *session_cache_path(struct session *session, struct err *err);

int session_add_pid(struct session *session, pid_t pid, struct err *err); /* before or after attach */
int session_set_comm(struct session *session, const char *comm);
/* Only what happens in the container (by id, the start of one, name or pod); may be called several times. Tags no-container,
 * ambiguous-container. */
int session_add_container(struct session *session, const char *name, struct err *err);
void session_set_uid(struct session *session, uint32_t uid);
void session_set_limit(struct session *session, uint64_t events);
/* Bytes of the ring buffer, rounded up to what the kernel takes; 0: chosen by what the probes send. */
void session_set_ring(struct session *session, uint64_t bytes);
void session_set_signatures(struct session *session, bool on); /* of Java methods */
/* Copied; the sink is opened at attach, when meta is known. */
int session_add_sink(struct session *session, const struct sink_options *options, struct err *err);

enum session_state {
	SESSION_NEW,
	SESSION_RUNNING,
	SESSION_OVER, /* the end has been told to the caller, who is to stop */
	SESSION_STOPPED,
};
enum session_state session_state(const struct session *session);

int session_check(struct session *session, struct err *err);
enum session_emit { SESSION_EMIT_C, SESSION_EMIT_ASM, SESSION_EMIT_OBJECT };
int session_emit(struct session *session, int what, void **ret_data, size_t *ret_len, struct err *err);
/* Attaching takes this object, made elsewhere (portable.h), and no compiler. `digest`: of the source it was made of. Both
 * are copied. */
int session_set_object(struct session *session, const void *data, size_t len, const uint8_t *digest, struct err *err);
int session_attach(struct session *session, struct err *err);
int session_fd(const struct session *session);
int session_dispatch(struct session *session, int timeout_ms, int max_events, struct err *err);
void session_wake(struct session *session);
/* Asks sinks that tell a state (open …) for it, as of now. */
int session_report(struct session *session, const char *reason, struct err *err);
/* The same without tracing, as all that the session does. */
int session_snapshot(struct session *session, struct err *err);
int session_stop(struct session *session, const char *reason, struct err *err);
const char *session_over_reason(const struct session *session);

/* For callbacks: what `out` does. */
int session_emit_event(struct session *session, struct event *event);
int session_emit_row(struct session *session, const struct cell *cells, size_t n);
int session_print(struct session *session, const char *text, size_t len);
/* The event as the format `jsonl` writes it, without its newline; valid until the next call. `options` count at the first. */
int session_event_json(struct session *session, const struct sink_options *options, struct event *event,
        const char **ret, size_t *ret_len, struct err *err);
/* What is counted in the kernel (engine/out/aggregate.h): number i, as of now, or of the trace's end. Valid until it is asked for
 * again. */
struct aggregate;
size_t session_aggregate_count(const struct session *session);
const struct aggregate_schema *session_aggregate_schema(const struct session *session, size_t i);
int session_aggregate(struct session *session, size_t i, const struct aggregate **ret, struct err *err);
/* Begins anew. While the trace runs not for `min` and `max` (tag cannot-clear); after its end nothing is told of it any more. */
int session_aggregate_clear(struct session *session, size_t i, struct err *err);
/* All of it to every output. */
int session_emit_aggregates(struct session *session, struct err *err);
/* Ends the trace after this round. */
void session_end(struct session *session, const char *reason);

size_t session_probe_count(const struct session *session);
const struct probe_schema *session_probe(const struct session *session, size_t i); /* NULL: there is none */
int session_probe_totals(struct session *session, size_t i, struct probe_totals *ret);
const char *session_mechanisms(const struct session *session);
struct session_phase {
	const char *name;
	uint64_t nsecs;
};
size_t session_phases(const struct session *session, struct session_phase *ret, size_t n);

#endif
