/* The formats `open` and `open-jsonl`: not events, but what is open, and who made it, at the end and when asked.
 *
 * Events of the recipe `fds` go into a table (open_table.c). A report looks at /proc, joins it with the table
 * (open_report.c) and is written for people (open_text.c) or programs (open_json.c). Without events (nothing is traced)
 * it says what is open, and who made it stays unsaid. */
#include "engine/out/open_report.h"
#include "engine/proc/crac.h"
#include "engine/out/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct open_state {
	struct open_table table;
	struct open_report report; /* looked at, not yet joined */
	struct open_trend *trend;
	struct sink_meta meta; /* of it: pids, which are ours, npids, follow, traced */
	unsigned reports;
	struct crac_list crac; /* read for the last report, if there is a path */
	struct err crac_err;
	bool looked;
};

static void open_open(struct sink *sink, const struct sink_meta *meta)
{
	struct open_state *state = calloc(1, sizeof(*state));
	pid_t *pids = calloc(meta->npids + 1, sizeof(*pids));
	if (!state || !pids || open_fields_init(&state->table, meta->probes, meta->nprobes) < 0) {
		sink->out.buffer.failed = true;
		free(state);
		free(pids);
		return;
	}
	if (meta->npids)
		memcpy(pids, meta->pids, meta->npids * sizeof(*pids));
	state->meta = (struct sink_meta){.pids = pids,
	        .npids = meta->npids,
	        .follow = meta->follow,
	        .traced = meta->traced,
	        .filtered = meta->filtered};
	state->table.alone = !meta->follow;
	state->table.all = !meta->npids && !meta->filtered;
	sink->state = state;
}

static void open_close(struct sink *sink)
{
	struct open_state *state = sink->state;
	if (!state)
		return;
	open_report_fini(&state->report);
	open_trend_free(state->trend);
	open_table_fini(&state->table);
	crac_fini(&state->crac);
	free((void *)state->meta.pids);
	free(state);
}

/* Attach first, then scan: what is made from now on is an event, and what was there before is marked so. */
static void open_start(struct sink *sink)
{
	struct open_state *state = sink->state;
	struct open_report before = {0};
	if (!state)
		return;
	open_report_list(&before, &state->table, &state->meta);
	for (size_t i = 0; i < before.nlisted; i++)
		open_table_known(&state->table, &before.listed[i].list, state->meta.npids != 0);
	open_report_fini(&before);
}

static void open_event(struct sink *sink, struct event *event)
{
	struct open_state *state = sink->state;
	if (state)
		open_table_event(&state->table, event);
}

static void open_look(struct sink *sink)
{
	struct open_state *state = sink->state;
	if (!state)
		return;
	open_report_fini(&state->report);
	open_report_look(&state->report, &state->table, &state->meta);
	state->looked = true;
}

/* Only what the table needs to know counts: a probe of the script that says nothing of descriptors may lose what it likes. */
static void count_losses(struct open_table *table, const struct sink_end *end)
{
	uint64_t lost = 0;
	for (size_t i = 0; end && i < end->nprobes; i++) {
		const struct rille_stats *stats = &end->probes[i].stats;
		lost += stats->lost_ring + stats->lost_entry + stats->lost_compat;
	}
	if (lost > table->lost)
		table->lost = lost;
}

static void open_lost(struct sink *sink, const struct probe_totals *probe, uint64_t lost)
{
	struct open_state *state = sink->state;
	if (state)
		state->table.lost += lost;
}

/* The text may be of this very run: a checkpoint that was tried while we traced. So it is read when it is answered. */
static void read_crac(struct open_state *state, const struct sink_open *what)
{
	struct open_report *report = &state->report;
	report->crac = what->crac;
	report->crac_trouble = NULL;
	if (!what->crac || !what->crac_path)
		return;
	crac_fini(&state->crac);
	state->crac_err = (struct err){0};
	int fd = open(what->crac_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r = fd < 0 ? err_set(&state->crac_err, -errno, ERR_RUNTIME, "cannot-read", "%s: %s", what->crac_path,
	                         strerror(errno))
	               : crac_read(&state->crac, fd, what->crac_path, &state->crac_err);
	if (fd >= 0)
		close(fd);
	if (r < 0)
		report->crac_trouble = state->crac_err.message;
	report->crac = &state->crac;
}

static void open_write(struct sink *sink, const struct sink_end *end,
        void (*write)(struct sink *, const struct open_report *, const struct sink_end *))
{
	struct open_state *state = sink->state;
	if (!state)
		return;
	if (!state->looked)
		open_look(sink);
	struct open_report *report = &state->report;
	count_losses(&state->table, end);
	report->number = ++state->reports;
	read_crac(state, &sink->options.open);
	open_report_join(report, &state->table, &sink->options.open, state->meta.traced);
	if (sink->options.open.by_site && !sink->options.open.crac)
		open_report_places(report, &state->trend);
	if (report->failed)
		sink->out.buffer.failed = true;
	else
		write(sink, report, end);
	open_report_fini(report);
	open_table_forget_ended(&state->table);
	open_table_sweep(&state->table);
	state->looked = false;
}

static void text_report(struct sink *sink, const struct sink_end *end)
{
	open_write(sink, end, open_text);
}

static void json_report(struct sink *sink, const struct sink_end *end)
{
	open_write(sink, end, open_json);
}

static void text_row(struct sink *sink, const struct cell *cells, size_t n)
{
	text_format.row(sink, cells, n);
}

static void text_print(struct sink *sink, const char *text, size_t len)
{
	text_format.print(sink, text, len);
}

static void json_row(struct sink *sink, const struct cell *cells, size_t n)
{
	jsonl_format.row(sink, cells, n);
}

static void json_print(struct sink *sink, const char *text, size_t len)
{
	jsonl_format.print(sink, text, len);
}

static void text_label(struct text *out, const char *name, void *sink)
{
	text_format.label(out, name, sink);
}

static void json_label(struct text *out, const char *name, void *sink)
{
	jsonl_format.label(out, name, sink);
}

const struct sink_format open_format = {
        .name = "open",
        .label = text_label,
        .open = open_open,
        .event = open_event,
        .row = text_row,
        .print = text_print,
        .lost = open_lost,
        .start = open_start,
        .look = open_look,
        .report = text_report,
        .end = text_report,
        .close = open_close,
};

const struct sink_format open_jsonl_format = {
        .name = "open-jsonl",
        .label = json_label,
        .open = open_open,
        .event = open_event,
        .row = json_row,
        .print = json_print,
        .lost = open_lost,
        .start = open_start,
        .look = open_look,
        .report = json_report,
        .end = json_report,
        .close = open_close,
};
