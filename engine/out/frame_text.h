/* Stack frames as lines of text. */
#ifndef RILLE_OUT_FRAME_TEXT_H
#define RILLE_OUT_FRAME_TEXT_H

#include "engine/base/text.h"
#include "engine/out/palette.h"
#include "engine/stack/frame.h"

#include <stdbool.h>

struct frame_style {
	const struct palette *palette;
	bool addresses; /* and whole paths of modules, and the tier of compiled code */
	bool signatures;
};

/* One indented line a frame, innermost first, and a last one that says why the stack ends if that is not its root. */
void stack_text(struct text *out, const struct stack *stack, const struct frame_style *style);
/* One frame without indentation and newline. */
void frame_text(struct text *out, const struct frame *frame, const struct frame_style *style);

#endif
