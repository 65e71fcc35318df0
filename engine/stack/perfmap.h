/* Names of generated code that a runtime writes for perf: /tmp/perf-PID.map, a line a function, "START SIZE NAME" in
 * hexadecimal. The file only grows; code that takes the place of older code is written later, so the last line that
 * covers an address has its name. */
#ifndef RILLE_STACK_PERFMAP_H
#define RILLE_STACK_PERFMAP_H

#include "engine/stack/intern.h"

#include <stdbool.h>
#include <stdint.h>

struct perfmap;

struct perfmap *perfmap_new(struct intern *names); /* NULL: out of memory */
void perfmap_free(struct perfmap *map);
/* Reads what was added since the last update; a last line without its end waits for the next. A file that shrank is
 * read anew. The number of entries added, or a negative errno: -EFBIG for a file beyond 256 MiB or 4 Mi lines (what was
 * read stays). */
int perfmap_update(struct perfmap *map, int fd);
/* The name of the code at an address (interned, hostile), and where that code begins. *ret_reused: lines read at
 * different times cover it, so the name may be that of what stands there now. NULL = none. */
const char *perfmap_find(const struct perfmap *map, uint64_t address, uint64_t *ret_start, bool *ret_reused);

#endif
