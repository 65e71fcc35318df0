/* Constants of a loaded object that are only known at start: variables of its .rodata, by name. */
#ifndef RILLE_RUN_RODATA_H
#define RILLE_RUN_RODATA_H

#include "engine/base/err.h"
#include "engine/probe/gen.h"

#include <stddef.h>

struct bpf_object;

/* Before the object is loaded. -ENOENT: it has no such variable (a generator leaves out what nobody uses); -E2BIG: the
 * variable is smaller than `len`. A larger one keeps its tail. */
int rodata_set(struct bpf_object *object, const char *symbol, const void *data, size_t len);

/* Sets every parameter of the plan to the value that the user gave, or to its default. */
int rodata_set_params(
        struct bpf_object *object, const struct spec *spec, const struct gen_result *plan, struct err *err);

#endif
