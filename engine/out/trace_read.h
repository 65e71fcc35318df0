/* Reading back what the format jsonl wrote: each line becomes what a sink takes. */
#ifndef RILLE_OUT_TRACE_READ_H
#define RILLE_OUT_TRACE_READ_H

#include "engine/base/err.h"
#include "engine/out/sink.h"

struct trace_reader;

/* Who gets the records. What they point to is valid during the call; meta and its schemas as long as the reader. Each
 * returns 0 or a negative errno with `err` filled. */
struct trace_handler {
	void *user;
	int (*meta)(void *user, const struct sink_meta *meta, struct err *err);
	int (*event)(void *user, struct event *event, struct err *err);
	int (*row)(void *user, const struct cell *cells, size_t n, struct err *err);
	int (*print)(void *user, const char *text, size_t len, struct err *err);
	int (*aggregate)(void *user, const struct aggregate *aggregate, struct err *err);
	int (*lost)(void *user, const struct probe_totals *probe, uint64_t lost, struct err *err);
	int (*end)(void *user, const struct sink_end *end, struct err *err);
};

int trace_reader_new(struct trace_reader **ret);
void trace_reader_free(struct trace_reader *reader);

/* One line without its newline. 0, or what the handler returned. -EBADMSG: this line cannot be read, `err` says why; the next
 * may be. -EPROTO: the first line is no `meta` record of a version that can be read, so nothing after it can be. */
int trace_read_line(struct trace_reader *reader, const char *line, size_t len, const struct trace_handler *handler,
        struct err *err);

/* The time of the last event, ns since the epoch; 0 = there was none. */
int64_t trace_reader_last(const struct trace_reader *reader);

#endif
