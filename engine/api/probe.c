/* Probes declared from C: a struct of strings into the session's spec, without any Lua.
 *
 * The strings are in no file, so each gets a place of its own ("probe 1 where"), in which lines and columns are counted
 * from its first character. What they mean is judged where a script's are, by the generator. A probe that is refused
 * leaves nothing behind: the spec is what it was before. */
#include "engine/api/handle.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies a string and names its place. NULL stays absent. */
__attribute__((format(printf, 4, 5))) static int copy_text(
        struct spec *spec, struct spec_text *ret, const char *text, const char *place, ...)
{
	char *name;
	va_list ap;
	if (!text)
		return 0;
	va_start(ap, place);
	int n = vasprintf(&name, place, ap);
	va_end(ap);
	const char *file = n < 0 ? NULL : spec_keep(spec, name);
	ret->text = strdup(text);
	if (!file || !ret->text)
		return -ENOMEM;
	ret->pos = (struct pos){.file = file, .source = ret->text, .line = 1, .col = 1};
	return 0;
}

/* "addr = sockaddr(umyaddr, addrlen)": the parts point into the whole, which the spec keeps. */
static int read_short_field(rille *r, struct spec_field *field, const char *text, size_t i)
{
	struct spec *spec = session_spec(r->session);
	struct spec_text whole = {0};
	char *place;
	int e = copy_text(spec, &whole, text, "probe %zu field %zu", spec->nprobes, i);
	if (e < 0)
		free(whole.text);
	if (e < 0 || !spec_keep(spec, whole.text))
		return err_nomem(&r->err);
	e = spec_split_field(&whole, field, &r->err);
	if (e < 0)
		return e;
	if (asprintf(&place, "probe %zu field %s", spec->nprobes, field->name.text) < 0 || !spec_keep(spec, place))
		return err_nomem(&r->err);
	field->name.pos.file = field->expr.pos.file = place;
	return 0;
}

static int read_field(rille *r, struct spec_probe *probe, const struct rille_field *given)
{
	struct spec *spec = session_spec(r->session);
	size_t number = spec->nprobes, i = probe->nfields + 1;
	if (!given->name || given->reserved)
		return err_set(&r->err, -EINVAL, ERR_SCRIPT, given->name ? "bad-argument" : "null-argument",
		        "probe %zu field %zu: %s", number, i,
		        given->name ? "`reserved` is not NULL" : "`name` is NULL");
	struct spec_field *field = spec_add_field(probe);
	if (!field)
		return err_nomem(&r->err);
	int e = 0;
	if (!given->expr)
		e = read_short_field(r, field, given->name, i);
	else if (copy_text(spec, &field->name, given->name, "probe %zu field %zu name", number, i) < 0 ||
	         copy_text(spec, &field->expr, given->expr, "probe %zu field %s", number, given->name) < 0)
		e = err_nomem(&r->err);
	if (e == 0 && copy_text(spec, &field->as, given->as, "probe %zu field %s as", number, field->name.text) < 0)
		e = err_nomem(&r->err);
	return e < 0 ? e : spec_check_field(probe, field, &r->err);
}

/* A word that is only looked at; absent if `text` is NULL. */
static int read_word(rille *r, struct spec_text *word, const char *text, const char *place)
{
	*word = (struct spec_text){0};
	if (copy_text(session_spec(r->session), word, text, "probe %zu %s", session_spec(r->session)->nprobes, place) ==
	        0)
		return 0;
	free(word->text);
	return err_nomem(&r->err);
}

static int read_moment(rille *r, struct spec_probe *probe, const char *at)
{
	struct spec_text word;
	int e = read_word(r, &word, at, "at");
	if (e < 0 || !at)
		return e;
	e = spec_read_moment(&word, probe, &r->err);
	free(word.text);
	return e;
}

static int read_stack(rille *r, struct spec_probe *probe, const struct rille_probe *given)
{
	struct spec_text word;
	if (given->depth > SPEC_MAX_DEPTH || given->max_bytes > SPEC_MAX_STACK)
		return err_set(&r->err, -EINVAL, ERR_SCRIPT, "bad-value",
		        "probe %zu: `depth` is at most %d, `max_bytes` at most %d", session_spec(r->session)->nprobes,
		        SPEC_MAX_DEPTH, SPEC_MAX_STACK);
	probe->stack.depth = given->depth;
	probe->stack.max_bytes = given->max_bytes;
	int e = read_word(r, &word, given->stack, "stack");
	if (e < 0 || !given->stack)
		return e;
	e = spec_read_sides(&word, &probe->stack.sides, &r->err);
	free(word.text);
	return e;
}

static int read_probe(rille *r, const struct rille_probe *given)
{
	struct spec *spec = session_spec(r->session);
	struct spec_probe *probe = spec_add_probe(spec);
	if (!probe || copy_text(spec, &probe->on, given->on, "probe %zu", spec->nprobes) < 0 ||
	        copy_text(spec, &probe->where, given->where, "probe %zu where", spec->nprobes) < 0)
		return err_nomem(&r->err);
	probe->pos = probe->on.pos;
	probe->optional = given->optional;
	int e = read_moment(r, probe, given->at);
	if (e == 0)
		e = read_stack(r, probe, given);
	for (size_t i = 0; e == 0 && i < given->nfields; i++)
		e = read_field(r, probe, &given->fields[i]);
	return e;
}

/* What this version does not know of the struct, inside the size that it knows. */
static bool has_unknown(const struct rille_probe *probe)
{
	static const uint8_t none[sizeof(probe->reserved)];
	return probe->optional > 1 || memcmp(probe->reserved, none, sizeof(none)) != 0;
}

static int check_arguments(rille *r, const struct rille_probe *probe)
{
	size_t number = session_spec(r->session)->nprobes + 1;
	if (!probe->on || (probe->nfields && !probe->fields))
		return handle_null(r, "rille_add_probe", probe->on ? "fields" : "on");
	if (probe->nfields > SCHEMA_MAX_FIELDS)
		return err_set(&r->err, -EINVAL, ERR_SCRIPT, "too-many", "probe %zu: a probe has at most %d fields",
		        number, SCHEMA_MAX_FIELDS);
	if (number > SPEC_MAX_PROBES)
		return err_set(&r->err, -EINVAL, ERR_SCRIPT, "too-many", "at most %d probes", SPEC_MAX_PROBES);
	return 0;
}

int rille_add_probe(rille *r, const struct rille_probe *given)
{
	struct rille_probe probe;
	int e = handle_enter_early(r, "rille_add_probe");
	if (e < 0)
		return e;
	r->stage = "declare";
	if (!given)
		return handle_null(r, "rille_add_probe", "probe");
	if (r->script)
		return err_set(&r->err, -EBUSY, ERR_RUNTIME, "wrong-state",
		        "a script has been loaded; probes are declared by it or from C, not both");
	if (!handle_read_struct(&probe, sizeof(probe), given) || has_unknown(&probe))
		return err_set(&r->err, -EINVAL, ERR_RUNTIME, "bad-argument",
		        "rille_add_probe: a struct rille_probe of another version, or `size` is not set");
	e = check_arguments(r, &probe);
	if (e < 0)
		return e;
	struct spec *spec = session_spec(r->session);
	size_t before = spec->nprobes;
	e = read_probe(r, &probe);
	if (e == 0 && !spec->name && !(spec->name = strdup("probes")))
		e = err_nomem(&r->err);
	if (e < 0) {
		spec_truncate(spec, before);
		return handle_error(r, e);
	}
	r->declared = true;
	return (int)before;
}

int rille_probe_field(const rille *handle, size_t index, size_t i, struct rille_field_info *ret)
{
	static const int32_t kinds[] = {
	        [VALUE_INT] = RILLE_INT,
	        [VALUE_UINT] = RILLE_UINT,
	        [VALUE_BOOL] = RILLE_BOOL,
	        [VALUE_STR] = RILLE_TEXT,
	        [VALUE_BYTES] = RILLE_BYTES,
	        [VALUE_SOCKADDR] = RILLE_SOCKADDR,
	};
	rille *r = (rille *)handle; /* its last error is not what it is */
	int e = handle_enter(r, "probe_field");
	if (e < 0)
		return e;
	const struct probe_schema *probe = session_probe(r->session, index);
	if (!probe || i >= probe->nfields)
		return err_set(&r->err, -ENOENT, ERR_RUNTIME, "out-of-range", "there is no %s %zu",
		        probe ? "field" : "probe", probe ? i : index);
	const struct field_schema *field = &probe->fields[i];
	struct rille_field_info info = {.name = field->name,
	        .kind = kinds[field->kind],
	        .bits = field->kind <= VALUE_UINT ? field->width * 8u : 0,
	        .count = field->count};
	return handle_write_struct(r, "rille_probe_field", ret, &info, sizeof(info));
}
