/* Reading what is counted in the kernel. */
#ifndef RILLE_RUN_ROWS_H
#define RILLE_RUN_ROWS_H

#include "engine/run/kernel.h"

/* One entry, its CPUs added up (of `min` and `max`: the least and greatest of them). `key` has schema->key_size bytes and is
 * valid during the call. Returns 0, or a negative errno to stop with. */
typedef int (*row_fn)(void *user, const uint8_t *key, const struct rille_row *row);

/* Calls fn for each entry of the map as it is now. What is counted meanwhile may be in it or not; what was counted before is.
 * 0, a negative errno of fn or of the kernel. Works until kernel_free(), also after kernel_detach(). */
int rows_read(const struct kernel *kernel, const struct aggregate_schema *schema, row_fn fn, void *user);
/* What was not counted of it so far. */
int rows_uncounted(const struct kernel *kernel, const struct aggregate_schema *schema, struct rille_uncounted *ret);

#endif
