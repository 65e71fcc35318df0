/* Frames by name alone, as flame graphs take them. */
#ifndef RILLE_OUT_FOLDED_TEXT_H
#define RILLE_OUT_FOLDED_TEXT_H

#include "engine/base/text.h"
#include "engine/out/event.h"

/* `name`, or `[libc.so.6+0x27345]` where there is none; harmless to a terminal, but may hold a semicolon. */
void frame_name_text(struct text *out, const struct frame *frame);

/* "main;serve;socket": user frames before the kernel's, outermost first, with the tags of flamegraph.pl; no semicolon
 * or newline inside a name. A stack that does not reach its root begins with "[incomplete: no-cfi]". */
void folded_text(struct text *out, struct event *event);

#endif
