/* The format of pprof: a gzipped Profile message (https://github.com/google/pprof/blob/main/proto/profile.proto), written
 * at the end.
 *
 * A sample is a stack, its value the number of events, its labels say which: pid, comm, call (the probe), fd and inode
 * where the probe has fields of these names (fds and inodes: each of them). With fd and inode nearly every event is a
 * sample of its own; once half of the table is used up, samples go without these two, so that a long trace still counts
 * all its stacks. What then does not fit is the sample `[not kept]`: all values add up to the events.
 *
 * Protocol buffers are written here by hand: of the wire format only numbers and byte strings are needed, which is less
 * than what a library's generated code would have to be told. A message's fields may stand in any order, so a sample is
 * kept ready to be written but for its value. */
#include "engine/out/folded_text.h"
#include "engine/out/format.h"
#include "engine/out/numbering.h"
#include "engine/out/stacks.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Numbers of fields in profile.proto. */
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE = 2, PROFILE_LOCATION = 4, PROFILE_FUNCTION = 5, PROFILE_STRING = 6 };
enum { PROFILE_TIME = 9, PROFILE_DURATION = 10 };
enum { TYPE_TYPE = 1, TYPE_UNIT = 2 };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE = 2, SAMPLE_LABEL = 3 };
enum { LABEL_KEY = 1, LABEL_STRING = 2, LABEL_NUMBER = 3 };
enum { LOCATION_ID = 1, LOCATION_LINE = 4, LINE_FUNCTION = 1, LINE_LINE = 2 };
enum { FUNCTION_ID = 1, FUNCTION_NAME = 2, FUNCTION_SYSTEM_NAME = 3, FUNCTION_FILE = 4 };

struct function_key {
	uint32_t name, file; /* strings */
};
struct location_key {
	uint32_t function;
	int32_t line;
};

struct pprof {
	struct stacks stacks;
	struct numbering strings, functions, locations;
	struct text name, labels, message, plain;
	struct text rest; /* the sample of what was not kept: made first, so that there is room for it */
	z_stream zip;
	int64_t started;
	bool zip_open;
};

/* --- the wire format --- */

static void add_varint(struct text *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		text_addc(out, (char)(v | 0x80));
	text_addc(out, (char)v);
}

static void add_number(struct text *out, unsigned field, uint64_t v)
{
	add_varint(out, field << 3);
	add_varint(out, v);
}

static void add_bytes(struct text *out, unsigned field, const void *data, size_t len)
{
	add_varint(out, field << 3 | 2);
	add_varint(out, len);
	if (len)
		text_add(out, data, len);
}

/* --- what is kept while the trace runs --- */

/* A string must be UTF-8. If there is no room, what it belongs to is not kept. */
static uint32_t string_of(struct pprof *pprof, struct text *out, const char *s, size_t len)
{
	text_reset(&pprof->name);
	text_add_clean(&pprof->name, s, len);
	int64_t number = number_of(&pprof->strings, text_str(&pprof->name), pprof->name.len);
	out->failed |= number < 0 || pprof->name.failed;
	return (uint32_t)number;
}

static void add_location(
        struct pprof *pprof, struct text *out, const char *name, size_t len, const char *file, int line)
{
	struct function_key function = {.name = string_of(pprof, out, name, len)};
	function.file = string_of(pprof, out, file, strlen(file));
	int64_t number = number_of(&pprof->functions, &function, sizeof(function));
	struct location_key location = {.function = (uint32_t)number, .line = line > 0 ? line : 0};
	int64_t id = number < 0 ? -1 : number_of(&pprof->locations, &location, sizeof(location));
	out->failed |= id < 0;
	add_number(out, SAMPLE_LOCATION, (uint64_t)id + 1); /* 0 is no id */
}

static void add_frame(struct pprof *pprof, struct text *out, const struct frame *frame)
{
	const char *file = frame->file ? frame->file : frame->module ? frame->module : "";
	struct text name = {0};
	frame_name_text(&name, frame);
	out->failed |= name.failed;
	add_location(pprof, out, text_str(&name), name.len, file, frame->file ? frame->line : 0);
	text_fini(&name);
}

static void add_stack(struct pprof *pprof, struct text *out, const struct stack *stack)
{
	for (size_t i = 0; i < stack->nframes; i++)
		add_frame(pprof, out, &stack->frames[i]);
	if (stack->end == STACK_ROOT || stack->end == STACK_NO_USER)
		return;
	struct text end = {0};
	text_printf(&end, "[incomplete: %s]", stack_end_name(stack->end));
	out->failed |= end.failed;
	add_location(pprof, out, text_str(&end), end.len, "", 0);
	text_fini(&end);
}

/* A location stands for its call site here: the innermost one is first. */
static void render(struct text *out, struct event *event, void *user)
{
	struct pprof *pprof = user;
	const struct stack *kstack = event_kstack(event), *ustack = event_ustack(event);
	if (kstack)
		add_stack(pprof, out, kstack);
	if (ustack)
		add_stack(pprof, out, ustack);
	if (!out->len) /* pprof draws no sample without a place */
		add_location(pprof, out, event->probe->name, strlen(event->probe->name), "", 0);
	text_add(out, pprof->labels.data, pprof->labels.len);
}

static void begin_label(struct pprof *pprof, struct text *message, const char *key)
{
	text_reset(message);
	add_number(message, LABEL_KEY, string_of(pprof, &pprof->labels, key, strlen(key)));
}

static void add_text_label(struct pprof *pprof, const char *key, const char *s, size_t len)
{
	struct text *message = &pprof->message;
	begin_label(pprof, message, key);
	add_number(message, LABEL_STRING, string_of(pprof, &pprof->labels, s, len));
	add_bytes(&pprof->labels, SAMPLE_LABEL, message->data, message->len);
}

static void add_number_label(struct pprof *pprof, const char *key, int64_t v)
{
	struct text *message = &pprof->message;
	begin_label(pprof, message, key);
	add_number(message, LABEL_NUMBER, (uint64_t)v);
	add_bytes(&pprof->labels, SAMPLE_LABEL, message->data, message->len);
}

static const char *label_of(const char *field)
{
	if (strcmp(field, "fd") == 0 || strcmp(field, "fds") == 0)
		return "fd";
	return strcmp(field, "inode") == 0 || strcmp(field, "inodes") == 0 ? "inode" : NULL;
}

static void add_field_labels(struct pprof *pprof, const struct event *event)
{
	for (size_t i = 0; i < event->probe->nfields; i++) {
		const char *key = label_of(event->probe->fields[i].name);
		struct value value = key ? event_value(event, i) : (struct value){.missing = true};
		if (value.missing || value.kind > VALUE_UINT)
			continue;
		for (size_t e = 0; e < (value.count ? value.count : 1u); e++)
			if (value_has(&value, e))
				add_number_label(pprof, key, value_int(&value, e));
	}
}

/* Equal labels are equal bytes, since equal strings have equal numbers. */
static void make_labels(struct pprof *pprof, const struct event *event)
{
	const struct rille_record *record = event->record;
	text_reset(&pprof->labels);
	add_text_label(pprof, "call", event->probe->name, strlen(event->probe->name));
	add_text_label(pprof, "comm", record->comm, strnlen(record->comm, sizeof(record->comm)));
	add_number_label(pprof, "pid", record->pid);
	if (!stacks_half_full(&pprof->stacks))
		add_field_labels(pprof, event);
}

static void pprof_event(struct sink *sink, struct event *event)
{
	struct pprof *pprof = sink->state;
	struct text *key = pprof ? &pprof->message : NULL;
	if (!pprof) {
		sink->out.buffer.failed = true; /* out of memory when it was opened */
		return;
	}
	make_labels(pprof, event);
	uint64_t identity = stacks_identity(event);
	text_reset(key);
	text_add(key, &identity, sizeof(identity));
	text_add(key, text_str(&pprof->labels), pprof->labels.len);
	if (text_failed(key) || text_failed(&pprof->labels) || key->len > STACKS_KEY)
		stacks_skip(&pprof->stacks);
	else
		stacks_count(&pprof->stacks, event, key->data, key->len, render, pprof);
}

/* --- the file --- */

static void zip(struct sink *sink, struct pprof *pprof, int flush)
{
	unsigned char piece[16384];
	pprof->zip.next_in = (unsigned char *)pprof->plain.data;
	pprof->zip.avail_in = (unsigned)pprof->plain.len;
	sink->out.buffer.failed |= pprof->plain.failed;
	do {
		pprof->zip.next_out = piece;
		pprof->zip.avail_out = sizeof(piece);
		deflate(&pprof->zip, flush);
		text_add(&sink->out.buffer, piece, sizeof(piece) - pprof->zip.avail_out);
		writer_commit(&sink->out);
	} while (!pprof->zip.avail_out);
	text_reset(&pprof->plain);
}

static void add_message(struct sink *sink, struct pprof *pprof, unsigned field)
{
	pprof->plain.failed |= pprof->message.failed;
	add_bytes(&pprof->plain, field, pprof->message.data, pprof->message.len);
	if (pprof->plain.len > 65536)
		zip(sink, pprof, Z_NO_FLUSH);
	text_reset(&pprof->message);
}

static void add_sample(struct sink *sink, struct pprof *pprof, const char *data, size_t len, uint64_t count)
{
	if (len)
		text_add(&pprof->message, data, len);
	add_number(&pprof->message, SAMPLE_VALUE, count);
	add_message(sink, pprof, PROFILE_SAMPLE);
}

static void add_samples(struct sink *sink, struct pprof *pprof)
{
	text_reset(&pprof->message);
	for (const struct counted *entry = pprof->stacks.list; entry; entry = entry->hh.next)
		add_sample(sink, pprof, entry->data, entry->len, entry->count);
	if (pprof->stacks.others)
		add_sample(sink, pprof, pprof->rest.data, pprof->rest.len, pprof->stacks.others);
}

static void add_locations(struct sink *sink, struct pprof *pprof)
{
	struct text *message = &pprof->message, line = {0};
	for (const struct numbered *entry = pprof->locations.list; entry; entry = entry->hh.next) {
		struct location_key key;
		memcpy(&key, entry->data, sizeof(key));
		text_reset(&line);
		add_number(&line, LINE_FUNCTION, (uint64_t)key.function + 1);
		add_number(&line, LINE_LINE, (uint64_t)key.line);
		add_number(message, LOCATION_ID, (uint64_t)entry->number + 1);
		add_bytes(message, LOCATION_LINE, line.data, line.len);
		message->failed |= line.failed;
		add_message(sink, pprof, PROFILE_LOCATION);
	}
	text_fini(&line);
}

static void add_functions(struct sink *sink, struct pprof *pprof)
{
	struct text *message = &pprof->message;
	for (const struct numbered *entry = pprof->functions.list; entry; entry = entry->hh.next) {
		struct function_key key;
		memcpy(&key, entry->data, sizeof(key));
		add_number(message, FUNCTION_ID, (uint64_t)entry->number + 1);
		add_number(message, FUNCTION_NAME, key.name);
		add_number(message, FUNCTION_SYSTEM_NAME, key.name);
		add_number(message, FUNCTION_FILE, key.file);
		add_message(sink, pprof, PROFILE_FUNCTION);
	}
}

static void add_strings(struct sink *sink, struct pprof *pprof)
{
	for (const struct numbered *entry = pprof->strings.list; entry; entry = entry->hh.next) {
		text_add(&pprof->message, entry->data, entry->len);
		add_message(sink, pprof, PROFILE_STRING);
	}
}

/* What the values are: events, counted. */
static void add_type(struct pprof *pprof)
{
	text_reset(&pprof->message);
	add_number(&pprof->message, TYPE_TYPE, string_of(pprof, &pprof->plain, "events", strlen("events")));
	add_number(&pprof->message, TYPE_UNIT, string_of(pprof, &pprof->plain, "count", strlen("count")));
	add_bytes(&pprof->plain, PROFILE_SAMPLE_TYPE, pprof->message.data, pprof->message.len);
}

static void pprof_open(struct sink *sink, const struct sink_meta *meta)
{
	struct pprof *pprof = sink->state = calloc(1, sizeof(struct pprof));
	if (!pprof)
		return;
	pprof->started = meta->started;
	/* The first string has to be the empty one. 15 + 16: with gzip's header. */
	pprof->zip_open = deflateInit2(&pprof->zip, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
	if (!pprof->zip_open || number_of(&pprof->strings, "", 0) != 0)
		sink->out.buffer.failed = true;
	add_location(pprof, &pprof->rest, "[not kept]", strlen("[not kept]"), "", 0);
	add_type(pprof);
	sink->out.buffer.failed |= pprof->rest.failed;
}

static void pprof_close(struct sink *sink)
{
	struct pprof *pprof = sink->state;
	if (!pprof)
		return;
	stacks_fini(&pprof->stacks);
	numbering_fini(&pprof->strings);
	numbering_fini(&pprof->functions);
	numbering_fini(&pprof->locations);
	text_fini(&pprof->name);
	text_fini(&pprof->labels);
	text_fini(&pprof->message);
	text_fini(&pprof->plain);
	text_fini(&pprof->rest);
	if (pprof->zip_open)
		deflateEnd(&pprof->zip);
	free(pprof);
}

static void pprof_end(struct sink *sink, const struct sink_end *end)
{
	struct pprof *pprof = sink->state;
	if (!pprof || !pprof->zip_open)
		return;
	add_number(&pprof->plain, PROFILE_TIME, (uint64_t)pprof->started);
	add_number(&pprof->plain, PROFILE_DURATION, (uint64_t)(end->seconds * 1e9));
	add_samples(sink, pprof);
	add_locations(sink, pprof);
	add_functions(sink, pprof);
	add_strings(sink, pprof);
	zip(sink, pprof, Z_FINISH);
}

static void pprof_label(struct text *out, const char *name, void *sink)
{
}

const struct sink_format pprof_format = {
        .name = "pprof",
        .label = pprof_label,
        .open = pprof_open,
        .event = pprof_event,
        .end = pprof_end,
        .close = pprof_close,
};
