/* Lines of a trace: which record each is, and what it says beside events.
 *
 * A trace is read by the schema that is documented (docs/schema): members that this version does not know are passed
 * over, a record that cannot be read is told and the next one is tried. Only the first record must be there, since
 * without it nobody knows what the events have. */
#include "engine/out/jsonl_names.h"
#include "engine/out/trace_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA = 1, MAX_CELLS = 1024 };

int trace_reader_new(struct trace_reader **ret)
{
	struct trace_reader *reader = calloc(1, sizeof(*reader));
	*ret = reader;
	if (!reader)
		return -ENOMEM;
	reader->tokener = json_tokener_new();
	reader->intern = intern_new();
	if (reader->tokener && reader->intern) {
		json_tokener_set_flags(reader->tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
		return 0;
	}
	trace_reader_free(reader);
	*ret = NULL;
	return -ENOMEM;
}

void trace_reader_free(struct trace_reader *reader)
{
	if (!reader)
		return;
	trace_aggregates_fini(reader);
	trace_probes_fini(reader);
	for (size_t i = 0; i < sizeof(reader->strings) / sizeof(*reader->strings); i++)
		free(reader->strings[i]);
	for (size_t i = 0; reader->argv && i < reader->meta.argc; i++)
		free(reader->argv[i]);
	free(reader->argv);
	free(reader->ustack.frames);
	free(reader->kstack.frames);
	text_fini(&reader->bytes);
	intern_free(reader->intern);
	if (reader->tokener)
		json_tokener_free(reader->tokener);
	free(reader);
}

int64_t trace_reader_last(const struct trace_reader *reader)
{
	return reader->event.wall_nsecs;
}

/* --- meta --- */

static int read_argv(struct trace_reader *reader, struct json_object *object, struct err *err)
{
	struct json_object *list = trace_member(object, "argv", json_type_array);
	size_t n = list ? json_object_array_length(list) : 0;
	reader->argv = calloc(n + 1, sizeof(*reader->argv));
	if (!reader->argv)
		return err_nomem(err);
	for (reader->meta.argc = 0; reader->meta.argc < n; reader->meta.argc++) {
		const char *word = json_object_get_string(json_object_array_get_idx(list, reader->meta.argc));
		reader->argv[reader->meta.argc] = strdup(word ? word : "");
		if (!reader->argv[reader->meta.argc])
			return err_nomem(err);
	}
	reader->meta.argv = (const char *const *)reader->argv;
	return 0;
}

static int read_mechanisms(struct trace_reader *reader, struct json_object *object, struct err *err)
{
	struct json_object *list = trace_member(object, "mechanisms", json_type_array);
	struct text lines = {0};
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		const char *line = json_object_get_string(json_object_array_get_idx(list, i));
		text_adds(&lines, line ? line : "");
		text_addc(&lines, '\n');
	}
	bool failed = text_failed(&lines);
	reader->meta.mechanisms = reader->strings[4] = lines.data;
	return failed ? err_nomem(err) : 0;
}

static int read_strings(struct trace_reader *reader, struct json_object *object, struct err *err)
{
	static const char *const keys[] = {"version", "script", "host", "kernel"};
	const char **to[] = {&reader->meta.version, &reader->meta.script, &reader->meta.host, &reader->meta.kernel};
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const char *text;
		if (!trace_text(object, keys[i], &text, NULL))
			continue;
		reader->strings[i] = strdup(text);
		*to[i] = reader->strings[i];
		if (!*to[i])
			return err_nomem(err);
	}
	return 0;
}

static int check_schema(struct json_object *object, struct err *err)
{
	uint64_t schema = 0;
	if (!trace_u64(object, "schema", &schema) || schema > SCHEMA)
		return trace_bad(err,
		        "written by a newer rille (schema %llu, this one knows %d): what it does not know is "
		        "missing in the report",
		        (unsigned long long)schema, SCHEMA);
	return 0;
}

/* A trace of a newer schema is read as far as it can be understood, and said to be one. */
static int read_meta(
        struct trace_reader *reader, struct json_object *object, const struct trace_handler *handler, struct err *err)
{
	struct json_object *probes = trace_member(object, "probes", json_type_array);
	if (reader->has_meta)
		return trace_bad(err, "a second trace begins here: its events are read as if they were of the first");
	if (!probes || !trace_time(object, "time", &reader->meta.started))
		return err_set(err, -EPROTO, ERR_RUNTIME, "not-a-trace", "its first line lacks the time or the probes");
	reader->has_meta = true;
	int r = read_strings(reader, object, err);
	if (!r)
		r = read_argv(reader, object, err);
	if (!r)
		r = read_mechanisms(reader, object, err);
	if (!r)
		r = trace_probes_read(reader, probes, err);
	if (!r)
		r = trace_aggregates_read(reader, trace_member(object, "aggregates", json_type_array), err);
	if (r == -EBADMSG)
		r = err->code = -EPROTO;
	if (!r)
		r = handler->meta(handler->user, &reader->meta, err);
	return r ? r : check_schema(object, err);
}

/* --- what a script wrote --- */

static bool read_cell(struct cell *cell, const char *name, struct json_object *from)
{
	cell->name = name;
	switch (json_object_get_type(from)) {
	case json_type_null:
		cell->kind = CELL_NULL;
		return true;
	case json_type_boolean:
		cell->kind = CELL_BOOL;
		cell->b = json_object_get_boolean(from);
		return true;
	case json_type_int:
		trace_integer(from, &cell->i);
		cell->kind = cell->i < 0 && json_object_get_int64(from) >= 0 ? CELL_UINT : CELL_INT;
		return true;
	case json_type_double:
		cell->kind = CELL_NUMBER;
		cell->n = json_object_get_double(from);
		return true;
	case json_type_string:
		cell->kind = CELL_TEXT;
		cell->text.data = json_object_get_string(from);
		cell->text.len = (size_t)json_object_get_string_len(from);
		return true;
	default:
		return false;
	}
}

static int read_row(
        struct trace_reader *reader, struct json_object *object, const struct trace_handler *handler, struct err *err)
{
	size_t n = 0, members = (size_t)json_object_object_length(object);
	if (members > MAX_CELLS)
		return trace_bad(err, "a row of %zu cells", members);
	struct cell *cells = calloc(members + 1, sizeof(*cells));
	char **names = calloc(members + 1, sizeof(*names));
	int r = cells && names ? 0 : err_nomem(err);
	if (cells && names) {
		json_object_object_foreach(object, key, from)
		{
			if (strcmp(key, "type") == 0 || r)
				continue;
			names[n] = strndup(key, jsonl_name_length(key));
			if (!names[n])
				r = err_nomem(err);
			else if (!read_cell(&cells[n], names[n], from))
				r = trace_bad(err, "a row with a list or an object");
			n++;
		}
	}
	if (!r && cells)
		r = handler->row(handler->user, cells, n, err);
	for (size_t i = 0; names && i < n; i++)
		free(names[i]);
	free(names);
	free(cells);
	return r;
}

static int read_print(
        struct trace_reader *reader, struct json_object *object, const struct trace_handler *handler, struct err *err)
{
	const char *text;
	size_t len;
	if (!trace_text(object, "text", &text, &len))
		return trace_bad(err, "a print record without text");
	text_reset(&reader->bytes);
	text_add(&reader->bytes, text, len);
	text_addc(&reader->bytes, '\n'); /* which the format jsonl leaves out */
	if (text_failed(&reader->bytes))
		return err_nomem(err);
	return handler->print(handler->user, text_str(&reader->bytes), reader->bytes.len, err);
}

/* --- losses and totals --- */

static int read_totals(
        struct trace_reader *reader, struct json_object *object, struct probe_totals *ret, struct err *err)
{
	const struct {
		const char *key;
		rille_u64 *to;
	} numbers[] = {
	        {"seen", &ret->stats.seen},
	        {"target", &ret->stats.target},
	        {"passed", &ret->stats.passed},
	        {"sent", &ret->stats.sent},
	        {"lost_ring", &ret->stats.lost_ring},
	        {"lost_entry", &ret->stats.lost_entry},
	        {"lost_compat", &ret->stats.lost_compat},
	        {"lost_limit", &ret->stats.lost_limit},
	        {"lost_full", &ret->stats.lost_full},
	        {"callback_errors", &ret->callback_errors},
	        {"unresolved", &ret->unresolved},
	};
	const char *name;
	if (!trace_text(object, "probe", &name, NULL))
		return trace_bad(err, "totals without a probe");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		trace_u64(object, numbers[i].key, numbers[i].to);
	struct json_object *why = trace_member(object, "unresolved_why", json_type_object);
	for (unsigned end = 0; why && end < STACK_ENDS; end++)
		trace_u64(why, stack_end_name((enum stack_end)end), &ret->ends[end]);
	for (size_t i = 0; i < reader->meta.nprobes; i++)
		if (strcmp(reader->schemas[i].name, name) == 0) {
			ret->probe = &reader->schemas[i];
			return 0;
		}
	return trace_bad(err, "totals of '%.128s', which the trace's first line does not name", name);
}

static int read_lost(
        struct trace_reader *reader, struct json_object *object, const struct trace_handler *handler, struct err *err)
{
	struct probe_totals totals = {0};
	uint64_t lost;
	if (!trace_u64(object, "lost", &lost))
		return trace_bad(err, "a loss without a number");
	int r = read_totals(reader, object, &totals, err);
	return r ? r : handler->lost(handler->user, &totals, lost, err);
}

static int read_end(
        struct trace_reader *reader, struct json_object *object, const struct trace_handler *handler, struct err *err)
{
	struct json_object *list = trace_member(object, "probes", json_type_array), *seconds;
	struct sink_end end = {.reason = "done"};
	size_t n = list ? json_object_array_length(list) : 0;
	struct probe_totals *totals = calloc(n + 1, sizeof(*totals));
	int r = totals ? 0 : err_nomem(err);
	for (size_t i = 0; i < n && !r; i++)
		r = read_totals(reader, json_object_array_get_idx(list, i), &totals[i], err);
	trace_text(object, "reason", &end.reason, NULL);
	trace_u64(object, "mappings_lost", &end.mappings_lost);
	if (json_object_object_get_ex(object, "seconds", &seconds))
		end.seconds = json_object_get_double(seconds);
	end.probes = totals;
	end.nprobes = n;
	if (!r)
		r = handler->end(handler->user, &end, err);
	free(totals);
	return r;
}

/* --- any line --- */

static int read_event(
        struct trace_reader *reader, struct json_object *object, const struct trace_handler *handler, struct err *err)
{
	int r = trace_event_read(reader, object, err);
	return r ? r : handler->event(handler->user, &reader->event, err);
}

static int read_aggregate(
        struct trace_reader *reader, struct json_object *object, const struct trace_handler *handler, struct err *err)
{
	return trace_aggregate_read(reader, object, err);
}

static int read_record(
        struct trace_reader *reader, struct json_object *object, const struct trace_handler *handler, struct err *err)
{
	static const struct {
		const char *type;
		int (*read)(struct trace_reader *reader, struct json_object *object,
		        const struct trace_handler *handler, struct err *err);
	} kinds[] = {{"event", read_event}, {"row", read_row}, {"print", read_print}, {"aggregate", read_aggregate},
	        {"aggregate_end", trace_aggregate_end}, {"lost", read_lost}, {"end", read_end}, {"meta", read_meta}};
	const char *type;
	if (!trace_text(object, "type", &type, NULL))
		type = "";
	if (!reader->has_meta && strcmp(type, "meta") != 0)
		return err_set(
		        err, -EPROTO, ERR_RUNTIME, "not-a-trace", "its first line is not a meta record of rille's");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i].type, type) == 0)
			return kinds[i].read(reader, object, handler, err);
	return *type ? trace_bad(err, "a record of the type '%.64s', which this version does not know", type)
	             : trace_bad(err, "a record without a type");
}

/* What the first line is not, all the others need not be read for. */
static int not_a_record(const struct trace_reader *reader, struct err *err, const char *what)
{
	if (!reader->has_meta)
		return err_set(err, -EPROTO, ERR_RUNTIME, "not-a-trace", "its first line is %s", what);
	return trace_bad(err, "%s", what);
}

static int not_json(struct trace_reader *reader, struct err *err)
{
	enum json_tokener_error why = json_tokener_get_error(reader->tokener);
	char what[128];
	if (why == json_tokener_continue)
		return not_a_record(reader, err, "cut off in the middle");
	snprintf(what, sizeof(what), "not JSON: %s at column %zu", json_tokener_error_desc(why),
	        json_tokener_get_parse_end(reader->tokener) + 1);
	return not_a_record(reader, err, what);
}

int trace_read_line(
        struct trace_reader *reader, const char *line, size_t len, const struct trace_handler *handler, struct err *err)
{
	if (!len || line[0] != '{')
		return not_a_record(reader, err, "not a JSON object");
	json_tokener_reset(reader->tokener);
	struct json_object *object = json_tokener_parse_ex(reader->tokener, line, (int)len);
	int r = object ? read_record(reader, object, handler, err) : not_json(reader, err);
	json_object_put(object);
	return r;
}
