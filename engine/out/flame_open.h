/* Which events made what is open still. */
#ifndef RILLE_OUT_FLAME_OPEN_H
#define RILLE_OUT_FLAME_OPEN_H

#include "engine/base/err.h"
#include "engine/out/event.h"

#include <stdbool.h>

struct flame_open;

/* *ret is NULL if no probe says what happens to descriptors (a field `op`, see open_fields.c). -ENOMEM. */
int flame_open_new(struct flame_open **ret, const struct probe_schema *probes, size_t nprobes);
void flame_open_free(struct flame_open *open);
/* The tag comes back with each descriptor that the event made. */
void flame_open_event(struct flame_open *open, struct event *event, uint64_t tag);
/* Calls fn for each descriptor that is open now, or was when its process ended, and that an event made. */
int flame_open_each(const struct flame_open *open, void (*fn)(void *user, uint64_t tag), void *user);

#endif
