/* The columns of each probe.
 *
 * Everything that is the same for all events of a probe is done here, once: choosing fields by --fields, preparing
 * their decoders, writing their labels. What is left for an event is to append bytes. */
#include "engine/out/columns.h"
#include "engine/base/nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct label_writer {
	void (*fn)(struct text *out, const char *name, void *user);
	void *user;
};

static int add_column(struct columns *columns, const struct probe_schema *probe, size_t field,
        const struct label_writer *label, struct err *err)
{
	struct column *column = &columns->list[columns->n++];
	column->field = field;
	column->schema = &probe->fields[field];
	label->fn(&column->label, column->schema->name, label->user);
	if (text_failed(&column->label))
		return err_nomem(err);
	return decoder_init(&column->decoder, column->schema, err);
}

static bool find_field(const struct probe_schema *probe, const char *name, size_t *ret)
{
	for (*ret = 0; *ret < probe->nfields; (*ret)++)
		if (strcmp(probe->fields[*ret].name, name) == 0)
			return true;
	return false;
}

static int init_all(
        struct columns *columns, const struct probe_schema *probe, const struct label_writer *label, struct err *err)
{
	int r = 0;
	for (size_t i = 0; i < probe->nfields && !r; i++)
		r = add_column(columns, probe, i, label, err);
	return r;
}

static int init_chosen(struct columns *columns, const struct probe_schema *probe, const struct sink_options *options,
        const struct label_writer *label, struct err *err)
{
	size_t field;
	int r = 0;
	for (size_t i = 0; i < options->ncolumns && !r; i++)
		if (find_field(probe, options->columns[i], &field))
			r = add_column(columns, probe, field, label, err);
	return r;
}

/* A field that no probe has is a mistyped one. */
static int check_known(struct column_set *set, const struct sink_meta *meta, const char *name, struct err *err)
{
	struct nearest nearest;
	size_t field;
	nearest_init(&nearest, name);
	for (size_t p = 0; p < meta->nprobes; p++) {
		if (find_field(&meta->probes[p], name, &field))
			return 0;
		for (size_t i = 0; i < meta->probes[p].nfields; i++)
			nearest_offer(&nearest, meta->probes[p].fields[i].name);
	}
	if (strcmp(name, "container") == 0) {
		set->container = true;
		return 0;
	}
	nearest_offer(&nearest, "container");
	int r = err_set(err, -EINVAL, ERR_SCRIPT, "unknown-field", "no probe has a field '%s'", name);
	if (nearest.best)
		err_hint(err, "did you mean '%s'?", nearest.best);
	return r;
}

static int init_probe(struct columns *columns, const struct probe_schema *probe, const struct sink_options *options,
        const struct label_writer *label, struct err *err)
{
	size_t most = options->columns ? options->ncolumns : probe->nfields;
	columns->list = calloc(most + 1, sizeof(*columns->list));
	if (!columns->list)
		return err_nomem(err);
	if (options->columns)
		return init_chosen(columns, probe, options, label, err);
	return init_all(columns, probe, label, err);
}

int columns_init(struct column_set *set, const struct sink_options *options, const struct sink_meta *meta,
        void (*label)(struct text *out, const char *name, void *user), void *user, struct err *err)
{
	struct label_writer writer = {label, user};
	int r = 0;
	memset(set, 0, sizeof(*set));
	for (size_t i = 0; options->columns && i < options->ncolumns && !r; i++)
		r = check_known(set, meta, options->columns[i], err);
	if (r)
		return r;
	set->probes = calloc(meta->nprobes + 1, sizeof(*set->probes));
	if (!set->probes)
		return err_nomem(err);
	set->nprobes = meta->nprobes;
	for (size_t p = 0; p < meta->nprobes && !r; p++)
		r = init_probe(&set->probes[p], &meta->probes[p], options, &writer, err);
	if (r)
		columns_fini(set);
	return r;
}

void columns_fini(struct column_set *set)
{
	for (size_t p = 0; p < set->nprobes; p++) {
		for (size_t i = 0; i < set->probes[p].n; i++) {
			text_fini(&set->probes[p].list[i].label);
			decoder_fini(&set->probes[p].list[i].decoder);
		}
		free(set->probes[p].list);
	}
	free(set->probes);
	memset(set, 0, sizeof(*set));
}
