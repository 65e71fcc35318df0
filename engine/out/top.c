/* The top format: no events, but how often each place made the call, most frequent first, at the end.
 *
 *        8012  80.1 %  syscall:socket
 *         socket+0x7 (libc.so.6)
 *         …
 *
 * A place is a stack's site: the same names and lines, whatever tier of a runtime ran them and wherever they were mapped. What
 * is shown of a place is the stack of its first event. All counts add up to the events: places beyond those that are shown, or
 * beyond what is kept in memory, are told in a last line. */
#include "engine/out/format.h"
#include "engine/out/frame_text.h"
#include "engine/out/palette.h"
#include "engine/out/stacks.h"

#include <stdlib.h>

static void top_open(struct sink *sink, const struct sink_meta *meta)
{
	sink->state = calloc(1, sizeof(struct stacks));
}

static void top_close(struct sink *sink)
{
	if (sink->state)
		stacks_fini(sink->state);
	free(sink->state);
}

static void render(struct text *out, struct event *event, void *user)
{
	const struct sink *sink = user;
	struct frame_style style = {
	        palette_get(sink->options.color), sink->options.addresses, sink->options.signatures};
	const struct stack *kstack = event_kstack(event), *ustack = event_ustack(event);
	if (kstack)
		stack_text(out, kstack, &style);
	if (ustack)
		stack_text(out, ustack, &style);
}

/* A kernel's stack has no site: no code in it moves to another tier. */
static void top_event(struct sink *sink, struct event *event)
{
	if (!sink->state) {
		sink->out.buffer.failed = true; /* out of memory when it was opened */
		return;
	}
	const struct stack *kstack = event_kstack(event), *ustack = event_ustack(event);
	uint64_t key[] = {ustack ? ustack->site : 0, kstack ? stack_identity(kstack) : 0};
	stacks_count(sink->state, event, key, sizeof(key), render, sink);
}

static void add_place(struct sink *sink, const struct stacks *top, const struct counted *place)
{
	struct text *out = &sink->out.buffer;
	const struct palette *palette = palette_get(sink->options.color);
	text_printf(out, "%s%10llu%s  %4.1f %%  %s%s%s\n", palette->process, (unsigned long long)place->count,
	        palette->reset, 100.0 * (double)place->count / (double)top->events, palette->probe, place->probe->name,
	        palette->reset);
	if (place->data) {
		text_adds(out, place->data);
		text_addc(out, '\n');
	}
}

static void top_end(struct sink *sink, const struct sink_end *end)
{
	struct stacks *top = sink->state;
	struct text *out = &sink->out.buffer;
	uint64_t shown = 0;
	size_t n = 0;
	if (!top)
		return;
	stacks_sort(top);
	for (struct counted *place = top->list; place; place = place->hh.next, n++) {
		if (sink->options.top && n >= sink->options.top)
			break;
		add_place(sink, top, place);
		shown += place->count;
	}
	if (shown < top->events)
		text_printf(out, "%10llu  %4.1f %%  in %zu other places%s\n", (unsigned long long)(top->events - shown),
		        100.0 * (double)(top->events - shown) / (double)top->events, HASH_COUNT(top->list) - n,
		        top->others ? " and in places that were not kept" : "");
	text_printf(out, "%10llu  events from %u places%s\n", (unsigned long long)top->events, HASH_COUNT(top->list),
	        top->others ? " and more" : "");
}

static void top_row(struct sink *sink, const struct cell *cells, size_t n)
{
	text_format.row(sink, cells, n);
}

static void top_print(struct sink *sink, const char *text, size_t len)
{
	text_format.print(sink, text, len);
}

static void top_aggregate(struct sink *sink, const struct aggregate *aggregate)
{
	text_format.aggregate(sink, aggregate);
}

static void top_lost(struct sink *sink, const struct probe_totals *probe, uint64_t lost)
{
}

static void top_label(struct text *out, const char *name, void *sink)
{
	text_format.label(out, name, sink);
}

const struct sink_format top_format = {
        .name = "top",
        .label = top_label,
        .open = top_open,
        .event = top_event,
        .row = top_row,
        .print = top_print,
        .aggregate = top_aggregate,
        .lost = top_lost,
        .end = top_end,
        .close = top_close,
};
