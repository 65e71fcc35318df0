/* Stacks on one line.
 *
 * The tags are those of flamegraph.pl's java palette and of stackcollapse-perf.pl: `_[k]` a kernel's frame, `_[i]` one
 * that was inlined, `_[j]` code of a runtime. Interpreted code gets that last one, too: the colour then tells languages
 * apart, and a stack stays one stack when the runtime compiles a method.
 *
 * Where a stack is incomplete its outermost frame is not where the thread started. A first frame that says so keeps it
 * from being taken for a root. */
#include "engine/out/folded_text.h"

#include <string.h>

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

void frame_name_text(struct text *out, const struct frame *frame)
{
	if (frame->name) {
		text_add_clean(out, frame->name, strlen(frame->name));
		return;
	}
	text_addc(out, '[');
	if (frame->module) {
		const char *name = basename_of(frame->module);
		text_add_clean(out, name, strlen(name));
		text_adds(out, "+0x");
		text_addx(out, frame->offset);
	} else {
		text_adds(out, frame->kind == FRAME_KERNEL ? "kernel 0x" : "unknown 0x");
		text_addx(out, frame->ip);
	}
	text_addc(out, ']');
}

static const char *tag_of(const struct frame *frame)
{
	if (frame->kind == FRAME_KERNEL)
		return "_[k]";
	if (frame->inlined)
		return "_[i]";
	return frame->kind >= FRAME_JAVA && frame->kind <= FRAME_LUA ? "_[j]" : "";
}

static void add_frame(struct text *out, const struct frame *frame)
{
	size_t start = out->len;
	frame_name_text(out, frame);
	for (size_t i = start; !text_failed(out) && i < out->len; i++)
		if (out->data[i] == ';')
			out->data[i] = ':';
	text_adds(out, tag_of(frame));
}

static void add_stack(struct text *out, const struct stack *stack, const char **separator)
{
	if (stack->end != STACK_ROOT && stack->end != STACK_NO_USER) {
		text_adds(out, *separator);
		text_adds(out, "[incomplete: ");
		text_adds(out, stack_end_name(stack->end));
		text_addc(out, ']');
		*separator = ";";
	}
	for (size_t i = stack->nframes; i--;) {
		text_adds(out, *separator);
		add_frame(out, &stack->frames[i]);
		*separator = ";";
	}
}

void folded_text(struct text *out, struct event *event)
{
	const struct stack *kstack = event_kstack(event), *ustack = event_ustack(event);
	const char *separator = "";
	if (ustack)
		add_stack(out, ustack, &separator);
	if (kstack)
		add_stack(out, kstack, &separator);
}
