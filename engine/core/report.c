/* Accounts: what was lost, told at most once a second while the trace runs, and the totals at its end. */
#include "engine/core/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t lost_of(const struct rille_stats *stats)
{
	/* Over --limit is not a loss. */
	return stats->lost_ring + stats->lost_entry + stats->lost_compat + stats->lost_full;
}

int session_probe_totals(struct session *session, size_t i, struct probe_totals *ret)
{
	if (i >= session->plan.nprobes || !session->accounts)
		return -ENOENT;
	struct probe_account *account = &session->accounts[i];
	if (session->kernel && !session->frozen)
		kernel_stats(session->kernel, i, &account->last);
	ret->probe = &session->plan.probes[i];
	ret->stats = account->last;
	memcpy(ret->ends, account->ends, sizeof(ret->ends));
	ret->unresolved = 0;
	for (size_t end = 0; end < STACK_ENDS; end++)
		ret->unresolved += account->ends[end];
	size_t spec_probe = session->plan.probes[i].spec_probe;
	ret->callback_errors = account->observer_errors;
	if (session->callbacks.callback_errors)
		ret->callback_errors += session->callbacks.callback_errors(session->callbacks.user, spec_probe);
	return 0;
}

int session_report_losses(struct session *session, struct err *err)
{
	for (size_t i = 0; i < session->plan.nprobes; i++) {
		struct probe_totals totals = {0};
		struct probe_account *account = &session->accounts[i];
		session_probe_totals(session, i, &totals);
		uint64_t lost = lost_of(&totals.stats) - account->lost_told;
		if (!lost)
			continue;
		account->lost_told += lost;
		for (size_t o = 0; o < session->noutputs; o++)
			sink_lost(session->outputs[o].sink, &totals, lost);
		if (!session->callbacks.on_lost)
			continue;
		int r = session->callbacks.on_lost(session->callbacks.user, totals.probe, lost, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int finish_outputs(struct session *session, const struct sink_end *end, struct err *err)
{
	int result = 0;
	for (size_t i = 0; i < session->noutputs; i++) {
		struct output *output = &session->outputs[i];
		int r = output->sink ? sink_finish(output->sink, end) : 0;
		if (r < 0 && r != -EPIPE && result == 0)
			result = err_set(err, r, ERR_RUNTIME, "cannot-write", "cannot write to %s: %s",
			        output->options.path ? output->options.path : "the output", strerror(-r));
	}
	return result;
}

static void log_surprises(struct session *session)
{
	uint64_t targets = kernel_lost_targets(session->kernel), corrupt = kernel_corrupt(session->kernel), size, peak;
	if (targets)
		log_warn(&session->log, "%llu processes were not traced: too many at a time",
		        (unsigned long long)targets);
	if (corrupt)
		log_warn(&session->log, "%llu records were not understood", (unsigned long long)corrupt);
	kernel_ring_usage(session->kernel, &size, &peak);
	log_info(&session->log, "ring buffer: at most %llu of %llu KiB used", (unsigned long long)peak >> 10,
	        (unsigned long long)size >> 10);
}

/* Whom to look at is what events tell (children): those come first. */
int session_look(struct session *session, struct err *err)
{
	int r = session->kernel ? loop_catch_up(session, err) : 0;
	for (size_t i = 0; i < session->noutputs; i++)
		if (session->outputs[i].sink)
			sink_look(session->outputs[i].sink);
	return r;
}

/* What a report says beside the sinks' own: the totals of all probes, which the caller frees. */
static int describe_end(struct session *session, const char *reason, struct sink_end *ret, struct err *err)
{
	size_t n = session->plan.nprobes;
	struct probe_totals *totals = calloc(n ? n : 1, sizeof(*totals));
	if (!totals)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		session_probe_totals(session, i, &totals[i]);
	*ret = (struct sink_end){
	        .probes = totals,
	        .nprobes = n,
	        .mappings_lost = session->procs ? proc_table_lost(session->procs) : 0,
	        .reason = reason ? reason : "done",
	        .seconds = (double)(now_ns(CLOCK_MONOTONIC) - session->started) / 1e9,
	};
	return 0;
}

static int report_outputs(struct session *session, const struct sink_end *end, struct err *err)
{
	int result = 0;
	for (size_t i = 0; i < session->noutputs; i++) {
		struct output *output = &session->outputs[i];
		int r = output->sink ? sink_report(output->sink, end) : 0;
		if (r == -EPIPE)
			session_end(session, "output closed");
		else if (r < 0 && result == 0)
			result = err_set(err, r, ERR_RUNTIME, "cannot-write", "cannot write to %s: %s",
			        output->options.path ? output->options.path : "the output", strerror(-r));
	}
	return result;
}

int session_report(struct session *session, const char *reason, struct err *err)
{
	struct sink_end end;
	if (session->state != SESSION_RUNNING && session->state != SESSION_OVER)
		return err_set(err, -EINVAL, ERR_RUNTIME, "wrong-state", "this session is not attached");
	int r = session_look(session, err);
	if (r == 0)
		r = loop_catch_up(session, err);
	if (r == 0)
		r = session_report_losses(session, err);
	if (r == 0)
		r = session_emit_aggregates(session, err);
	if (r == 0)
		r = describe_end(session, reason ? reason : "asked", &end, err);
	if (r)
		return r;
	r = report_outputs(session, &end, err);
	free((void *)end.probes);
	return r;
}

int session_snapshot(struct session *session, struct err *err)
{
	struct sink_end end = {.reason = "now"};
	if (session->state != SESSION_NEW)
		return err_set(err, -EBUSY, ERR_RUNTIME, "wrong-state", "this session has been attached");
	int r = plan_open_outputs(session, err);
	session->state = SESSION_STOPPED;
	if (r == 0)
		r = session_look(session, err);
	return r < 0 ? r : finish_outputs(session, &end, err);
}

int session_report_end(struct session *session, const char *reason, struct err *err)
{
	int r = session_report_losses(session, err);
	if (session->callbacks.on_end) {
		int ended = session->callbacks.on_end(session->callbacks.user, r < 0 ? NULL : err);
		r = r < 0 ? r : ended;
	}
	int counted = session_emit_aggregates(session, r < 0 ? NULL : err);
	r = r < 0 ? r : counted;
	struct sink_end end;
	int described = describe_end(session, reason, &end, r < 0 ? NULL : err);
	if (described)
		return described;
	int finished = finish_outputs(session, &end, r < 0 ? NULL : err);
	log_surprises(session);
	free((void *)end.probes);
	return r < 0 ? r : finished;
}
