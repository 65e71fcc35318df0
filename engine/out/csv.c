/* Comma-separated values (RFC 4180) for spreadsheets and data frames: a header, then a line for each event.
 *
 * There is one header for the whole file, so the columns are those of all probes, each name once; an event leaves those
 * empty that its probe does not have. A field with the name of one of the event's own columns gets an underscore behind
 * it, as in jsonl. Numbers are exact, constants are names, a socket address is its text, an array is as in JSON, what is
 * missing is empty (an empty text is ""). The stack is one column, outermost frame first, as in the folded format.
 *
 * What a target could do to a terminal is written as \xNN, newlines among it: a line is an event. */
#include "engine/out/folded_text.h"
#include "engine/out/format.h"
#include "engine/out/sockaddr.h"
#include "engine/out/value.h"

#include <stdlib.h>
#include <string.h>

struct csv {
	char **names; /* of the fields, each once, in the order of the probes */
	size_t n;
	size_t **places; /* per probe: the column's index in its columns, for each name; SIZE_MAX: it has none */
	size_t nprobes;
	bool stacks;
	struct text value;
};

static void add_quoted(struct text *out, const char *s, size_t n)
{
	text_addc(out, '"');
	for (const char *end; (end = memchr(s, '"', n)); s = end + 1) {
		text_add(out, s, (size_t)(end - s) + 1);
		text_addc(out, '"');
		n -= (size_t)(end - s) + 1;
	}
	text_add(out, s, n);
	text_addc(out, '"');
}

static bool needs_quotes(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strchr(",\"\r\n", s[i]))
			return true;
	return n && (s[0] == ' ' || s[n - 1] == ' ');
}

static void add_cell(struct text *out, const char *s, size_t n)
{
	if (needs_quotes(s, n))
		add_quoted(out, s, n);
	else
		text_add(out, s, n);
}

static void add_clean_cell(struct csv *csv, struct text *out, const char *s, size_t n)
{
	text_reset(&csv->value);
	text_add_clean(&csv->value, s, n);
	out->failed |= csv->value.failed;
	add_cell(out, text_str(&csv->value), csv->value.len);
}

static bool is_reserved(const char *name)
{
	static const char *const reserved[] = {"time", "probe", "pid", "tid", "comm", "stack"};
	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
		if (strcmp(name, reserved[i]) == 0)
			return true;
	return false;
}

static void csv_label(struct text *out, const char *name, void *sink)
{
	text_adds(out, name);
	if (is_reserved(name))
		text_addc(out, '_');
}

/* The names' array has room for all. */
static bool add_name(struct csv *csv, const char *name)
{
	for (size_t i = 0; i < csv->n; i++)
		if (strcmp(csv->names[i], name) == 0)
			return true;
	csv->names[csv->n] = strdup(name);
	return csv->names[csv->n] && ++csv->n;
}

static bool find_names(struct csv *csv, const struct column_set *set)
{
	size_t most = 0;
	for (size_t p = 0; p < set->nprobes; p++)
		most += set->probes[p].n;
	csv->names = calloc(most + 1, sizeof(*csv->names));
	if (!csv->names)
		return false;
	for (size_t p = 0; p < set->nprobes; p++)
		for (size_t i = 0; i < set->probes[p].n; i++)
			if (!add_name(csv, text_str(&set->probes[p].list[i].label)))
				return false;
	return true;
}

static size_t place_of(const struct columns *columns, const char *name)
{
	for (size_t i = 0; i < columns->n; i++)
		if (strcmp(text_str(&columns->list[i].label), name) == 0)
			return i;
	return SIZE_MAX;
}

static bool find_places(struct csv *csv, const struct column_set *set)
{
	csv->places = calloc(set->nprobes + 1, sizeof(*csv->places));
	if (!csv->places)
		return false;
	for (csv->nprobes = 0; csv->nprobes < set->nprobes; csv->nprobes++) {
		size_t *places = csv->places[csv->nprobes] = calloc(csv->n + 1, sizeof(size_t));
		if (!places)
			return false;
		for (size_t i = 0; i < csv->n; i++)
			places[i] = place_of(&set->probes[csv->nprobes], csv->names[i]);
	}
	return true;
}

static void csv_close(struct sink *sink)
{
	struct csv *csv = sink->state;
	if (!csv)
		return;
	for (size_t i = 0; i < csv->n; i++)
		free(csv->names[i]);
	for (size_t p = 0; csv->places && p < csv->nprobes; p++)
		free(csv->places[p]);
	free(csv->names);
	free(csv->places);
	text_fini(&csv->value);
	free(csv);
	sink->state = NULL;
}

static void csv_open(struct sink *sink, const struct sink_meta *meta)
{
	struct text *out = &sink->out.buffer;
	struct csv *csv = sink->state = calloc(1, sizeof(struct csv));
	if (!csv || !find_names(csv, &sink->columns) || !find_places(csv, &sink->columns)) {
		csv_close(sink);
		out->failed = true;
		return;
	}
	for (size_t p = 0; p < meta->nprobes; p++)
		csv->stacks |= meta->probes[p].stack_sides != 0;
	text_adds(out, sink->columns.container ? "time,probe,pid,tid,comm,container" : "time,probe,pid,tid,comm");
	for (size_t i = 0; i < csv->n; i++) {
		text_addc(out, ',');
		add_clean_cell(csv, out, csv->names[i], strlen(csv->names[i]));
	}
	text_adds(out, csv->stacks ? ",stack\r\n" : "\r\n");
}

/* JSON says everything but text as it should be here, with quotes around what is a name or bytes. */
static void add_json_cell(struct csv *csv, struct text *out, const struct column *column, const struct value *value)
{
	text_reset(&csv->value);
	value_json(&csv->value, column, value);
	out->failed |= csv->value.failed;
	const char *s = text_str(&csv->value);
	size_t n = csv->value.len;
	if (n >= 2 && s[0] == '"')
		add_cell(out, s + 1, n - 2);
	else
		add_cell(out, s, n);
}

static void add_value(struct csv *csv, struct text *out, const struct column *column, const struct value *value)
{
	if (value->missing)
		return;
	if (value->kind == VALUE_STR && value->len == 0) {
		text_adds(out, "\"\"");
	} else if (value->kind == VALUE_STR) {
		add_clean_cell(csv, out, (const char *)value->data, value->len);
	} else if (value->kind == VALUE_SOCKADDR) {
		text_reset(&csv->value);
		sockaddr_text(&csv->value, value->data, value->len);
		out->failed |= csv->value.failed;
		add_cell(out, text_str(&csv->value), csv->value.len);
	} else {
		add_json_cell(csv, out, column, value);
	}
}

static void add_fields(struct csv *csv, struct sink *sink, struct event *event)
{
	struct columns columns = columns_of(&sink->columns, event);
	const size_t *places = event->probe->index < csv->nprobes ? csv->places[event->probe->index] : NULL;
	for (size_t i = 0; i < csv->n; i++) {
		text_addc(&sink->out.buffer, ',');
		if (!places || places[i] >= columns.n) /* SIZE_MAX: this probe has no such column */
			continue;
		const struct column *column = &columns.list[places[i]];
		struct value value = event_value(event, column->field);
		add_value(csv, &sink->out.buffer, column, &value);
	}
}

static void add_container(struct csv *csv, struct text *out, struct event *event)
{
	const char *container = event_container(event);
	text_addc(out, ',');
	if (container)
		add_clean_cell(csv, out, container, strlen(container));
}

static void csv_event(struct sink *sink, struct event *event)
{
	struct csv *csv = sink->state;
	struct text *out = &sink->out.buffer;
	const struct rille_record *record = event->record;
	if (!csv)
		return;
	timestamp_iso(&sink->stamp, out, event->wall_nsecs);
	text_addc(out, ',');
	add_cell(out, event->probe->name, strlen(event->probe->name));
	text_addc(out, ',');
	text_addu(out, record->pid);
	text_addc(out, ',');
	text_addu(out, record->tid);
	text_addc(out, ',');
	add_clean_cell(csv, out, record->comm, strnlen(record->comm, sizeof(record->comm)));
	if (sink->columns.container)
		add_container(csv, out, event);
	add_fields(csv, sink, event);
	if (csv->stacks) {
		text_addc(out, ',');
		text_reset(&csv->value);
		folded_text(&csv->value, event);
		out->failed |= csv->value.failed;
		add_cell(out, text_str(&csv->value), csv->value.len);
	}
	text_adds(out, "\r\n");
}

const struct sink_format csv_format = {
        .name = "csv",
        .label = csv_label,
        .open = csv_open,
        .event = csv_event,
        .close = csv_close,
};
