/* Names that runtimes give to generated code in perf maps and jitdump files. */
#ifndef RILLE_STACK_GENERATED_H
#define RILLE_STACK_GENERATED_H

#include "engine/stack/frame.h"
#include "engine/stack/intern.h"

/* Sets kind and name, and the file where the name tells it. `name` is interned. */
void generated_name(struct frame *frame, struct intern *names, const char *name);

#endif
