/* The reading side of a BPF ring buffer, seen through a small window. */
#ifndef RILLE_RUN_RING_H
#define RILLE_RUN_RING_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring;

/* `fd` is the map's descriptor, borrowed; `bytes` its max_entries. `largest` is the longest record that must be
 * readable in one piece. */
int ring_open(struct ring **ret, int fd, uint64_t bytes, uint64_t largest, struct err *err);
void ring_close(struct ring *ring);

/* The next committed record, or NULL: nothing is there, or its writer is still busy with it. Discarded ones are
 * skipped. Valid until the next ring_ call. -errno in *ret_error (0 otherwise) if the window could not be moved. */
const void *ring_next(struct ring *ring, size_t *ret_len, int *ret_error);
/* Gives all room before the last record that ring_next() returned back to the writers, and that record's too. */
void ring_release(struct ring *ring);
/* Bytes that were written and not yet released; includes records still being written. */
uint64_t ring_pending(const struct ring *ring);

#endif
