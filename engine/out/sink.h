/* Where events go: one table of operations a format. */
#ifndef RILLE_OUT_SINK_H
#define RILLE_OUT_SINK_H

#include "engine/base/err.h"
#include "engine/out/event.h"
#include "engine/stack/origin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct aggregate;
struct crac_list;

/* Of the formats `open`: what to show of what is open. */
enum { SINK_MOST_ASKED = 64 };
struct sink_open {
	bool by_site;         /* grouped by where it was made */
	size_t nfds, ninodes; /* only these; none: all */
	int fds[SINK_MOST_ASKED];
	uint64_t inodes[SINK_MOST_ASKED];
	/* Answer to the descriptors of a CheckpointException instead. The list outlives the sink; with a path, the file is
	 * read again for each report. NULL = no. */
	const struct crac_list *crac;
	const char *crac_path;
	uint32_t kinds; /* bits by enum descriptor_kind; 0: all */
};

struct sink_options {
	const char *format; /* one of sink_formats() */
	/* NULL or "-": the descriptor below. %p = pid of the tracer, %t = start time (UTC) 20261123T203337 */
	const char *path;
	int fd;                     /* used if there is no path; not closed */
	const char *const *columns; /* --fields; NULL = all */
	size_t ncolumns;
	bool color, addresses;
	enum { TIMESTAMP_TIME, TIMESTAMP_ISO, TIMESTAMP_EPOCH, TIMESTAMP_DELTA, TIMESTAMP_NONE } timestamp;
	bool signatures;
	size_t top;   /* places shown by the top format, 0 = all */
	bool origins; /* say what stacks are about, if sink_meta.origins is there */
	struct sink_open open;
};

/* A value of a script's own row (out:row). */
struct cell {
	const char *name;
	enum { CELL_NULL, CELL_BOOL, CELL_INT, CELL_UINT, CELL_NUMBER, CELL_TEXT } kind;
	union {
		bool b;
		int64_t i;
		uint64_t u;
		double n;
		struct {
			const char *data;
			size_t len;
		} text;
	};
};

/* What a run is about: the `meta` record, and text's header. */
struct sink_meta {
	const char *version, *script, *host, *kernel;
	const char *const *argv; /* of the command, NULL if embedded */
	size_t argc;
	const struct probe_schema *probes;
	size_t nprobes;
	const struct aggregate_schema *aggregates; /* what is counted */
	size_t naggregates;
	int64_t started; /* ns since the epoch */
	const char *mechanisms;
	/* Whose events come: the processes named by the user, with their children if `follow`; none named: those of all.
	 * `traced` false: nobody's, there is only what can be seen from outside. */
	const pid_t *pids;
	size_t npids;
	bool follow, traced;
	bool filtered;                 /* only of threads of a name or a user */
	const struct origins *origins; /* rille.origins; NULL = none. Outlives the sink */
};

struct probe_totals {
	const struct probe_schema *probe;
	struct rille_stats stats;
	uint64_t callback_errors;
	uint64_t unresolved;       /* stacks that did not reach their root, … */
	uint64_t ends[STACK_ENDS]; /* … and why */
};

struct sink_end {
	const struct probe_totals *probes;
	size_t nprobes;
	uint64_t mappings_lost; /* perf records lost */
	const char *reason;     /* "interrupted", "limit", "duration", "target exited", "error", "done" */
	double seconds;
	bool to_stderr_too;
};

struct sink;

int sink_open(struct sink **ret, const struct sink_options *options, const struct sink_meta *meta, struct err *err);
/* One that writes nowhere, for sink_line(). */
int sink_open_memory(
        struct sink **ret, const struct sink_options *options, const struct sink_meta *meta, struct err *err);
/* What the format writes for an event, without the newline at its end; valid until the next call. -ENOMEM. */
int sink_line(struct sink *sink, struct event *event, const char **ret, size_t *ret_len);
/* 0, -EPIPE (quiet), or another negative errno once writing failed (full disk): the sink says so at sink_end too. */
int sink_event(struct sink *sink, struct event *event);
int sink_row(struct sink *sink, const struct cell *cells, size_t n);
int sink_print(struct sink *sink, const char *text, size_t len);
/* What was counted, sorted. Formats that have no place for it say nothing: sink_shows_aggregates(). */
int sink_aggregate(struct sink *sink, const struct aggregate *aggregate);
bool sink_shows_aggregates(const struct sink *sink);
/* Losses since the last call, told while the trace runs. */
int sink_lost(struct sink *sink, const struct probe_totals *probe, uint64_t lost);
/* Writes what is buffered: called when the ring is empty, so that lines appear at once when events are rare. */
int sink_flush(struct sink *sink);
/* For formats that tell a state. The probes are attached: whoever has to look at something else in time does it now. */
int sink_start(struct sink *sink);
/* A report is about to be asked for: what is to be seen from outside is looked at now. Then come the events up to this
 * moment, then sink_report() or sink_finish(). */
int sink_look(struct sink *sink);
/* The state as of now, while the trace goes on. */
int sink_report(struct sink *sink, const struct sink_end *end);
int sink_finish(struct sink *sink, const struct sink_end *end);
/* For messages: the path as opened, "standard output", or "descriptor 5" (written into `room`). */
const char *sink_name(const struct sink *sink, char room[32]);
void sink_free(struct sink *sink);
/* "text", "jsonl", …, NULL-terminated. */
const char *const *sink_formats(void);

#endif
