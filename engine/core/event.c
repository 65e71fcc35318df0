/* One record on its way to callbacks and sinks.
 *
 * Before a record is looked at, the process table is brought to the record's time, so that its addresses are looked up
 * in the mappings of that moment, whatever the process did since. A stack is resolved when somebody asks for it, once.
 */
#include "engine/core/state.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

static void resolve_user_stack(struct session *session, const struct event *event)
{
	const struct rille_record *record = event->record;
	size_t offset = event->probe->ustack_offset;
	if (record->flags & RILLE_REC_USTACK && session->resolver) {
		const struct rille_ustack *ustack = (const void *)((const char *)record + offset);
		resolve_user(session->resolver, record, ustack, event->size - offset - sizeof(*ustack),
		        event->probe->depth, &session->ustack);
	} else {
		session->ustack.nframes = 0;
		session->ustack.end = record->flags & RILLE_REC_COMPAT ? STACK_COMPAT : STACK_NO_USER;
	}
	if (session->ustack.end != STACK_ROOT && session->ustack.end != STACK_NO_USER)
		session->accounts[event->probe->index].ends[session->ustack.end]++;
}

static void resolve_kernel_stack(struct session *session, const struct event *event)
{
	const struct rille_record *record = event->record;
	const struct rille_kstack *kstack = (const void *)((const char *)record + event->probe->kstack_offset);
	size_t room = (event->size - event->probe->kstack_offset - sizeof(*kstack)) / sizeof(uint64_t);
	size_t n = record->flags & RILLE_REC_KSTACK ? kstack->nframes : 0;
	resolve_kernel(session->resolver, (const uint64_t *)(kstack + 1), n < room ? n : room, &session->kstack);
}

static const struct stack *resolve(struct event *event, enum stack_sides side)
{
	struct session *session = event->owner;
	if (side == STACK_USER) {
		if (!session->ustack_known)
			resolve_user_stack(session, event);
		session->ustack_known = true;
		return &session->ustack;
	}
	if (!session->kstack_known && event->probe->kstack_offset)
		resolve_kernel_stack(session, event);
	session->kstack_known = true;
	return &session->kstack;
}

static const char *container(struct event *event)
{
	return inside_label(event->owner, (pid_t)event->record->pid, (pid_t)event->record->ppid);
}

/* The first failure ends the round; loop.c returns it to the host. */
int session_fail(struct session *session, int code, const struct err *err)
{
	session->failure = code;
	if (err && err->code)
		session->failure_err = *err;
	else
		err_set(&session->failure_err, code, ERR_RUNTIME, "callback-failed", "a callback failed: %s",
		        strerror(-code));
	return code;
}

static int deliver(struct session *session, struct event *event)
{
	struct err *err = &session->callback_err; /* 2 KB: not cleared for every event */
	if (!session->callbacks.on_event || !session->spec.probes[event->probe->spec_probe].has_callback)
		return session_emit_event(session, event);
	err->code = 0;
	int r = session->callbacks.on_event(session->callbacks.user, event, err);
	return r < 0 && !session->failure ? session_fail(session, r, err) : 0;
}

static int observer_failed(struct session *session, const struct event *event, int code, struct err *err)
{
	enum { TOLD = 3 };
	uint64_t errors = ++session->accounts[event->probe->index].observer_errors;
	const char *why = err->code ? err->message : strerror(-code);
	err->code = err->code ? code : 0;
	if (session->strict)
		return session->failure ? 0 : session_fail(session, code, err);
	if (errors <= TOLD)
		log_warn(&session->log, "%s: the host's callback failed: %s%s", event->probe->name, why,
		        errors == TOLD ? "; further errors are counted, not shown" : "");
	return 0;
}

/* The host sees every event, whatever the script made of it. */
static int observe(struct session *session, struct event *event)
{
	struct err *err = &session->callback_err;
	err->code = 0;
	int r = session->observer(session->observer_user, event, err);
	if (r > 0)
		session_end(session, "callback");
	return r < 0 ? observer_failed(session, event, r, err) : 0;
}

/* A sink whose reader has gone ends the trace without a word; any other trouble is an error. */
static int sink_result(struct session *session, const struct output *output, int code)
{
	if (code == -EPIPE) {
		session_end(session, "output closed");
		return 0;
	}
	const char *where = output->options.path ? output->options.path : "the output";
	struct err err;
	err_set(&err, code, ERR_RUNTIME, "cannot-write", "cannot write to %s: %s", where, strerror(-code));
	return session_fail(session, code, &err);
}

int session_emit_event(struct session *session, struct event *event)
{
	int result = 0;
	for (size_t i = 0; i < session->noutputs; i++) {
		int r = sink_event(session->outputs[i].sink, event);
		if (r < 0)
			result = sink_result(session, &session->outputs[i], r);
	}
	return result;
}

int session_emit_row(struct session *session, const struct cell *cells, size_t n)
{
	int result = 0;
	for (size_t i = 0; i < session->noutputs; i++) {
		int r = sink_row(session->outputs[i].sink, cells, n);
		if (r < 0)
			result = sink_result(session, &session->outputs[i], r);
	}
	return result;
}

int event_aggregate(struct session *session, const struct aggregate *aggregate)
{
	int result = 0;
	for (size_t i = 0; i < session->noutputs; i++) {
		int r = sink_aggregate(session->outputs[i].sink, aggregate);
		if (r < 0)
			result = sink_result(session, &session->outputs[i], r);
	}
	return result;
}

int session_print(struct session *session, const char *text, size_t len)
{
	int result = 0;
	for (size_t i = 0; i < session->noutputs; i++) {
		int r = sink_print(session->outputs[i].sink, text, len);
		if (r < 0)
			result = sink_result(session, &session->outputs[i], r);
	}
	return result;
}

int session_event_json(struct session *session, const struct sink_options *options, struct event *event,
        const char **ret, size_t *ret_len, struct err *err)
{
	if (!session->lines) {
		struct utsname name;
		struct sink_meta meta = plan_meta(session, &name);
		struct sink_options jsonl = *options;
		jsonl.format = "jsonl";
		int r = sink_open_memory(&session->lines, &jsonl, &meta, err);
		if (r < 0)
			return r;
	}
	int r = sink_line(session->lines, event, ret, ret_len);
	return r < 0 ? err_nomem(err) : 0;
}

int event_flush(struct session *session)
{
	int result = 0;
	for (size_t i = 0; i < session->noutputs; i++) {
		int r = sink_flush(session->outputs[i].sink);
		if (r < 0)
			result = sink_result(session, &session->outputs[i], r);
	}
	return result;
}

int event_handle(void *user, const struct rille_record *record, size_t size)
{
	struct session *session = user;
	if (session->procs)
		proc_table_advance(session->procs, record->nsecs);
	struct event event = {
	        .probe = &session->plan.probes[record->probe],
	        .record = record,
	        .size = size,
	        .wall_nsecs = (int64_t)record->nsecs + session->wall_offset,
	        .number = ++session->events,
	        .resolve = resolve,
	        .container = container,
	        .owner = session,
	};
	session->ustack_known = session->kstack_known = false;
	session->kstack.nframes = 0;
	int r = deliver(session, &event);
	if (r == 0 && session->observer)
		r = observe(session, &event);
	if (session->limit && session->events >= session->limit)
		session_end(session, "limit");
	return r < 0 ? r : session->cut;
}
