/* From a spec to BPF C: every probe of the script is matched against what the kernel has, typed, laid out and written;
 * then the program is put together. All or nothing, with the first error at its place.
 *
 * A glob gives one probe a match, each with its own arguments: an expression has to make sense in every one of them, and
 * if it does not, the error names the probe it failed for. */
#include "engine/probe/gen_impl.h"
#include "engine/base/grow.h"
#include "engine/base/nearest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROBES = 1024 };

/* One spec_probe while it is matched. */
struct match {
	struct gen *gen;
	const struct spec_probe *spec;
	size_t index; /* in spec.probes */
	size_t found;
	struct err *err;
};

static struct probe_schema *add_schema(struct match *m)
{
	struct gen_result *ret = m->gen->ret;
	if (grow(&ret->probes, &ret->probes_cap, ret->nprobes + 1, sizeof(*ret->probes)) < 0)
		return NULL;
	struct probe_schema *schema = &ret->probes[ret->nprobes];
	schema->index = (uint32_t)ret->nprobes++;
	schema->spec_probe = m->index;
	return schema;
}

static int name_schema(struct probe_schema *schema, const struct event_format *format, struct err *err)
{
	schema->kind = format->category ? PROBE_TRACEPOINT : PROBE_SYSCALL;
	schema->number = format->number;
	schema->event = strdup(format->name);
	schema->category = format->category ? strdup(format->category) : NULL;
	int r = format->category ? asprintf(&schema->name, "tracepoint:%s:%s", format->category, format->name)
	                         : asprintf(&schema->name, "syscall:%s", format->name);
	if (r < 0)
		schema->name = NULL;
	return r < 0 || !schema->event || (format->category && !schema->category) ? err_nomem(err) : 0;
}

/* Whether an error means that this kernel does not have what an optional probe asks for: then it is no error. */
static bool may_be_missing(struct match *m, int r)
{
	bool other_fields =
	        m->err->tag && !strcmp(m->err->tag, "unknown-field") && !strncmp(m->spec->on.text, "tracepoint:", 11);
	if (!m->spec->optional || (r != -ENOENT && r != -ENODEV && !other_fields))
		return false;
	log_info(m->gen->options->log, "%s is left out: %s", m->spec->on.text, m->err->message);
	*m->err = (struct err){0};
	return true;
}

static int build_one(struct match *m, const struct event_format *format)
{
	struct build build = {.gen = m->gen, .spec = m->spec, .format = format};
	if (m->gen->ret->nprobes >= MAX_PROBES)
		return expr_error(&m->spec->on, 0, m->err, "too-many-probes", "more than %d probes", MAX_PROBES);
	build.schema = add_schema(m);
	if (!build.schema)
		return err_nomem(m->err);
	int r = name_schema(build.schema, format, m->err);
	if (r < 0)
		return r;
	build.scope = (struct scope){.catalog = m->gen->catalog,
	        .spec = m->gen->spec,
	        .probe = build.schema->name,
	        .kind = build.schema->kind,
	        .at_entry = m->spec->at_entry,
	        .format = format};
	r = build_probe(&build, m->err);
	build_fini(&build);
	return r;
}

static int add_probe(struct match *m, const struct event_format *format)
{
	size_t before = m->gen->ret->nprobes;
	m->found++;
	int r = build_one(m, format);
	if (r >= 0 || !may_be_missing(m, r))
		return r;
	while (m->gen->ret->nprobes > before)
		probe_schema_fini(&m->gen->ret->probes[--m->gen->ret->nprobes]);
	return 0;
}

/* What the catalog does not have. */
static int not_found(struct match *m, int r)
{
	return may_be_missing(m, r) ? 0 : expr_place(&m->spec->on, 0, m->err, r);
}

static int on_syscall(void *user, const char *name)
{
	struct match *m = user;
	const struct event_format *format;
	int r = catalog_syscall(m->gen->catalog, name, &format, m->err);
	return r < 0 ? not_found(m, r) : add_probe(m, format);
}

static int on_tracepoint(void *user, const char *name)
{
	struct match *m = user;
	const struct event_format *format;
	const char *colon = strchr(name, ':');
	char category[128];
	if (!colon || (size_t)(colon - name) >= sizeof(category))
		return expr_error(&m->spec->on, 0, m->err, "unknown-probe", "a tracepoint is tracepoint:CATEGORY:NAME");
	memcpy(category, name, (size_t)(colon - name));
	category[colon - name] = 0;
	if (m->spec->optional && catalog_lacks_tracepoint(m->gen->catalog, category, colon + 1))
		return not_found(m, err_set(m->err, -ENOENT, ERR_SCRIPT, "unknown-probe",
		                            "this kernel has no tracepoint \"%s\"", name));
	int r = catalog_tracepoint(m->gen->catalog, category, colon + 1, &format, m->err);
	return r < 0 ? not_found(m, r) : add_probe(m, format);
}

static const struct provider {
	const char *prefix;
	int (*one)(void *user, const char *name);
	int (*match)(struct catalog *catalog, const char *glob, int (*fn)(void *user, const char *name), void *user,
	        struct err *err);
} providers[] = {
        {"syscall:", on_syscall, catalog_match_syscalls},
        {"tracepoint:", on_tracepoint, catalog_match_tracepoints},
};

static int unknown_provider(struct match *m)
{
	const char *on = m->spec->on.text;
	char typed[64];
	struct nearest nearest;
	snprintf(typed, sizeof(typed), "%.*s:", (int)strcspn(on, ":"), on);
	nearest_init(&nearest, typed);
	for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++)
		nearest_offer(&nearest, providers[i].prefix);
	int r = expr_error(&m->spec->on, 0, m->err, "unknown-probe",
	        "'%s' is no probe: syscall:NAME and tracepoint:CATEGORY:NAME are", on);
	if (nearest.best)
		err_hint(m->err, "did you mean %s?", nearest.best);
	return r;
}

static int match_probe(struct match *m)
{
	const char *on = m->spec->on.text;
	for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
		const struct provider *p = &providers[i];
		size_t len = strlen(p->prefix);
		if (strncmp(on, p->prefix, len) != 0)
			continue;
		if (!strpbrk(on + len, "*?["))
			return p->one(m, on + len);
		int r = p->match(m->gen->catalog, on + len, p->one, m, m->err);
		if (r < 0)
			return not_found(m, r);
		if (m->found)
			return 0;
		expr_error(&m->spec->on, 0, m->err, "unknown-probe", "no probe matches '%s'", on);
		return may_be_missing(m, -ENOENT) ? 0 : -EINVAL;
	}
	return unknown_provider(m);
}

static void gen_fini(struct gen *gen)
{
	for (size_t i = 0; i < gen->noffsets; i++)
		free(gen->offsets[i].macro);
	free(gen->offsets);
	free(gen->params_used);
	free(gen->params_pattern);
	for (size_t i = 0; i < gen->nglobs; i++)
		free(gen->globs[i]);
	free(gen->globs);
	for (size_t i = 0; i < gen->nunits; i++)
		free(gen->units[i].text);
	free(gen->units);
	text_fini(&gen->tables);
	text_fini(&gen->entries);
	text_fini(&gen->records);
	text_fini(&gen->scratch);
	text_fini(&gen->rows);
	text_fini(&gen->probes);
	text_fini(&gen->exit_cases);
	text_fini(&gen->enter_cases);
	text_fini(&gen->tracepoints);
}

static int generate(struct gen *gen)
{
	gen->params_used = calloc(gen->spec->nparams + 1, sizeof(bool));
	gen->params_pattern = calloc(gen->spec->nparams + 1, sizeof(bool));
	if (!gen->params_used || !gen->params_pattern)
		return err_nomem(gen->err);
	for (size_t i = 0; i < gen->spec->nprobes; i++) {
		struct match m = {.gen = gen, .spec = &gen->spec->probes[i], .index = i, .err = gen->err};
		int r = match_probe(&m);
		if (r < 0)
			return r;
	}
	if (!gen->ret->nprobes)
		return err_set(gen->err, -ENOENT, ERR_SCRIPT, "unknown-probe", "this kernel has none of the probes");
	return gen_source(gen);
}

int gen_run(const struct spec *spec, const struct gen_options *options, struct catalog *catalog, struct gen_result *ret,
        struct err *err)
{
	struct err unused;
	memset(ret, 0, sizeof(*ret));
	struct gen gen = {.spec = spec,
	        .options = options,
	        .catalog = catalog,
	        .ret = ret,
	        .err = err ? err : &unused,
	        .features = gen_features(options)};
	int r = generate(&gen);
	gen_fini(&gen);
	if (r < 0)
		gen_result_fini(ret);
	return r;
}

void gen_result_fini(struct gen_result *result)
{
	if (!result)
		return;
	text_fini(&result->source);
	for (size_t i = 0; i < result->nprobes; i++)
		probe_schema_fini(&result->probes[i]);
	for (size_t i = 0; i < result->naggregates; i++)
		aggregate_schema_fini(&result->aggregates[i]);
	free(result->aggregates);
	free(result->probes);
	free(result->params);
	memset(result, 0, sizeof(*result));
}
