/* A sink's way out: a buffer of whole records, written in big pieces. */
#ifndef RILLE_OUT_WRITER_H
#define RILLE_OUT_WRITER_H

#include "engine/base/err.h"
#include "engine/base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct writer {
	struct text buffer; /* append here; then call writer_commit() */
	char *path;         /* as opened, %p and %t replaced; NULL: the descriptor was given */
	int fd;
	bool own_fd;   /* opened here, closed by writer_close() */
	bool can_pipe; /* a pipe or socket: writing may raise SIGPIPE */
	int error;     /* negative errno of the first failure; nothing is written after it */
};

/* Opens `path`, or takes `fd` (not closed later) if the path is NULL or "-". In the path %p is this process's id, %t is
 * `started` (ns since the epoch) as 20261123T203337, %% is a percent sign. An existing file is emptied; a new one gets
 * the mode 0644 less the umask. Tag cannot-open. */
int writer_open(struct writer *writer, const char *path, int fd, int64_t started, struct err *err);

/* Says that the buffer ends with a whole record; writes it out if it has become big. 0 or the writer's error. */
int writer_commit(struct writer *writer);
/* Writes everything out. 0 or the writer's error: -EPIPE is the reader's going away and not worth a word. */
int writer_flush(struct writer *writer);
/* Flushes, and closes what was opened here: a failure to close is an error too (NFS, quotas). Idempotent. */
int writer_close(struct writer *writer);
/* Frees everything, losing what was not flushed. NULL fields are fine. */
void writer_fini(struct writer *writer);
/* For messages: the path, or "standard output", "descriptor 5". `room` is used for the last. */
const char *writer_name(const struct writer *writer, char room[32]);

#endif
