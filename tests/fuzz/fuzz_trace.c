/* A trace of any bytes, a line at a time, into every kind of sink: what is read can be shown. */
#include "engine/out/trace_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const formats[] = {
        "text", "jsonl", "csv", "perf-script", "top", "folded", "flamegraph", "speedscope", "pprof"};
enum { N = sizeof(formats) / sizeof(*formats) };

struct outputs {
	struct sink *sinks[N];
	int fd;
};

static int take_meta(void *user, const struct sink_meta *meta, struct err *err)
{
	struct outputs *outputs = user;
	for (size_t i = 0; i < N; i++) {
		struct sink_options options = {
		        .format = formats[i], .fd = outputs->fd, .addresses = true, .signatures = true, .color = true};
		if (sink_open(&outputs->sinks[i], &options, meta, err) < 0)
			abort();
	}
	return 0;
}

static int take_event(void *user, struct event *event, struct err *err)
{
	for (size_t i = 0; i < N; i++)
		sink_event(((struct outputs *)user)->sinks[i], event);
	return 0;
}

static int take_row(void *user, const struct cell *cells, size_t n, struct err *err)
{
	for (size_t i = 0; i < N; i++)
		sink_row(((struct outputs *)user)->sinks[i], cells, n);
	return 0;
}

static int take_print(void *user, const char *text, size_t len, struct err *err)
{
	for (size_t i = 0; i < N; i++)
		sink_print(((struct outputs *)user)->sinks[i], text, len);
	return 0;
}

static int take_aggregate(void *user, const struct aggregate *aggregate, struct err *err)
{
	for (size_t i = 0; i < N; i++)
		sink_aggregate(((struct outputs *)user)->sinks[i], aggregate);
	return 0;
}

static int take_lost(void *user, const struct probe_totals *totals, uint64_t lost, struct err *err)
{
	for (size_t i = 0; i < N; i++)
		sink_lost(((struct outputs *)user)->sinks[i], totals, lost);
	return 0;
}

static int take_end(void *user, const struct sink_end *end, struct err *err)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outputs outputs = {.fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
	const struct trace_handler handler = {
	        &outputs, take_meta, take_event, take_row, take_print, take_aggregate, take_lost, take_end};
	struct trace_reader *reader;
	if (outputs.fd < 0 || trace_reader_new(&reader) < 0)
		abort();
	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) : size;
		char *line = malloc(len ? len : 1); /* of exactly its size, for the sanitizer */
		struct err err = {0};
		memcpy(line, data, len);
		int r = trace_read_line(reader, line, len, &handler, &err);
		free(line);
		if (r < 0 && !err.code)
			abort(); /* an error that says nothing */
		if (r < 0 && r != -EBADMSG)
			break; /* no trace */
		data += len + (end != NULL);
		size -= len + (end != NULL);
	}
	const struct sink_end end = {.reason = "done", .seconds = 1};
	for (size_t i = 0; i < N; i++) {
		if (outputs.sinks[i])
			sink_finish(outputs.sinks[i], &end);
		sink_free(outputs.sinks[i]);
	}
	trace_reader_free(reader);
	close(outputs.fd);
	return 0;
}
