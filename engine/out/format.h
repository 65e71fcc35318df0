/* Inside the sinks: what one format has to bring along. */
#ifndef RILLE_OUT_FORMAT_H
#define RILLE_OUT_FORMAT_H

#include "engine/out/columns.h"
#include "engine/out/sink.h"
#include "engine/out/timestamp.h"
#include "engine/out/writer.h"

/* The operations append to sink->out.buffer; sink.c writes it out (one that has very much to say calls writer_commit()
 * now and then). An operation may be NULL: the format has nothing to say. */
struct sink_format {
	const char *name;
	/* A column's label, ready to be copied. */
	void (*label)(struct text *out, const char *name, void *sink);
	void (*open)(struct sink *sink, const struct sink_meta *meta);
	void (*event)(struct sink *sink, struct event *event);
	void (*row)(struct sink *sink, const struct cell *cells, size_t n);
	void (*print)(struct sink *sink, const char *text, size_t len);
	void (*aggregate)(struct sink *sink, const struct aggregate *aggregate);
	void (*lost)(struct sink *sink, const struct probe_totals *probe, uint64_t lost);
	void (*start)(struct sink *sink);
	void (*look)(struct sink *sink);
	void (*report)(struct sink *sink, const struct sink_end *end);
	void (*end)(struct sink *sink, const struct sink_end *end);
	void (*close)(struct sink *sink); /* frees sink->state */
};

struct sink {
	const struct sink_format *format;
	struct sink_options options; /* its strings are not kept: only the switches mean anything after sink_open() */
	struct writer out;
	const struct origins *origins; /* NULL: not wanted, or none */
	struct column_set columns;
	struct timestamp stamp;
	int64_t previous;   /* of the last event, for TIMESTAMP_DELTA */
	void *state;        /* the format's own */
	size_t probe_width; /* of the longest probe name, up to a bound */
};

extern const struct sink_format text_format, jsonl_format, csv_format, perf_script_format, top_format, folded_format,
        flamegraph_format, speedscope_format, pprof_format, open_format, open_jsonl_format;

/* A stack as members of a JSON object: ,"NAME":[…],"NAME_end":"…". */
void jsonl_add_stack(struct sink *sink, const char *name, const struct stack *stack);

#endif
