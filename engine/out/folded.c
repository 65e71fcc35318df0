/* The folded format: a line for each different stack, what flamegraph.pl, inferno and speedscope read.
 *
 *     server;main;accept_loop;socket 8012
 *
 * The first frame is the thread's name. With several probes, or without a stack, the last frame is the probe. All counts
 * add up to the events; what did not fit into memory is the line `[not kept]`. Rows and printed lines of a script have
 * no place in this format. */
#include "engine/out/folded_text.h"
#include "engine/out/format.h"
#include "engine/out/stacks.h"

#include <stdlib.h>
#include <string.h>

struct folded {
	struct stacks stacks;
	bool several; /* probes */
};

static void folded_open(struct sink *sink, const struct sink_meta *meta)
{
	struct folded *folded = sink->state = calloc(1, sizeof(struct folded));
	if (folded)
		folded->several = meta->nprobes > 1;
}

static void folded_close(struct sink *sink)
{
	struct folded *folded = sink->state;
	if (folded)
		stacks_fini(&folded->stacks);
	free(folded);
}

/* A thread's name: no separators, and no spaces, as stackcollapse-perf.pl has it. */
static void add_comm(struct text *out, const struct rille_record *record)
{
	size_t start = out->len;
	text_add_clean(out, record->comm, strnlen(record->comm, sizeof(record->comm)));
	for (size_t i = start; !text_failed(out) && i < out->len; i++)
		if (strchr(" \t;", out->data[i]))
			out->data[i] = '_';
}

static void render(struct text *out, struct event *event, void *user)
{
	const struct folded *folded = user;
	add_comm(out, event->record);
	text_addc(out, ';');
	size_t start = out->len;
	folded_text(out, event);
	bool empty = out->len == start;
	if (empty || folded->several) {
		text_adds(out, empty ? "" : ";");
		text_adds(out, event->probe->name);
	}
}

static void folded_event(struct sink *sink, struct event *event)
{
	struct folded *folded = sink->state;
	struct stack_key key;
	if (!folded) {
		sink->out.buffer.failed = true; /* out of memory when it was opened */
		return;
	}
	stack_key(&key, event);
	stacks_count(&folded->stacks, event, &key, sizeof(key), render, folded);
}

static int by_text(const struct counted *a, const struct counted *b)
{
	return strcmp(a->data, b->data);
}

static void add_line(struct text *out, const char *stack, uint64_t count)
{
	text_adds(out, stack);
	text_addc(out, ' ');
	text_addu(out, count);
	text_addc(out, '\n');
}

/* Entries that differ in lines only are one line here. */
static void folded_end(struct sink *sink, const struct sink_end *end)
{
	struct folded *folded = sink->state;
	struct text *out = &sink->out.buffer;
	uint64_t count = 0;
	if (!folded)
		return;
	HASH_SORT(folded->stacks.list, by_text);
	for (struct counted *entry = folded->stacks.list; entry; entry = entry->hh.next) {
		const struct counted *next = entry->hh.next;
		count += entry->count;
		if (next && strcmp(entry->data, next->data) == 0)
			continue;
		add_line(out, entry->data, count);
		writer_commit(&sink->out);
		count = 0;
	}
	if (folded->stacks.others)
		add_line(out, "[not kept]", folded->stacks.others);
}

static void folded_label(struct text *out, const char *name, void *sink)
{
}

const struct sink_format folded_format = {
        .name = "folded",
        .label = folded_label,
        .open = folded_open,
        .event = folded_event,
        .end = folded_end,
        .close = folded_close,
};
