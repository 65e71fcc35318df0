/* The spec's memory: it owns every string in it, and grows by one element at a time. */
#include "engine/probe/spec.h"
#include "engine/base/grow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void spec_init(struct spec *spec)
{
	memset(spec, 0, sizeof(*spec));
}

static void free_fields(struct spec_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(fields[i].name.text);
		free(fields[i].expr.text);
		free(fields[i].as.text);
	}
	free(fields);
}

static void free_probe(struct spec_probe *probe)
{
	free(probe->on.text);
	free(probe->where.text);
	free_fields(probe->fields, probe->nfields);
	for (size_t i = 0; i < probe->naggregates; i++)
		free_fields(probe->aggregates[i].fields, probe->aggregates[i].nfields);
	free(probe->aggregates);
}

static void free_param(struct spec_param *param)
{
	free(param->name.text);
	free(param->help);
	free(param->fallback.text);
	free(param->value.text);
}

void spec_fini(struct spec *spec)
{
	if (!spec)
		return;
	for (size_t i = 0; i < spec->nprobes; i++)
		free_probe(&spec->probes[i]);
	for (size_t i = 0; i < spec->nparams; i++)
		free_param(&spec->params[i]);
	for (size_t i = 0; i < spec->nfiles; i++) {
		free(spec->files[i].name);
		free(spec->files[i].text);
	}
	for (size_t i = 0; i < spec->nplaces; i++)
		free(spec->places[i]);
	free(spec->files);
	free(spec->places);
	free(spec->probes);
	free(spec->params);
	free(spec->filter.text);
	free(spec->summary);
	free(spec->source);
	free(spec->name);
	memset(spec, 0, sizeof(*spec));
}

void spec_reset(struct spec *spec)
{
	struct spec_text filter = spec->filter;
	spec->filter = (struct spec_text){0};
	spec_fini(spec);
	spec->filter = filter;
}

void spec_truncate(struct spec *spec, size_t n)
{
	while (spec->nprobes > n) {
		free_probe(&spec->probes[--spec->nprobes]);
		memset(&spec->probes[spec->nprobes], 0, sizeof(*spec->probes));
	}
}

int spec_add_file(struct spec *spec, const char *name, const char *text, size_t len)
{
	if (grow(&spec->files, &spec->files_cap, spec->nfiles + 1, sizeof(*spec->files)) < 0)
		return -ENOMEM;
	struct spec_file file = {strdup(name), malloc(len + 1), len};
	if (!file.name || !file.text) {
		free(file.name);
		free(file.text);
		return -ENOMEM;
	}
	memcpy(file.text, text, len);
	file.text[len] = '\0';
	spec->files[spec->nfiles++] = file;
	return 0;
}

const struct spec_file *spec_find_file(const struct spec *spec, const char *name)
{
	for (size_t i = 0; i < spec->nfiles; i++)
		if (strcmp(spec->files[i].name, name) == 0)
			return &spec->files[i];
	return NULL;
}

/* grow() zeroes what it adds, and what is removed is zeroed, so a new element is zero. */
struct spec_probe *spec_add_probe(struct spec *spec)
{
	if (grow(&spec->probes, &spec->probes_cap, spec->nprobes + 1, sizeof(*spec->probes)) < 0)
		return NULL;
	return &spec->probes[spec->nprobes++];
}

struct spec_param *spec_add_param(struct spec *spec)
{
	if (grow(&spec->params, &spec->params_cap, spec->nparams + 1, sizeof(*spec->params)) < 0)
		return NULL;
	return &spec->params[spec->nparams++];
}

struct spec_field *spec_add_field(struct spec_probe *probe)
{
	if (grow(&probe->fields, &probe->fields_cap, probe->nfields + 1, sizeof(*probe->fields)) < 0)
		return NULL;
	return &probe->fields[probe->nfields++];
}

struct spec_aggregate *spec_add_aggregate(struct spec_probe *probe)
{
	size_t size = sizeof(*probe->aggregates);
	if (grow(&probe->aggregates, &probe->aggregates_cap, probe->naggregates + 1, size) < 0)
		return NULL;
	return &probe->aggregates[probe->naggregates++];
}

struct spec_field *spec_add_key(struct spec_aggregate *aggregate)
{
	size_t size = sizeof(*aggregate->fields);
	if (grow(&aggregate->fields, &aggregate->fields_cap, aggregate->nfields + 1, size) < 0)
		return NULL;
	return &aggregate->fields[aggregate->nfields++];
}
