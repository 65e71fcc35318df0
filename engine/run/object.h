/* The generated object on its way into the kernel: opened, given its constants, loaded. */
#ifndef RILLE_RUN_OBJECT_H
#define RILLE_RUN_OBJECT_H

#include "engine/run/kernel.h"

#include <stdint.h>

struct bpf_object;

/* Creates the maps and loads the programs; attaches nothing. The caller closes *ret with object_close(). */
int object_load(struct bpf_object **ret, const void *data, size_t len, const struct kernel_options *options,
        uint64_t ring_bytes, struct err *err);
void object_close(struct bpf_object *object);
/* A map's descriptor by name, borrowed; -ENOENT. */
int object_map(struct bpf_object *object, const char *name);

#endif
