/* A report from a trace: lines of a file take the place of records from the kernel; the sinks are the same.
 *
 * What cannot be read costs what it is, not the report: it is told with its line's number and counted, and the rest goes
 * on. The totals at the end are those of the trace. */
#include "engine/core/convert.h"
#include "engine/base/linereader.h"
#include "engine/core/state.h"
#include "engine/out/trace_read.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_LINE = 16 * 1024 * 1024, MAX_TOLD = 20 };

struct convert {
	struct session *session;
	const struct conversion *what;
	struct trace_reader *reader;
	uint64_t line, events, problems;
	int64_t started;
	bool ended, enough, closed;
	uint64_t first_line; /* with a problem */
};

/* --- the outputs --- */

static int failed_output(struct convert *convert, const struct output *output, int code, struct err *err)
{
	if (code == -EPIPE) { /* a reader that went away */
		convert->closed = true;
		return 0;
	}
	return err_set(err, code, ERR_RUNTIME, "cannot-write", "cannot write to %s: %s",
	        output->options.path ? output->options.path : "the output", strerror(-code));
}

/* Formats that look at the machine have nothing to look at, and an output must not empty what is still being read. */
static int check_output(const struct conversion *what, const struct sink_options *options, struct err *err)
{
	struct stat trace, output;
	if (options->format && strncmp(options->format, "open", strlen("open")) == 0) {
		err_set(err, -EINVAL, ERR_SCRIPT, "not-from-a-trace",
		        "the format %s shows what is open now: it cannot be made from a trace", options->format);
		err_hint(err, "flamegraph shows what was open at the trace's end");
		return -EINVAL;
	}
	if (!options->path || strcmp(options->path, "-") == 0 || stat(options->path, &output) < 0 ||
	        fstat(what->fd, &trace) < 0 || !S_ISREG(trace.st_mode))
		return 0;
	if (trace.st_dev != output.st_dev || trace.st_ino != output.st_ino)
		return 0;
	return err_set(err, -EINVAL, ERR_SCRIPT, "same-file", "%s is the trace that is to be read", options->path);
}

static int take_meta(void *user, const struct sink_meta *meta, struct err *err)
{
	struct convert *convert = user;
	struct session *session = convert->session;
	struct sink_meta with_origins = *meta;
	int r = 0;
	convert->started = meta->started;
	for (size_t i = 0; i < session->noutputs && !r; i++)
		r = check_output(convert->what, &session->outputs[i].options, err);
	if (!r)
		r = plan_find_origins(session, &with_origins, err);
	for (size_t i = 0; i < session->noutputs && !r; i++)
		r = sink_open(&session->outputs[i].sink, &session->outputs[i].options, &with_origins, err);
	return r;
}

static bool is_wanted(const struct convert *convert, const struct rille_record *record)
{
	const struct conversion *what = convert->what;
	bool found = !what->npids;
	for (size_t i = 0; i < what->npids && !found; i++)
		found = what->pids[i] == record->pid;
	return found && (!what->comm || strncmp(what->comm, record->comm, sizeof(record->comm)) == 0);
}

static int take_event(void *user, struct event *event, struct err *err)
{
	struct convert *convert = user;
	struct session *session = convert->session;
	int r = 0;
	if (!is_wanted(convert, event->record) || convert->enough)
		return 0;
	for (size_t i = 0; i < session->noutputs && !r; i++) {
		int failed = sink_event(session->outputs[i].sink, event);
		if (failed < 0)
			r = failed_output(convert, &session->outputs[i], failed, err);
	}
	convert->enough = ++convert->events == session->limit;
	return r;
}

static int take_row(void *user, const struct cell *cells, size_t n, struct err *err)
{
	struct convert *convert = user;
	struct session *session = convert->session;
	int r = 0;
	for (size_t i = 0; i < session->noutputs && !r; i++) {
		int failed = sink_row(session->outputs[i].sink, cells, n);
		if (failed < 0)
			r = failed_output(convert, &session->outputs[i], failed, err);
	}
	return r;
}

static int take_print(void *user, const char *text, size_t len, struct err *err)
{
	struct convert *convert = user;
	struct session *session = convert->session;
	int r = 0;
	for (size_t i = 0; i < session->noutputs && !r; i++) {
		int failed = sink_print(session->outputs[i].sink, text, len);
		if (failed < 0)
			r = failed_output(convert, &session->outputs[i], failed, err);
	}
	return r;
}

static int take_aggregate(void *user, const struct aggregate *aggregate, struct err *err)
{
	struct convert *convert = user;
	struct session *session = convert->session;
	int r = 0;
	for (size_t i = 0; i < session->noutputs && !r; i++) {
		int failed = sink_aggregate(session->outputs[i].sink, aggregate);
		if (failed < 0)
			r = failed_output(convert, &session->outputs[i], failed, err);
	}
	return r;
}

static int take_lost(void *user, const struct probe_totals *probe, uint64_t lost, struct err *err)
{
	struct convert *convert = user;
	struct session *session = convert->session;
	int r = 0;
	for (size_t i = 0; i < session->noutputs && !r; i++) {
		int failed = sink_lost(session->outputs[i].sink, probe, lost);
		if (failed < 0)
			r = failed_output(convert, &session->outputs[i], failed, err);
	}
	return r;
}

static int take_end(void *user, const struct sink_end *end, struct err *err)
{
	struct convert *convert = user;
	struct session *session = convert->session;
	int r = 0;
	convert->ended = true;
	for (size_t i = 0; i < session->noutputs; i++) {
		struct output *output = &session->outputs[i];
		int failed = sink_finish(output->sink, end);
		if (failed < 0 && !r)
			r = failed_output(convert, output, failed, err);
		sink_free(output->sink);
		output->sink = NULL;
	}
	return r;
}

/* --- the lines --- */

static void problem(struct convert *convert, const struct err *err)
{
	if (convert->problems++ == 0)
		convert->first_line = convert->line;
	if (convert->problems <= MAX_TOLD)
		log_warn(&convert->session->log, "%s:%llu: %s", convert->what->name, (unsigned long long)convert->line,
		        err->message);
	else if (convert->problems == MAX_TOLD + 1)
		log_warn(&convert->session->log, "further lines that cannot be read are only counted");
}

static int read_line(struct convert *convert, const char *line, size_t len, struct err *err)
{
	static const struct trace_handler takers = {
	        NULL, take_meta, take_event, take_row, take_print, take_aggregate, take_lost, take_end};
	struct trace_handler handler = takers;
	struct err line_err = {0};
	handler.user = convert;
	if (convert->ended)
		return 0;
	int r = trace_read_line(convert->reader, line, len, &handler, &line_err);
	if (r == -EBADMSG) {
		problem(convert, &line_err);
		return 0;
	}
	if (r == -EPROTO)
		err_context(&line_err, "%s is not a trace", convert->what->name);
	if (r < 0)
		*err = line_err;
	return r;
}

static int read_lines(struct convert *convert, struct linereader *lines, struct err *err)
{
	const char *line;
	size_t len;
	int r = 0, got;
	while (r == 0 && !convert->closed && (got = linereader_next(lines, &line, &len)) != 0) {
		convert->line++;
		if (got > 0) {
			r = len ? read_line(convert, line, len, err) : 0;
		} else if (got == -EMSGSIZE) {
			struct err too_long = {0};
			err_set(&too_long, got, ERR_RUNTIME, "bad-record", "longer than the %d MiB that can be read",
			        MAX_LINE >> 20);
			problem(convert, &too_long);
		} else {
			r = err_set(err, got, ERR_RUNTIME, "cannot-read", "cannot read %s: %s", convert->what->name,
			        strerror(-got));
		}
	}
	return r;
}

/* A trace that was cut off, or is still being written, has no totals: the outputs end without them. */
static int end_anyway(struct convert *convert, struct err *err)
{
	int64_t last = trace_reader_last(convert->reader);
	struct sink_end end = {.reason = "cut off"};
	if (last > convert->started)
		end.seconds = (double)(last - convert->started) / 1e9;
	int r = take_end(convert, &end, err);
	struct err missing = {0};
	err_set(&missing, -EBADMSG, ERR_RUNTIME, "bad-record",
	        "the trace ends here without its totals: it was cut off");
	problem(convert, &missing);
	return r;
}

static int conclude(struct convert *convert, struct err *err)
{
	if (!convert->problems)
		return 0;
	err_set(err, -EBADMSG, ERR_RUNTIME, "incomplete-trace",
	        "%s: %llu problem%s in %llu lines, the first in line %llu; the report has the rest",
	        convert->what->name, (unsigned long long)convert->problems, convert->problems == 1 ? "" : "s",
	        (unsigned long long)convert->line, (unsigned long long)convert->first_line);
	return -EBADMSG;
}

int session_convert(struct session *session, const struct conversion *what, struct err *err)
{
	struct convert convert = {.session = session, .what = what};
	struct linereader lines = {.fd = what->fd, .most = MAX_LINE};
	if (session->state != SESSION_NEW)
		return err_set(err, -EINVAL, ERR_RUNTIME, "wrong-state", "a handle that traces cannot make a report");
	session->state = SESSION_STOPPED;
	if (trace_reader_new(&convert.reader) < 0)
		return err_nomem(err);
	int r = read_lines(&convert, &lines, err);
	if (!r && !convert.line)
		r = err_set(err, -EPROTO, ERR_RUNTIME, "not-a-trace", "%s is not a trace: it is empty", what->name);
	if (!r && !convert.ended && !convert.closed)
		r = end_anyway(&convert, err);
	for (size_t i = 0; i < session->noutputs; i++) { /* left open by a failure; what they had is lost */
		sink_free(session->outputs[i].sink);
		session->outputs[i].sink = NULL;
	}
	linereader_fini(&lines);
	trace_reader_free(convert.reader);
	return r ? r : conclude(&convert, err);
}
