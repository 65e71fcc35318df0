/* The text format: what people read in a terminal.
 *
 *     20:33:37.123456 syscall:socketpair pair 4711 fds=[3,4] inodes=[81234,81235]
 *         socketpair+0xb (libc.so.6)
 *         leaf+0x12 (pair) pair.c:7
 *         …
 *
 * One line an event; with a stack, a line a frame and an empty line behind. The thread is named where it is not the
 * process's first. Lost events are told in the stream only if it is a file of its own: on a terminal the command says
 * so beside it. */
#include "engine/out/aggregate.h"
#include "engine/out/format.h"
#include "engine/out/frame_text.h"
#include "engine/out/origin_text.h"
#include "engine/out/palette.h"
#include "engine/out/value.h"

#include <string.h>

static const struct palette plain = {"", "", "", "", "", "", ""};
static const struct palette colored = {
        .dim = "\x1b[2m",
        .probe = "\x1b[36m",
        .process = "\x1b[1m",
        .label = "\x1b[32m",
        .name = "\x1b[33m",
        .warn = "\x1b[31m",
        .reset = "\x1b[0m",
};

const struct palette *palette_get(bool color)
{
	return color ? &colored : &plain;
}

static const struct palette *palette_of(const struct sink *sink)
{
	return palette_get(sink->options.color);
}

static void text_label(struct text *out, const char *name, void *user)
{
	const struct palette *palette = palette_of(user);
	text_addc(out, ' ');
	text_adds(out, palette->label);
	text_add_clean(out, name, strlen(name));
	text_addc(out, '=');
	text_adds(out, palette->reset);
}

/* UTC where the zone is part of the text. */
static void text_open(struct sink *sink, const struct sink_meta *meta)
{
	sink->stamp.local = sink->options.timestamp == TIMESTAMP_TIME;
}

static void add_timestamp(struct sink *sink, struct text *out, int64_t wall_nsecs)
{
	switch (sink->options.timestamp) {
	case TIMESTAMP_TIME:
		timestamp_time(&sink->stamp, out, wall_nsecs);
		break;
	case TIMESTAMP_ISO:
		timestamp_iso(&sink->stamp, out, wall_nsecs);
		break;
	case TIMESTAMP_EPOCH:
		timestamp_epoch(out, wall_nsecs);
		break;
	case TIMESTAMP_DELTA:
		timestamp_delta(out, wall_nsecs - sink->previous);
		sink->previous = wall_nsecs;
		break;
	case TIMESTAMP_NONE:
		return;
	}
	text_addc(out, ' ');
}

static void add_padding(struct text *out, size_t used, size_t width)
{
	static const char spaces[] = "                                ";
	if (used < width)
		text_add(out, spaces, width - used);
}

static void add_process(struct sink *sink, struct text *out, const struct rille_record *record)
{
	const struct palette *palette = palette_of(sink);
	text_adds(out, palette->process);
	text_add_clean(out, record->comm, strnlen(record->comm, sizeof(record->comm)));
	text_adds(out, palette->reset);
	text_addc(out, ' ');
	text_addu(out, record->pid);
	if (record->tid != record->pid) {
		text_addc(out, '/');
		text_addu(out, record->tid);
	}
}

static void add_container(struct sink *sink, struct text *out, struct event *event)
{
	const char *container = event_container(event);
	text_label(out, "container", sink);
	text_add_clean(out, container ? container : "-", container ? strlen(container) : 1);
}

static void text_event(struct sink *sink, struct event *event)
{
	struct text *out = &sink->out.buffer;
	const struct palette *palette = palette_of(sink);
	struct columns columns = columns_of(&sink->columns, event);
	struct frame_style style = {palette, sink->options.addresses, sink->options.signatures};
	const char *probe = event->probe->name;

	text_adds(out, palette->dim);
	add_timestamp(sink, out, event->wall_nsecs);
	text_adds(out, palette->reset);
	text_adds(out, palette->probe);
	text_adds(out, probe);
	text_adds(out, palette->reset);
	add_padding(out, strlen(probe), sink->probe_width);
	text_addc(out, ' ');
	add_process(sink, out, event->record);
	if (sink->columns.container)
		add_container(sink, out, event);
	for (size_t i = 0; i < columns.n; i++) {
		struct value value = event_value(event, columns.list[i].field);
		text_add(out, columns.list[i].label.data, columns.list[i].label.len);
		value_text(out, &columns.list[i], &value);
	}
	text_addc(out, '\n');
	const struct stack *kstack = event_kstack(event);
	if (kstack)
		stack_text(out, kstack, &style);
	const struct stack *ustack = event_ustack(event);
	if (ustack)
		stack_text(out, ustack, &style);
	if (ustack)
		origin_text(out, sink->origins, ustack, NULL, "  ", palette);
	if (kstack || ustack)
		text_addc(out, '\n');
}

static void text_row(struct sink *sink, const struct cell *cells, size_t n)
{
	struct text *out = &sink->out.buffer;
	size_t start = out->len;
	for (size_t i = 0; i < n; i++) {
		text_label(out, cells[i].name, sink);
		cell_text(out, &cells[i]);
	}
	if (out->len > start && !text_failed(out)) /* a label starts with a space */
		memmove(out->data + start, out->data + start + 1, out->len-- - start);
	text_addc(out, '\n');
}

/* A script's own lines keep their newlines; what it pasted in from a target is cleaned like everything else. */
static void text_print(struct sink *sink, const char *s, size_t len)
{
	struct text *out = &sink->out.buffer;
	while (len) {
		const char *end = memchr(s, '\n', len);
		size_t n = end ? (size_t)(end - s) : len;
		text_add_clean(out, s, n);
		text_addc(out, '\n');
		n += end != NULL;
		s += n;
		len -= n;
	}
}

static void text_aggregate(struct sink *sink, const struct aggregate *aggregate)
{
	aggregate_text(&sink->out.buffer, aggregate, palette_of(sink));
}

static void add_cause(struct text *out, const char *what, uint64_t n)
{
	if (n)
		text_printf(out, ", %llu %s", (unsigned long long)n, what);
}

static void text_lost(struct sink *sink, const struct probe_totals *probe, uint64_t lost)
{
	if (!sink->out.path)
		return;
	struct text *out = &sink->out.buffer;
	text_printf(out, "# lost %llu events of ", (unsigned long long)lost);
	text_adds(out, probe->probe->name);
	text_addc(out, '\n');
}

/* In a file of its own the report stands as comments: only what a reader has to know to trust what is above it. */
static void text_end(struct sink *sink, const struct sink_end *end)
{
	if (!sink->out.path)
		return;
	struct text *out = &sink->out.buffer;
	for (size_t i = 0; i < end->nprobes; i++) {
		const struct probe_totals *totals = &end->probes[i];
		const struct rille_stats *stats = &totals->stats;
		if (stats->lost_ring + stats->lost_entry + stats->lost_compat + stats->lost_full + totals->unresolved ==
		        0)
			continue;
		text_printf(out, "# %s: %llu sent", totals->probe->name, (unsigned long long)stats->sent);
		add_cause(out, "lost: ring buffer full", stats->lost_ring);
		add_cause(out, "lost: no room for the call's entry", stats->lost_entry);
		add_cause(out, "not shown: 32-bit calls", stats->lost_compat);
		add_cause(out, "not counted: map full", stats->lost_full);
		add_cause(out, "stacks incomplete", totals->unresolved);
		text_addc(out, '\n');
	}
}

const struct sink_format text_format = {
        .name = "text",
        .label = text_label,
        .open = text_open,
        .event = text_event,
        .row = text_row,
        .print = text_print,
        .aggregate = text_aggregate,
        .lost = text_lost,
        .end = text_end,
};
