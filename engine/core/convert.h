/* From a trace that was written as JSON lines to any other output. */
#ifndef RILLE_CORE_CONVERT_H
#define RILLE_CORE_CONVERT_H

#include "engine/core/session.h"

struct conversion {
	int fd;               /* read to its end; not closed */
	const char *name;     /* of the trace, for messages */
	const uint32_t *pids; /* only events of these, and … */
	size_t npids;         /* … 0 = of all */
	const char *comm;     /* only events of threads of this name; NULL = of all */
};

/* Reads the trace into the session's sinks, which are opened for it: the session must not have been attached. Lines that
 * cannot be read are told to the log, each with its number, up to a bound. 0 if everything was read; -EBADMSG (tag
 * incomplete-trace) if something was not, or the trace's end is missing: the outputs then have the rest. */
int session_convert(struct session *session, const struct conversion *what, struct err *err);

#endif
