/* How a loaded program is hooked to what it traces: one table a mechanism. */
#ifndef RILLE_RUN_ATTACH_H
#define RILLE_RUN_ATTACH_H

#include "engine/base/err.h"
#include "engine/probe/schema.h"

#include <stddef.h>

struct mechanism {
	const char *name;    /* as -v shows it: "raw_tracepoint" */
	const char *section; /* prefix of the program's section: "raw_tp/" */
	/* Attaches program `prog_fd`. `target` is what follows the prefix; `probe` the schema it serves alone, NULL if
	 * it serves many. A descriptor whose close() detaches, or a negative errno. */
	int (*attach)(int prog_fd, const char *target, const struct probe_schema *probe, struct err *err);
};

extern const struct mechanism mechanism_raw_tracepoint, mechanism_tracepoint;

#endif
