/* A flame graph: one HTML file that needs nothing else, written at the end. The page is in page/; this file makes the data
 * that it draws.
 *
 * A stack is a way through a tree (flame_tree.h): the thread's name, the frames from the outermost one, and the call.
 * A frame is told from others by name, kind and file, not by line: where calls of one function come from several lines,
 * they are one box, as people expect. Nor does it matter whether a runtime's compiler has inlined a method meanwhile.
 * What does not fit into memory is a number that the page shows, so that all counts add up to the events.
 *
 * Where events tell what happens to descriptors (the recipe `fds`), there is a second weight: how many descriptors a
 * stack made that are open still.
 *
 * Of each stack the first events are kept in full, for who wants to know which descriptor, when and by whom. How many
 * are not kept is the difference to the count, which the page says.
 *
 * Everything that a target chose goes into one JSON text, cleaned as for a terminal first, and without the character
 * that could end a script element. The page makes text of it and never markup, and its content security policy lets
 * nothing run but the page's own script. */
#include "engine/base/embed.h"
#include "engine/base/grow.h"
#include "engine/out/flame_open.h"
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
	uint32_t len;  /* of its JSON, one behind the other in `details` */
	uint32_t open; /* descriptors that it made and that are open still */
};

enum { NOT_KEPT = UINT32_MAX };

struct flamegraph {
	struct flame_tree tree;
	struct numbering frames; /* as the JSON they will be */
	struct way *ways;
	struct kept_event *events;
	size_t nevents, events_cap;
	struct text details;
	struct flame_open *open; /* NULL: the events do not tell */
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
	text_printf(json, ",%u,%d", kind, frame && frame->inlined && frame->kind == FRAME_NATIVE);
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

/* [leaf,probe,"time",pid,tid,"comm",values…]. Returns its number, or NOT_KEPT. */
static uint32_t keep(struct sink *sink, struct flamegraph *flame, struct flame_node *leaf, const struct event *event)
{
	const struct rille_record *record = event->record;
	struct text *out = &flame->details;
	size_t start = out->len;
	if (leaf->kept >= MAX_EVENTS_OF_STACK || flame->nevents >= MAX_EVENTS || start > MAX_EVENT_BYTES ||
	        grow(&flame->events, &flame->events_cap, flame->nevents + 1, sizeof(*flame->events)) < 0)
		return NOT_KEPT;
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
		return NOT_KEPT;
	}
	flame->events[flame->nevents].len = (uint32_t)(out->len - start);
	leaf->kept++;
	return (uint32_t)flame->nevents++;
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
	if (!leaf) { /* a descriptor that it closes is closed all the same */
		flame->others++;
		if (flame->open)
			flame_open_event(flame->open, event, UINT64_MAX);
		return;
	}
	leaf->count++;
	uint64_t number = keep(sink, flame, leaf, event);
	if (flame->open)
		flame_open_event(flame->open, event, number << 32 | leaf->number);
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

/* The leaves by their numbers, for as long as what is open is counted. */
struct open_count {
	struct flamegraph *flame;
	struct flame_node **nodes;
	size_t n;
	uint64_t others;
};

static void count_one(void *user, uint64_t tag)
{
	struct open_count *count = user;
	uint32_t leaf = (uint32_t)tag, event = (uint32_t)(tag >> 32);
	if (leaf >= count->n) {
		count->others++;
		return;
	}
	count->nodes[leaf]->open++;
	if (event < count->flame->nevents)
		count->flame->events[event].open++;
}

/* Returns how many open descriptors were made by stacks that did not fit. */
static uint64_t count_open(struct sink *sink, struct flamegraph *flame)
{
	struct open_count count = {.flame = flame};
	struct flame_node **nodes = calloc(HASH_COUNT(flame->tree.list) + 1, sizeof(struct flame_node *));
	if (!nodes) {
		sink->out.buffer.failed = true;
		return 0;
	}
	count.nodes = nodes;
	for (struct flame_node *node = flame->tree.list; node; node = node->hh.next)
		nodes[count.n++] = node;
	if (flame_open_each(flame->open, count_one, &count) < 0)
		sink->out.buffer.failed = true;
	free(nodes);
	return count.others;
}

/* Of each node its parent's number + 1 (0 = none), its frame, its line, and its weights. */
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
		if (flame->open)
			add_number(out, ",", node->open);
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
	text_adds(out, "],\n\"open\":[");
	const char *sep = "";
	for (size_t i = 0; i < flame->nevents; i++) {
		if (!flame->events[i].open)
			continue;
		text_adds(out, sep);
		sep = ",";
		text_addu(out, i);
	}
	text_adds(out, "]}\n");
}

static void flame_end(struct sink *sink, const struct sink_end *end)
{
	struct flamegraph *flame = sink->state;
	if (!flame)
		return;
	uint64_t open_others = flame->open ? count_open(sink, flame) : 0;
	text_add(&sink->out.buffer, flamegraph_page[0].data, flamegraph_page[0].len);
	add_about(sink, flame, end);
	text_adds(&sink->out.buffer,
	        flame->open ? "\"weights\":[\"event\",\"open descriptor\"],\n" : "\"weights\":[\"event\"],\n");
	add_number(&sink->out.buffer, "\"openOthers\":", open_others);
	text_adds(&sink->out.buffer, ",\n");
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
	if (flame_open_new(&flame->open, meta->probes, meta->nprobes) < 0)
		sink->out.buffer.failed = true;
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
	flame_open_free(flame->open);
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
