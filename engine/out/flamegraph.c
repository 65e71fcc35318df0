/* A flame graph: one HTML file that needs nothing else, written at the end. The page is in web/; this file makes the data
 * that it draws.
 *
 * A stack is a way through a tree (flame_tree.h): the thread's name, the frames from the outermost one, and the call.
 * A frame is told from others by name, kind and file, not by line: where calls of one function come from several lines,
 * they are one box, as people expect. What does not fit into memory is a number that the page shows, so that all counts
 * add up to the events.
 *
 * Of each stack the first events are kept in full, for who wants to know which descriptor, when and by whom. How many
 * are not kept is the difference to the count, which the page says.
 *
 * Everything that a target chose goes into one JSON text, cleaned as for a terminal first, and without the character
 * that could end a script element. The page makes text of it and never markup, and its content security policy lets
 * nothing run but the page's own script. */
#include "engine/base/embed.h"
#include "engine/base/grow.h"
#include "engine/out/flame_tree.h"
#include "engine/out/folded_text.h"
#include "engine/out/format.h"
#include "engine/out/numbering.h"
#include "engine/out/stacks.h"
#include "engine/out/value.h"

#include <stdlib.h>
#include <string.h>

extern const struct embedded flamegraph_page[]; /* what stands before the data, and what behind it */

enum { MAX_WAYS = 131072, MAX_EVENTS = 20000, MAX_EVENTS_OF_STACK = 50, MAX_EVENT_BYTES = 16 * 1024 * 1024 };

/* What a frame is, beside enum frame_kind. */
enum { KIND_THREAD = FRAME_UNKNOWN + 1, KIND_CALL, KIND_END };

/* A stack that was seen: where it ends in the tree. */
struct way {
	struct way_key {
		const struct probe_schema *probe;
		struct stack_key stack;
	} key;
	struct flame_node *leaf;
	UT_hash_handle hh;
};

struct kept_event {
	uint32_t leaf;
	uint32_t len; /* of its JSON, one behind the other in `details` */
};

struct flamegraph {
	struct flame_tree tree;
	struct numbering frames; /* as the JSON they will be */
	struct way *ways;
	struct kept_event *events;
	size_t nevents, events_cap;
	struct text details;
	struct text name, json, about;
	uint64_t total, others;
	const struct probe_schema *probes;
	size_t nprobes;
};

/* --- text --- */

/* As the inside of a script element has to be: a `<` could be the end of it. */
static void add_string(struct text *out, const char *s, size_t n)
{
	text_addc(out, '"');
	for (const char *end; (end = memchr(s, '<', n)); s = end + 1) {
		text_add_json(out, s, (size_t)(end - s));
		text_adds(out, "\\u003c");
		n -= (size_t)(end - s) + 1;
	}
	text_add_json(out, s, n);
	text_addc(out, '"');
}

static void add_member(struct text *out, const char *key, const char *s)
{
	text_adds(out, key);
	if (s)
		add_string(out, s, strlen(s));
	else
		text_adds(out, "null");
}

static void add_number(struct text *out, const char *key, uint64_t v)
{
	text_adds(out, key);
	text_addu(out, v);
}

/* --- the tree --- */

/* Takes the frame whose name stands in `name` and goes there; NULL stays NULL. */
static struct flame_node *step(
        struct flamegraph *flame, struct flame_node *from, bool first, unsigned kind, const struct frame *frame)
{
	struct text *json = &flame->json;
	if (!from && !first)
		return NULL;
	text_reset(json);
	text_addc(json, '[');
	add_string(json, text_str(&flame->name), flame->name.len);
	text_printf(json, ",%u,%d", kind, frame && frame->inlined);
	if (frame && (frame->file || frame->module))
		add_member(json, ",", frame->file ? frame->file : frame->module);
	text_addc(json, ']');
	int64_t number = json->failed || flame->name.failed ? -1 : number_of(&flame->frames, json->data, json->len);
	bool has_line = frame && frame->file && frame->line > 0;
	return number < 0 ? NULL : flame_child(&flame->tree, from, (uint32_t)number, has_line ? frame->line : 0);
}

static struct flame_node *step_named(
        struct flamegraph *flame, struct flame_node *from, unsigned kind, const char *name, size_t len)
{
	text_reset(&flame->name);
	text_add_clean(&flame->name, name, len);
	return step(flame, from, kind == KIND_THREAD, kind, NULL);
}

static struct flame_node *step_stack(struct flamegraph *flame, struct flame_node *node, const struct stack *stack)
{
	if (stack->end != STACK_ROOT && stack->end != STACK_NO_USER) {
		text_reset(&flame->name);
		text_printf(&flame->name, "[incomplete: %s]", stack_end_name(stack->end));
		node = step(flame, node, false, KIND_END, NULL);
	}
	for (size_t i = stack->nframes; i--;) {
		text_reset(&flame->name);
		frame_name_text(&flame->name, &stack->frames[i]);
		node = step(flame, node, false, stack->frames[i].kind, &stack->frames[i]);
	}
	return node;
}

static struct flame_node *walk(struct flamegraph *flame, struct event *event)
{
	const struct stack *kstack = event_kstack(event), *ustack = event_ustack(event);
	const char *comm = event->record->comm, *probe = event->probe->name;
	struct flame_node *node = step_named(flame, NULL, KIND_THREAD, comm, strnlen(comm, RILLE_COMM));
	if (ustack)
		node = step_stack(flame, node, ustack);
	if (kstack)
		node = step_stack(flame, node, kstack);
	return step_named(flame, node, KIND_CALL, probe, strlen(probe));
}

/* Where the event's stack ends. A stack that was seen before costs one lookup; only as many are remembered as there is
 * room for, the others are walked again. NULL: no room in the tree. */
static struct flame_node *leaf_of(struct flamegraph *flame, struct event *event)
{
	struct way_key key = {.probe = event->probe};
	struct way *way;
	stack_key(&key.stack, event);
	HASH_FIND(hh, flame->ways, &key, sizeof(key), way);
	if (way)
		return way->leaf;
	struct flame_node *leaf = walk(flame, event);
	way = leaf && HASH_COUNT(flame->ways) < MAX_WAYS ? calloc(1, sizeof(*way)) : NULL;
	if (!way)
		return leaf;
	way->key = key;
	way->leaf = leaf;
	HASH_ADD(hh, flame->ways, key, sizeof(way->key), way);
	if (!way->hh.tbl) /* out of memory */
		free(way);
	return leaf;
}

/* --- single events --- */

static void add_values(struct sink *sink, struct flamegraph *flame, struct text *out, const struct event *event)
{
	struct columns columns = columns_of(&sink->columns, event);
	for (size_t i = 0; i < columns.n; i++) {
		struct value value = event_value(event, columns.list[i].field);
		text_reset(&flame->name);
		value_text(&flame->name, &columns.list[i], &value);
		out->failed |= flame->name.failed;
		text_addc(out, ',');
		add_string(out, text_str(&flame->name), flame->name.len);
	}
}

/* [leaf,probe,"time",pid,tid,"comm",values…] */
static void keep(struct sink *sink, struct flamegraph *flame, struct flame_node *leaf, const struct event *event)
{
	const struct rille_record *record = event->record;
	struct text *out = &flame->details;
	size_t start = out->len;
	if (leaf->kept >= MAX_EVENTS_OF_STACK || flame->nevents >= MAX_EVENTS || start > MAX_EVENT_BYTES ||
	        grow(&flame->events, &flame->events_cap, flame->nevents + 1, sizeof(*flame->events)) < 0)
		return;
	add_number(out, "[", leaf->number);
	add_number(out, ",", event->probe->index);
	text_adds(out, ",\"");
	timestamp_iso(&sink->stamp, out, event->wall_nsecs);
	add_number(out, "\",", record->pid);
	add_number(out, ",", record->tid);
	text_reset(&flame->name);
	text_add_clean(&flame->name, record->comm, strnlen(record->comm, sizeof(record->comm)));
	out->failed |= flame->name.failed;
	text_addc(out, ',');
	add_string(out, text_str(&flame->name), flame->name.len);
	add_values(sink, flame, out, event);
	text_addc(out, ']');
	if (out->failed) { /* one event less is kept, and the page says so */
		out->failed = false;
		out->len = start;
		return;
	}
	flame->events[flame->nevents++] = (struct kept_event){leaf->number, (uint32_t)(out->len - start)};
	leaf->kept++;
}

static void flame_event(struct sink *sink, struct event *event)
{
	struct flamegraph *flame = sink->state;
	if (!flame) {
		sink->out.buffer.failed = true; /* out of memory when it was opened */
		return;
	}
	struct flame_node *leaf = leaf_of(flame, event);
	flame->total++;
	if (!leaf) {
		flame->others++;
		return;
	}
	leaf->count++;
	keep(sink, flame, leaf, event);
}

/* --- the file --- */

static void add_probe(struct sink *sink, struct text *out, size_t i)
{
	const struct probe_schema *probe = &((struct flamegraph *)sink->state)->probes[i];
	add_member(out, i ? ",{\"name\":" : "{\"name\":", probe->name);
	text_adds(out, ",\"fields\":[");
	for (size_t c = 0; i < sink->columns.nprobes && c < sink->columns.probes[i].n; c++)
		add_member(out, c ? "," : "", sink->columns.probes[i].list[c].schema->name);
	text_adds(out, "]}");
}

/* Which events are not in the file at all, and why. */
static void add_losses(struct text *out, const struct sink_end *end)
{
	const char *sep = "";
	text_adds(out, ",\"losses\":[");
	for (size_t i = 0; i < end->nprobes; i++) {
		const struct rille_stats *stats = &end->probes[i].stats;
		uint64_t lost = stats->lost_ring + stats->lost_entry + stats->lost_compat;
		if (!lost && !end->probes[i].unresolved)
			continue;
		text_adds(out, sep);
		sep = ",";
		add_member(out, "{\"probe\":", end->probes[i].probe->name);
		add_number(out, ",\"lost\":", lost);
		add_number(out, ",\"incomplete\":", end->probes[i].unresolved);
		text_addc(out, '}');
	}
	text_addc(out, ']');
}

static void add_about(struct sink *sink, const struct flamegraph *flame, const struct sink_end *end)
{
	struct text *out = &sink->out.buffer;
	struct cell seconds = {.kind = CELL_NUMBER, .n = end->seconds};
	text_add(out, flame->about.data, flame->about.len);
	out->failed |= flame->about.failed;
	text_adds(out, ",\"seconds\":");
	cell_json(out, &seconds);
	add_number(out, ",\"total\":", flame->total);
	add_number(out, ",\"others\":", flame->others);
	add_losses(out, end);
	text_adds(out, ",\"probes\":[");
	for (size_t i = 0; i < flame->nprobes; i++)
		add_probe(sink, out, i);
	text_adds(out, "],\n\"kinds\":[");
	for (unsigned kind = 0; kind <= FRAME_UNKNOWN; kind++)
		add_member(out, kind ? "," : "", frame_kind_name(kind));
	text_adds(out, ",\"thread\",\"call\",\"end\"],\n");
}

static void add_frames(struct sink *sink, const struct flamegraph *flame)
{
	text_adds(&sink->out.buffer, "\"frames\":[");
	for (const struct numbered *frame = flame->frames.list; frame; frame = frame->hh.next) {
		text_adds(&sink->out.buffer, frame->number ? ",\n" : "\n");
		text_adds(&sink->out.buffer, frame->data);
		writer_commit(&sink->out);
	}
	text_adds(&sink->out.buffer, "],\n");
}

/* Four numbers a node: its parent's number + 1 (0 = none), its frame, its line, its count. */
static void add_nodes(struct sink *sink, const struct flamegraph *flame)
{
	struct text *out = &sink->out.buffer;
	text_adds(out, "\"nodes\":[");
	for (const struct flame_node *node = flame->tree.list; node; node = node->hh.next) {
		text_adds(out, node->number ? "," : "");
		text_addu(out, (uint32_t)(node->key.parent + 1));
		add_number(out, ",", node->key.frame);
		text_addc(out, ',');
		text_addi(out, node->line);
		add_number(out, ",", node->count);
		if (node->number % 32 == 31)
			text_addc(out, '\n');
		writer_commit(&sink->out);
	}
	text_adds(out, "],\n");
}

static void add_events(struct sink *sink, const struct flamegraph *flame)
{
	struct text *out = &sink->out.buffer;
	const char *at = text_str(&flame->details);
	text_adds(out, "\"events\":[");
	for (size_t i = 0; i < flame->nevents; at += flame->events[i++].len) {
		text_adds(out, i ? ",\n" : "\n");
		text_add(out, at, flame->events[i].len);
		writer_commit(&sink->out);
	}
	text_adds(out, "]}\n");
}

static void flame_end(struct sink *sink, const struct sink_end *end)
{
	struct flamegraph *flame = sink->state;
	if (!flame)
		return;
	text_add(&sink->out.buffer, flamegraph_page[0].data, flamegraph_page[0].len);
	add_about(sink, flame, end);
	add_frames(sink, flame);
	add_nodes(sink, flame);
	add_events(sink, flame);
	text_add(&sink->out.buffer, flamegraph_page[1].data, flamegraph_page[1].len);
}

static void flame_open(struct sink *sink, const struct sink_meta *meta)
{
	struct flamegraph *flame = sink->state = calloc(1, sizeof(struct flamegraph));
	if (!flame)
		return;
	struct text *out = &flame->about;
	flame->probes = meta->probes;
	flame->nprobes = meta->nprobes;
	add_member(out, "{\"version\":", meta->version);
	add_member(out, ",\"script\":", meta->script);
	add_member(out, ",\"host\":", meta->host);
	add_member(out, ",\"kernel\":", meta->kernel);
	text_adds(out, ",\"started\":\"");
	timestamp_iso(&sink->stamp, out, meta->started);
	text_adds(out, "\",\"argv\":[");
	for (size_t i = 0; meta->argv && i < meta->argc; i++)
		add_member(out, i ? "," : "", meta->argv[i]);
	text_addc(out, ']');
}

static void flame_close(struct sink *sink)
{
	struct flamegraph *flame = sink->state;
	struct way *way, *next;
	if (!flame)
		return;
	HASH_ITER (hh, flame->ways, way, next) {
		HASH_DEL(flame->ways, way);
		free(way);
	}
	flame_tree_fini(&flame->tree);
	numbering_fini(&flame->frames);
	free(flame->events);
	text_fini(&flame->details);
	text_fini(&flame->name);
	text_fini(&flame->json);
	text_fini(&flame->about);
	free(flame);
}

static void flame_label(struct text *out, const char *name, void *sink)
{
}

const struct sink_format flamegraph_format = {
        .name = "flamegraph",
        .label = flame_label,
        .open = flame_open,
        .event = flame_event,
        .end = flame_end,
        .close = flame_close,
};
