/* The output of `perf script`, for the programs that read it (stackcollapse-perf.pl, inferno, speedscope, the Firefox
 * profiler, hotspot):
 *
 *     server  4711/4713 12345.678901:          1 syscall:socket: fd=3 family=AF_UNIX
 *                 7f0000001012 leaf+0x12 (/bin/server)
 *                 7f0000002345 [unknown] (/usr/lib/libc.so.6)
 *
 * As there, frames stand innermost first, the kernel's before the user's, an empty line ends the event, and lines that
 * begin with # are comments. Code that a runtime made belongs to /tmp/perf-PID.map, which is what these programs take for
 * compiled code; inlined frames to (inlined). The time is CLOCK_MONOTONIC. */
#include "engine/out/format.h"
#include "engine/out/value.h"

#include <string.h>

static void perf_label(struct text *out, const char *name, void *sink)
{
	text_addc(out, ' ');
	text_adds(out, name);
	text_addc(out, '=');
}

static void add_clean(struct text *out, const char *s)
{
	text_add_clean(out, s, strlen(s));
}

static void add_module(struct text *out, const struct frame *frame, const struct rille_record *record)
{
	if (frame->inlined)
		text_adds(out, "inlined");
	else if (frame->module)
		add_clean(out, frame->module);
	else if (frame->kind == FRAME_KERNEL)
		text_adds(out, "[kernel.kallsyms]");
	else if (frame->name)
		text_printf(out, "/tmp/perf-%u.map", record->pid);
	else
		text_adds(out, "[unknown]");
}

static void add_frame(struct text *out, const struct frame *frame, const struct rille_record *record)
{
	text_printf(out, "\t%16llx ", (unsigned long long)frame->ip);
	if (frame->name)
		add_clean(out, frame->name);
	else
		text_adds(out, "[unknown]");
	if (frame->name && !frame->inlined) {
		text_adds(out, "+0x");
		text_addx(out, frame->offset);
	}
	text_adds(out, " (");
	add_module(out, frame, record);
	text_adds(out, ")\n");
}

static void add_comment(struct text *out, const char *s)
{
	text_adds(out, "# ");
	add_clean(out, s ? s : "");
	text_addc(out, '\n');
}

static void add_stack(struct text *out, const struct stack *stack, const struct rille_record *record)
{
	for (size_t i = 0; i < stack->nframes; i++)
		if (stack->frames[i].kind == FRAME_MARKER)
			add_comment(out, stack->frames[i].name);
		else
			add_frame(out, &stack->frames[i], record);
	if (stack->end != STACK_ROOT && stack->end != STACK_NO_USER)
		text_printf(out, "# stack ends: %s\n", stack_end_name(stack->end));
}

/* A line that begins with a blank would be a frame, one that begins with # a comment. */
static void add_comm(struct text *out, const struct rille_record *record)
{
	size_t start = out->len;
	text_add_clean(out, record->comm, strnlen(record->comm, sizeof(record->comm)));
	if (out->len == start)
		text_addc(out, '_');
	for (size_t i = start; !text_failed(out) && i < out->len; i++)
		if (out->data[i] == '\t' || (i == start && strchr(" #", out->data[i])))
			out->data[i] = '_';
}

static void perf_event(struct sink *sink, struct event *event)
{
	struct text *out = &sink->out.buffer;
	const struct rille_record *record = event->record;
	struct columns columns = columns_of(&sink->columns, event);

	add_comm(out, record);
	text_printf(out, " %5u/%-5u %5llu.%06llu: %10u %s:", record->pid, record->tid,
	        (unsigned long long)(record->nsecs / 1000000000),
	        (unsigned long long)(record->nsecs % 1000000000 / 1000), 1, event->probe->name);
	for (size_t i = 0; i < columns.n; i++) {
		struct value value = event_value(event, columns.list[i].field);
		text_add(out, columns.list[i].label.data, columns.list[i].label.len);
		value_text(out, &columns.list[i], &value);
	}
	text_addc(out, '\n');
	const struct stack *kstack = event_kstack(event), *ustack = event_ustack(event);
	if (kstack)
		add_stack(out, kstack, record);
	if (ustack)
		add_stack(out, ustack, record);
	if (kstack || ustack)
		text_addc(out, '\n');
}

static void perf_row(struct sink *sink, const struct cell *cells, size_t n)
{
	text_addc(&sink->out.buffer, '#');
	for (size_t i = 0; i < n; i++) {
		perf_label(&sink->out.buffer, cells[i].name, sink);
		cell_text(&sink->out.buffer, &cells[i]);
	}
	text_addc(&sink->out.buffer, '\n');
}

static void perf_print(struct sink *sink, const char *s, size_t len)
{
	while (len) {
		const char *end = memchr(s, '\n', len);
		size_t n = end ? (size_t)(end - s) : len;
		text_adds(&sink->out.buffer, "# ");
		text_format.print(sink, s, n);
		if (!n)
			text_addc(&sink->out.buffer, '\n');
		n += end != NULL;
		s += n;
		len -= n;
	}
}

static void perf_lost(struct sink *sink, const struct probe_totals *probe, uint64_t lost)
{
	text_printf(&sink->out.buffer, "# lost %llu events of %s\n", (unsigned long long)lost, probe->probe->name);
}

static void perf_end(struct sink *sink, const struct sink_end *end)
{
	text_format.end(sink, end);
}

const struct sink_format perf_script_format = {
        .name = "perf-script",
        .label = perf_label,
        .event = perf_event,
        .row = perf_row,
        .print = perf_print,
        .lost = perf_lost,
        .end = perf_end,
};
