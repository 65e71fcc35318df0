/* The kernel's list of tracepoints, whether or not somebody mounted it. */
#ifndef RILLE_PROBE_TRACEFS_H
#define RILLE_PROBE_TRACEFS_H

#include "engine/base/err.h"
#include "engine/base/text.h"

/* A descriptor of tracefs' root that the caller closes. -EACCES (tag no-permission) without the privileges, -ENODEV
 * (tag no-tracefs) if this kernel has none or cannot be asked without a mount. */
int tracefs_open(struct err *err);

/* Appends a whole file below the root, 16 MiB at most. A negative errno. */
int tracefs_read(int tracefs, const char *path, struct text *ret);

#endif
