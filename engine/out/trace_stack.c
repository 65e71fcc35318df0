/* A stack from JSON. Its names are interned: sinks tell stacks apart by their names' addresses. The site is not written,
 * so it is worked out anew from what makes a place: names and lines of code that a runtime runs, the address in its file
 * of the other. */
#include "engine/base/grow.h"
#include "engine/out/trace_reader.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FRAMES = 8192 };

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return ((hash ^ value) * 0x9E3779B97F4A7C15ULL) ^ (hash >> 29);
}

/* Interned text is equal if its address is. */
static void add_site(struct stack *stack, const struct frame *frame)
{
	bool by_line = frame->kind == FRAME_JAVA || (!frame->module && frame->name);
	if (frame->kind == FRAME_STUB || frame->kind == FRAME_MARKER)
		return;
	stack->site = mix(mix(stack->site, (uintptr_t)frame->name), by_line ? (uint32_t)frame->line : frame->offset);
	stack->site = mix(stack->site, by_line ? 0 : frame->module ? (uintptr_t)frame->module : frame->ip);
}

/* Index of a name among those that `name_of` gives for 0 to n-1. */
static bool find_name(const char *name, const char *(*name_of)(unsigned i), unsigned n, uint8_t *ret)
{
	for (unsigned i = 0; i < n; i++) {
		const char *known = name_of(i);
		if (known && strcmp(known, name) == 0) {
			*ret = (uint8_t)i;
			return true;
		}
	}
	return false;
}

static const char *kind_of(unsigned i)
{
	return frame_kind_name((enum frame_kind)i);
}
static const char *tier_of(unsigned i)
{
	return frame_tier_name((enum frame_tier)i);
}
static const char *how_of(unsigned i)
{
	return frame_how_name((enum frame_how)i);
}

/* NULL if there is no such member; `failed` if there is no memory for it. */
static const char *read_name(struct trace_reader *reader, struct json_object *from, const char *key, bool *failed)
{
	const char *text;
	size_t len;
	if (!trace_text(from, key, &text, &len))
		return NULL;
	const char *kept = intern_bytes(reader->intern, text, strnlen(text, len));
	*failed |= !kept;
	return kept;
}

static bool read_frame(struct trace_reader *reader, struct json_object *from, struct frame *ret)
{
	const char *word;
	bool failed = false;
	uint32_t line = 0;
	memset(ret, 0, sizeof(*ret));
	if (!trace_text(from, "kind", &word, NULL) || !find_name(word, kind_of, FRAME_UNKNOWN + 1, &ret->kind))
		ret->kind = FRAME_UNKNOWN;
	if (trace_text(from, "tier", &word, NULL))
		find_name(word, tier_of, TIER_TURBOFAN + 1, &ret->tier);
	if (trace_text(from, "how", &word, NULL))
		find_name(word, how_of, HOW_APPROX + 1, &ret->how);
	if (trace_text(from, "address", &word, NULL))
		ret->ip = strtoull(word, NULL, 16);
	ret->inlined = trace_bool(from, "inlined");
	ret->name = read_name(reader, from, "name", &failed);
	ret->signature = read_name(reader, from, "signature", &failed);
	ret->module = read_name(reader, from, "module", &failed);
	ret->build_id = read_name(reader, from, "build_id", &failed);
	ret->file = read_name(reader, from, "file", &failed);
	trace_u64(from, "offset", &ret->offset);
	if (trace_u32(from, "line", &line) && line <= INT32_MAX)
		ret->line = (int32_t)line;
	return !failed;
}

static bool read_end(const char *name, enum stack_end *ret)
{
	for (unsigned i = 0; name && i < STACK_ENDS; i++)
		if (strcmp(stack_end_name((enum stack_end)i), name) == 0) {
			*ret = (enum stack_end)i;
			return true;
		}
	return false;
}

int trace_stack_read(
        struct trace_reader *reader, struct json_object *frames, const char *end, struct stack *ret, struct err *err)
{
	size_t n = json_object_array_length(frames);
	ret->nframes = 0;
	ret->site = 0;
	if (!read_end(end, &ret->end))
		return trace_bad(
		        err, "a stack ends for a reason that this version does not know: '%.32s'", end ? end : "");
	if (n > MAX_FRAMES)
		return trace_bad(err, "a stack of %zu frames, more than the %d that can be read", n, MAX_FRAMES);
	if (grow(&ret->frames, &ret->frames_cap, n, sizeof(*ret->frames)) < 0)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		struct json_object *from = json_object_array_get_idx(frames, i);
		struct frame *frame = &ret->frames[ret->nframes++];
		if (json_object_get_type(from) != json_type_object)
			return trace_bad(err, "a frame is not an object");
		if (!read_frame(reader, from, frame))
			return err_nomem(err);
		add_site(ret, frame);
	}
	return 0;
}
