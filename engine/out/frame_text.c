/* Stack frames as lines of text.
 *
 * Each kind of frame looks as its own world prints it: native code as name+offset (module) file:line, Java as a
 * Throwable's trace does, JavaScript as Error.stack does. A tag in brackets follows only where it tells the reader
 * something: how the frame was found if that was not by unwind tables, that it stands inlined in the next one. */
#include "engine/out/frame_text.h"

#include <string.h>

static void add_clean(struct text *out, const char *s)
{
	text_add_clean(out, s, strlen(s));
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

static void add_hex(struct text *out, const char *prefix, uint64_t v)
{
	text_adds(out, prefix);
	text_addx(out, v);
}

static void add_module(struct text *out, const struct frame *frame, const struct frame_style *style)
{
	add_clean(out, style->addresses ? frame->module : basename_of(frame->module));
}

static void add_name(struct text *out, const struct frame *frame, const struct frame_style *style)
{
	text_adds(out, style->palette->name);
	add_clean(out, frame->name);
	text_adds(out, style->palette->reset);
	if (style->signatures && frame->signature)
		add_clean(out, frame->signature);
}

static void add_source(struct text *out, const struct frame *frame, const struct frame_style *style)
{
	add_clean(out, style->addresses ? frame->file : basename_of(frame->file));
	if (frame->line > 0) {
		text_addc(out, ':');
		text_addi(out, frame->line);
	}
}

/* leaf+0x12 (pair) pair.c:7 */
static void native_text(struct text *out, const struct frame *frame, const struct frame_style *style)
{
	add_name(out, frame, style);
	text_adds(out, style->palette->dim);
	if (!frame->inlined)
		add_hex(out, "+0x", frame->offset);
	if (frame->module) {
		text_adds(out, " (");
		add_module(out, frame, style);
		text_addc(out, ')');
	}
	if (frame->file) {
		text_addc(out, ' ');
		add_source(out, frame, style);
	}
	text_adds(out, style->palette->reset);
}

/* sun.nio.fs.LinuxWatchService.<init>(LinuxWatchService.java:70) */
static void java_text(struct text *out, const struct frame *frame, const struct frame_style *style)
{
	add_name(out, frame, style);
	text_adds(out, style->palette->dim);
	text_addc(out, '(');
	if (frame->line == -2 || frame->tier == TIER_NATIVE)
		text_adds(out, "Native Method");
	else if (frame->file)
		add_source(out, frame, style);
	else
		text_adds(out, "Unknown Source");
	text_addc(out, ')');
	text_adds(out, style->palette->reset);
}

/* tick (timers.js:11) */
static void script_text(struct text *out, const struct frame *frame, const struct frame_style *style)
{
	add_name(out, frame, style);
	if (!frame->file)
		return;
	text_adds(out, style->palette->dim);
	text_adds(out, " (");
	add_clean(out, frame->file);
	if (frame->line > 0) {
		text_addc(out, ':');
		text_addi(out, frame->line);
	}
	text_addc(out, ')');
	text_adds(out, style->palette->reset);
}

static void unnamed_text(struct text *out, const struct frame *frame, const struct frame_style *style)
{
	if (frame->module) {
		add_module(out, frame, style);
		add_hex(out, "+0x", frame->offset);
	} else {
		add_hex(out, "0x", frame->ip);
		text_adds(out, frame->kind == FRAME_KERNEL ? " [kernel]" : " [unknown]");
	}
}

static void add_tag(struct text *out, const char *tag, const struct frame_style *style)
{
	if (!tag)
		return;
	text_adds(out, style->palette->dim);
	text_adds(out, " [");
	text_adds(out, tag);
	text_addc(out, ']');
	text_adds(out, style->palette->reset);
}

/* That Java code is inlined, or which compiler made it, changes nothing for who reads where something was created. */
static void add_tags(struct text *out, const struct frame *frame, const struct frame_style *style)
{
	if (frame->kind == FRAME_STUB)
		add_tag(out, "stub", style);
	if (frame->inlined && (frame->kind == FRAME_NATIVE || style->addresses))
		add_tag(out, "inlined", style);
	if (style->addresses && frame->tier != TIER_NATIVE)
		add_tag(out, frame_tier_name(frame->tier), style);
	add_tag(out, frame_how_name(frame->how), style);
}

static void named_text(struct text *out, const struct frame *frame, const struct frame_style *style)
{
	switch (frame->kind) {
	case FRAME_JAVA:
		java_text(out, frame, style);
		break;
	case FRAME_JS:
	case FRAME_PYTHON:
	case FRAME_LUA:
		script_text(out, frame, style);
		break;
	case FRAME_STUB:
		add_name(out, frame, style);
		break;
	case FRAME_MARKER:
		text_adds(out, "--- ");
		add_clean(out, frame->name);
		text_adds(out, " ---");
		break;
	default:
		native_text(out, frame, style);
	}
}

void frame_text(struct text *out, const struct frame *frame, const struct frame_style *style)
{
	if (frame->name)
		named_text(out, frame, style);
	else
		unnamed_text(out, frame, style);
	add_tags(out, frame, style);
}

void stack_text(struct text *out, const struct stack *stack, const struct frame_style *style)
{
	for (size_t i = 0; i < stack->nframes; i++) {
		text_adds(out, "    ");
		if (style->addresses)
			text_printf(out, "0x%016llx ", (unsigned long long)stack->frames[i].ip);
		frame_text(out, &stack->frames[i], style);
		text_addc(out, '\n');
	}
	if (stack->end == STACK_ROOT)
		return;
	text_adds(out, "    ");
	text_adds(out, style->palette->warn);
	text_adds(out, "[stack ends: ");
	text_adds(out, stack_end_name(stack->end));
	text_addc(out, ']');
	text_adds(out, style->palette->reset);
	text_addc(out, '\n');
}
