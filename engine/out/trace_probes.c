/* The schemas of a trace, from its first record: what its events have and how it is to be shown. */
#include "engine/out/jsonl_names.h"
#include "engine/out/trace_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROBES = 4096, MAX_ELEMENTS = 64 };

bool trace_kind(const char *name, enum value_kind *ret)
{
	const char *known;
	for (unsigned kind = 0; (known = value_kind_name(kind)); kind++)
		if (strcmp(known, name) == 0) {
			*ret = (enum value_kind)kind;
			return true;
		}
	return false;
}

/* An integer's width and number; 0 elements is one that is no array. */
static bool read_shape(struct field_schema *field, struct json_object *from)
{
	uint32_t bits = 64, count = 0;
	if (field->kind > VALUE_UINT) {
		field->width = 1;
		return true;
	}
	trace_u32(from, "bits", &bits);
	trace_u32(from, "count", &count);
	if ((bits != 8 && bits != 16 && bits != 32 && bits != 64) || count > MAX_ELEMENTS)
		return false;
	field->width = (uint8_t)(bits / 8);
	field->count = (uint16_t)count;
	field->element_bits = count > 0;
	return true;
}

static int read_field(
        struct field_schema *field, struct decoder *decoder, char **key, struct json_object *from, struct err *err)
{
	const char *name, *kind, *as;
	if (!trace_text(from, "name", &name, NULL) || !trace_text(from, "kind", &kind, NULL))
		return trace_bad(err, "a field has no name or kind");
	if (!trace_kind(kind, &field->kind) || !read_shape(field, from))
		return trace_bad(err, "the field '%s' is of a kind that this version does not know", name);
	/* A format that this version does not know: the number is shown as it is. */
	if (trace_text(from, "as", &as, NULL) && decode_format(as, &field->format, field->prefix, NULL) < 0)
		field->format = FORMAT_NONE;
	*key = strdup(name);
	field->name = strndup(name, jsonl_name_length(name));
	return *key && field->name ? decoder_init(decoder, field, err) : err_nomem(err);
}

static int read_fields(
        struct probe_schema *schema, struct trace_probe *probe, struct json_object *list, struct err *err)
{
	size_t n = json_object_array_length(list);
	int r = 0;
	if (n > SCHEMA_MAX_FIELDS)
		return trace_bad(err, "%s has %zu fields, more than the %d that are possible", schema->name, n,
		        SCHEMA_MAX_FIELDS);
	schema->fields = calloc(n + 1, sizeof(*schema->fields));
	if (!schema->fields)
		return err_nomem(err);
	for (size_t i = 0; i < n && !r; i++) {
		r = read_field(&schema->fields[i], &probe->decoders[i], &probe->keys[i],
		        json_object_array_get_idx(list, i), err);
		schema->nfields = i + 1;
	}
	return r;
}

static int read_probe(struct trace_reader *reader, size_t i, struct json_object *from, struct err *err)
{
	struct probe_schema *schema = &reader->schemas[i];
	struct json_object *fields = trace_member(from, "fields", json_type_array);
	const char *name;
	if (!trace_text(from, "name", &name, NULL) || !fields)
		return trace_bad(err, "a probe has no name or fields");
	schema->index = (uint32_t)i;
	schema->spec_probe = i;
	schema->name = strdup(name);
	schema->kind = strncmp(name, "syscall:", strlen("syscall:")) == 0 ? PROBE_SYSCALL : PROBE_TRACEPOINT;
	schema->stack_sides =
	        (trace_bool(from, "ustack") ? STACK_USER : 0) | (trace_bool(from, "kstack") ? STACK_KERNEL : 0);
	return schema->name ? read_fields(schema, &reader->probes[i], fields, err) : err_nomem(err);
}

int trace_probes_read(struct trace_reader *reader, struct json_object *list, struct err *err)
{
	size_t n = json_object_array_length(list);
	int r = 0;
	if (n > MAX_PROBES)
		return trace_bad(err, "%zu probes, more than the %d that can be read", n, MAX_PROBES);
	reader->schemas = calloc(n + 1, sizeof(*reader->schemas));
	reader->probes = calloc(n + 1, sizeof(*reader->probes));
	if (!reader->schemas || !reader->probes)
		return err_nomem(err);
	for (size_t i = 0; i < n && !r; i++) {
		reader->meta.nprobes = i + 1;
		r = read_probe(reader, i, json_object_array_get_idx(list, i), err);
	}
	reader->meta.probes = reader->schemas;
	return r;
}

void trace_probes_fini(struct trace_reader *reader)
{
	for (size_t p = 0; p < reader->meta.nprobes; p++) {
		for (size_t i = 0; i < SCHEMA_MAX_FIELDS; i++) {
			decoder_fini(&reader->probes[p].decoders[i]);
			free(reader->probes[p].keys[i]);
		}
		probe_schema_fini(&reader->schemas[p]);
	}
	free(reader->schemas);
	free(reader->probes);
	reader->schemas = NULL;
	reader->probes = NULL;
	reader->meta.nprobes = 0;
}
