/* The file format of speedscope (https://www.speedscope.app/file-format-schema.json): one JSON object, written at the end.
 *
 * A profile a probe, of the type "sampled", where each sample is a different stack and its weight the number of events.
 * A stack begins with the thread's name, so that threads stand side by side. Frames are shared by all profiles: one for
 * each name, file and line. What did not fit into memory is a last profile, so that all weights add up to the events.
 *
 * The frames are kept as the JSON they will be, which is also what tells them apart; a stack is kept as their numbers. */
#include "engine/out/folded_text.h"
#include "engine/out/format.h"
#include "engine/out/numbering.h"
#include "engine/out/stacks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct speedscope {
	struct stacks stacks;
	struct numbering frames;
	struct text scratch, name;
	const struct probe_schema *probes;
	size_t nprobes;
	char *script;
};

static void speedscope_open(struct sink *sink, const struct sink_meta *meta)
{
	struct speedscope *speedscope = sink->state = calloc(1, sizeof(struct speedscope));
	if (!speedscope)
		return;
	speedscope->probes = meta->probes;
	speedscope->nprobes = meta->nprobes;
	speedscope->script = strdup(meta->script ? meta->script : "");
}

static void speedscope_close(struct sink *sink)
{
	struct speedscope *speedscope = sink->state;
	if (!speedscope)
		return;
	numbering_fini(&speedscope->frames);
	stacks_fini(&speedscope->stacks);
	text_fini(&speedscope->scratch);
	text_fini(&speedscope->name);
	free(speedscope->script);
	free(speedscope);
}

static void add_string(struct text *out, const char *key, const char *s, size_t n)
{
	text_adds(out, key);
	text_addc(out, '"');
	text_add_json(out, s, n);
	text_addc(out, '"');
}

/* The frame whose JSON stands in `scratch`. If there is no room for it, the whole stack is not kept. */
static void add_index(struct speedscope *speedscope, struct text *out)
{
	struct text *json = &speedscope->scratch;
	text_addc(json, '}');
	int64_t number = text_failed(json) ? -1 : number_of(&speedscope->frames, json->data, json->len);
	uint32_t index = (uint32_t)number;
	text_add(out, &index, sizeof(index));
	out->failed |= number < 0;
}

static void add_named(struct speedscope *speedscope, struct text *out, const char *name, size_t n)
{
	text_reset(&speedscope->scratch);
	add_string(&speedscope->scratch, "{\"name\":", name, n);
	add_index(speedscope, out);
}

static void add_frame(struct speedscope *speedscope, struct text *out, const struct frame *frame)
{
	struct text *json = &speedscope->scratch;
	text_reset(json);
	text_reset(&speedscope->name);
	frame_name_text(&speedscope->name, frame);
	json->failed |= speedscope->name.failed;
	add_string(json, "{\"name\":", text_str(&speedscope->name), speedscope->name.len);
	if (frame->file)
		add_string(json, ",\"file\":", frame->file, strlen(frame->file));
	else if (frame->module)
		add_string(json, ",\"file\":", frame->module, strlen(frame->module));
	if (frame->file && frame->line > 0)
		text_printf(json, ",\"line\":%d", frame->line);
	add_index(speedscope, out);
}

static void add_stack(struct speedscope *speedscope, struct text *out, const struct stack *stack)
{
	char end[64];
	if (stack->end != STACK_ROOT && stack->end != STACK_NO_USER) {
		int n = snprintf(end, sizeof(end), "[incomplete: %s]", stack_end_name(stack->end));
		add_named(speedscope, out, end, (size_t)n);
	}
	for (size_t i = stack->nframes; i--;)
		add_frame(speedscope, out, &stack->frames[i]);
}

static void render(struct text *out, struct event *event, void *user)
{
	const struct stack *kstack = event_kstack(event), *ustack = event_ustack(event);
	const char *comm = event->record->comm;
	add_named(user, out, comm, strnlen(comm, sizeof(event->record->comm)));
	if (ustack)
		add_stack(user, out, ustack);
	if (kstack)
		add_stack(user, out, kstack);
}

static void speedscope_event(struct sink *sink, struct event *event)
{
	struct speedscope *speedscope = sink->state;
	struct stack_key key;
	if (!speedscope) {
		sink->out.buffer.failed = true; /* out of memory when it was opened */
		return;
	}
	stack_key(&key, event);
	stacks_count(&speedscope->stacks, event, &key, sizeof(key), render, speedscope);
}

static void add_frames(struct sink *sink, const struct speedscope *speedscope)
{
	struct text *out = &sink->out.buffer;
	text_adds(out, "\"shared\":{\"frames\":[");
	for (const struct numbered *frame = speedscope->frames.list; frame; frame = frame->hh.next) {
		text_adds(out, frame->number ? ",\n" : "\n");
		text_adds(out, frame->data);
		writer_commit(&sink->out);
	}
	text_adds(out, "]},\n");
}

static void add_sample(struct text *out, const struct counted *entry)
{
	text_addc(out, '[');
	for (size_t i = 0; i + sizeof(uint32_t) <= entry->len; i += sizeof(uint32_t)) {
		uint32_t index;
		memcpy(&index, entry->data + i, sizeof(index));
		text_adds(out, i ? "," : "");
		text_addu(out, index);
	}
	text_addc(out, ']');
}

/* The array of one member of the stacks of one probe; returns the sum of their counts. */
static uint64_t add_samples(
        struct sink *sink, const struct speedscope *speedscope, const struct probe_schema *probe, bool weights)
{
	struct text *out = &sink->out.buffer;
	const char *separator = "";
	uint64_t sum = 0;
	for (const struct counted *entry = speedscope->stacks.list; entry; entry = entry->hh.next) {
		if (entry->probe != probe)
			continue;
		text_adds(out, separator);
		separator = weights ? "," : ",\n";
		if (weights)
			text_addu(out, entry->count);
		else
			add_sample(out, entry);
		sum += entry->count;
		writer_commit(&sink->out);
	}
	return sum;
}

static void add_profile(struct sink *sink, const struct speedscope *speedscope, const struct probe_schema *probe)
{
	struct text *out = &sink->out.buffer;
	add_string(out, "{\"type\":\"sampled\",\"unit\":\"none\",\"name\":", probe->name, strlen(probe->name));
	text_adds(out, ",\"samples\":[");
	add_samples(sink, speedscope, probe, false);
	text_adds(out, "],\n\"weights\":[");
	uint64_t sum = add_samples(sink, speedscope, probe, true);
	text_printf(out, "],\n\"startValue\":0,\"endValue\":%llu}", (unsigned long long)sum);
}

/* An empty stack is one, too. */
static void add_others(struct text *out, uint64_t others)
{
	text_printf(out,
	        ",\n{\"type\":\"sampled\",\"unit\":\"none\",\"name\":\"[not "
	        "kept]\",\"samples\":[[]],\"weights\":[%llu],"
	        "\"startValue\":0,\"endValue\":%llu}",
	        (unsigned long long)others, (unsigned long long)others);
}

static void speedscope_end(struct sink *sink, const struct sink_end *end)
{
	struct speedscope *speedscope = sink->state;
	struct text *out = &sink->out.buffer;
	if (!speedscope)
		return;
	stacks_sort(&speedscope->stacks);
	text_adds(out, "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\n");
	add_string(out,
	        "\"exporter\":\"rille " RILLE_VERSION "\",\"name\":", speedscope->script ? speedscope->script : "",
	        strlen(speedscope->script ? speedscope->script : ""));
	text_adds(out, ",\n");
	add_frames(sink, speedscope);
	text_adds(out, "\"profiles\":[\n");
	for (size_t i = 0; i < speedscope->nprobes; i++) {
		text_adds(out, i ? ",\n" : "");
		add_profile(sink, speedscope, &speedscope->probes[i]);
	}
	if (speedscope->stacks.others)
		add_others(out, speedscope->stacks.others);
	text_adds(out, "]}\n");
}

static void speedscope_label(struct text *out, const char *name, void *sink)
{
}

const struct sink_format speedscope_format = {
        .name = "speedscope",
        .label = speedscope_label,
        .open = speedscope_open,
        .event = speedscope_event,
        .end = speedscope_end,
        .close = speedscope_close,
};
