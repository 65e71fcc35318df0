/* Sinks: what is common to all formats, which is where the bytes go.
 *
 * A format (format.h) turns records into bytes in the buffer; this file opens the way out, decides when the buffer is
 * written, and reports how that went. A format cannot fail: out of memory is sticky in the buffer, and writer.c turns
 * it into an error. */
#include "engine/out/sink.h"
#include "engine/base/nearest.h"
#include "engine/out/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct sink_format *const formats[] = {&text_format, &jsonl_format, &csv_format, &perf_script_format,
        &top_format, &folded_format, &flamegraph_format, &speedscope_format, &pprof_format, &open_format,
        &open_jsonl_format};
static const char *const format_names[] = {"text", "jsonl", "csv", "perf-script", "top", "folded", "flamegraph",
        "speedscope", "pprof", "open", "open-jsonl", NULL};
_Static_assert(sizeof(format_names) / sizeof(*format_names) == sizeof(formats) / sizeof(*formats) + 1, "a name each");

const char *const *sink_formats(void)
{
	return format_names;
}

static int find_format(const struct sink_format **ret, const char *name, struct err *err)
{
	struct nearest nearest;
	nearest_init(&nearest, name);
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		*ret = formats[i];
		if (strcmp((*ret)->name, name) == 0)
			return 0;
		nearest_offer(&nearest, (*ret)->name);
	}
	int r = err_set(err, -EINVAL, ERR_SCRIPT, "unknown-output-format", "no output format '%s'", name);
	struct text names = {0};
	for (size_t i = 0; format_names[i]; i++)
		text_printf(&names, "%s%s", i ? ", " : "", format_names[i]);
	if (nearest.best)
		err_hint(err, "did you mean '%s'?", nearest.best);
	else
		err_hint(err, "formats: %s", text_str(&names));
	text_fini(&names);
	return r;
}

static size_t longest_probe(const struct sink_meta *meta)
{
	size_t width = 0;
	for (size_t i = 0; i < meta->nprobes; i++) {
		size_t len = strlen(meta->probes[i].name);
		if (len > width && len <= 32)
			width = len;
	}
	return width;
}

/* Everything but the way out. */
static int prepare(struct sink **ret, const struct sink_options *options, const struct sink_meta *meta, struct err *err)
{
	const struct sink_format *format;
	int r = find_format(&format, options->format ? options->format : "text", err);
	if (r)
		return r;
	struct sink *sink = calloc(1, sizeof(*sink));
	if (!sink)
		return err_nomem(err);
	sink->format = format;
	sink->options = *options;
	/* Colours are for who looks at it now: a file of its own is read by other programs, too. */
	sink->options.color = options->color && (!options->path || strcmp(options->path, "-") == 0);
	sink->origins = options->origins ? meta->origins : NULL;
	sink->previous = meta->started;
	sink->probe_width = longest_probe(meta);
	sink->out.fd = -1;
	r = columns_init(&sink->columns, options, meta, format->label, sink, err);
	if (r)
		sink_free(sink);
	else
		*ret = sink;
	return r;
}

int sink_open(struct sink **ret, const struct sink_options *options, const struct sink_meta *meta, struct err *err)
{
	struct sink *sink = NULL;
	int r = prepare(&sink, options, meta, err);
	if (r)
		return r;
	r = writer_open(&sink->out, options->path, options->fd, meta->started, err);
	if (r) {
		sink_free(sink);
		return r;
	}
	if (sink->format->open)
		sink->format->open(sink, meta);
	*ret = sink;
	return 0;
}

int sink_open_memory(
        struct sink **ret, const struct sink_options *options, const struct sink_meta *meta, struct err *err)
{
	return prepare(ret, options, meta, err);
}

int sink_line(struct sink *sink, struct event *event, const char **ret, size_t *ret_len)
{
	struct text *line = &sink->out.buffer;
	text_reset(line);
	sink->format->event(sink, event);
	if (text_failed(line))
		return -ENOMEM;
	if (line->len && line->data[line->len - 1] == '\n')
		line->data[--line->len] = '\0';
	*ret = text_str(line);
	*ret_len = line->len;
	return 0;
}

int sink_event(struct sink *sink, struct event *event)
{
	if (sink->out.error)
		return sink->out.error;
	sink->format->event(sink, event);
	return writer_commit(&sink->out);
}

int sink_row(struct sink *sink, const struct cell *cells, size_t n)
{
	if (sink->out.error)
		return sink->out.error;
	if (sink->format->row)
		sink->format->row(sink, cells, n);
	return writer_commit(&sink->out);
}

int sink_print(struct sink *sink, const char *text, size_t len)
{
	if (sink->out.error)
		return sink->out.error;
	if (sink->format->print)
		sink->format->print(sink, text, len);
	return writer_commit(&sink->out);
}

int sink_aggregate(struct sink *sink, const struct aggregate *aggregate)
{
	if (sink->out.error)
		return sink->out.error;
	if (sink->format->aggregate)
		sink->format->aggregate(sink, aggregate);
	return writer_commit(&sink->out);
}

bool sink_shows_aggregates(const struct sink *sink)
{
	return sink->format->aggregate != NULL;
}

int sink_lost(struct sink *sink, const struct probe_totals *probe, uint64_t lost)
{
	if (sink->out.error)
		return sink->out.error;
	if (sink->format->lost)
		sink->format->lost(sink, probe, lost);
	return writer_commit(&sink->out);
}

int sink_start(struct sink *sink)
{
	if (!sink->out.error && sink->format->start)
		sink->format->start(sink);
	return sink->out.error;
}

int sink_look(struct sink *sink)
{
	if (!sink->out.error && sink->format->look)
		sink->format->look(sink);
	return sink->out.error;
}

int sink_report(struct sink *sink, const struct sink_end *end)
{
	if (!sink->out.error && sink->format->report)
		sink->format->report(sink, end);
	return writer_flush(&sink->out);
}

int sink_flush(struct sink *sink)
{
	return writer_flush(&sink->out);
}

int sink_finish(struct sink *sink, const struct sink_end *end)
{
	if (!sink->out.error && sink->format->end)
		sink->format->end(sink, end);
	return writer_close(&sink->out);
}

const char *sink_name(const struct sink *sink, char room[32])
{
	return writer_name(&sink->out, room);
}

void sink_free(struct sink *sink)
{
	if (!sink)
		return;
	if (sink->format->close)
		sink->format->close(sink);
	columns_fini(&sink->columns);
	writer_fini(&sink->out);
	free(sink);
}
