/* The tables of a script, read in the declare phase. Everything here is called inside a protected call and may raise for want
 * of memory; a failure that is the script's is -EINVAL with `err` filled. */
#ifndef RILLE_SCRIPT_TABLE_H
#define RILLE_SCRIPT_TABLE_H

#include "engine/script/state.h"

/* What a table may hold, and how a message calls such a table. */
struct shape {
	const char *what;
	const char *keys; /* names between blanks */
	size_t items;     /* most values without key; SIZE_MAX = a list */
};

/* A table on Lua's stack with the node of its constructor in the source. */
struct table {
	int idx, node;
	const struct shape *shape;
};

struct declare {
	lua_State *L;
	struct script *script;
	struct locator *locator; /* of the script itself */
	struct err *err;
};

/* The place of the value at `node`; if that is not known, of the table near it, else of the script's `return`. */
struct pos table_place(const struct declare *d, int node, const struct table *near);

/* The table on the top, with all its keys checked. `near` is the table that it is in, NULL = none. */
int table_open(struct declare *d, int node, const struct shape *shape, const struct table *near, struct table *ret);
/* Push the value of a key, or the value without key number i (from 1). *node is its node. Return its type. */
int table_key(struct declare *d, const struct table *table, const char *key, int *node);
int table_item(struct declare *d, const struct table *table, size_t i, int *node);
/* The same for an element of a list, which must not be nil. Returns 0 or -EINVAL. */
int table_element(struct declare *d, const struct table *list, size_t i, int *node);
/* "`WHAT` is WANTED, not a …" of the value on the top. -EINVAL. */
int table_bad_type(struct declare *d, int node, const struct table *near, const char *what, const char *wanted);
/* The nearest of some words (between blanks) to what was typed, or all of them. */
void table_hint(struct err *err, const char *words, const char *typed);

/* The string on the top, copied with its place. */
int table_text(struct declare *d, int node, const struct table *near, const char *what, struct spec_text *ret);
/* Values of optional keys; *ret stays as it is if there is none. */
int table_key_text(struct declare *d, const struct table *table, const char *key, struct spec_text *ret);
int table_key_plain(struct declare *d, const struct table *table, const char *key, char **ret);
int table_number(struct declare *d, const struct table *table, const char *key, uint32_t most, uint32_t *ret);
int table_flag(struct declare *d, const struct table *table, const char *key, unsigned bit, unsigned *bits);
int table_function(struct declare *d, const struct table *table, const char *key, struct script_function *ret);

/* declare_field.c, declare_aggregate.c, declare_probe.c, declare_param.c: parts of the script's table. */
/* What is on the top into `field`, in its short form or its long one. */
int declare_field(struct declare *d, int node, const struct table *list, struct spec_field *field);
int declare_aggregates(struct declare *d, const struct table *probe_table, struct spec_probe *probe);
int declare_fields(struct declare *d, const struct table *probe_table, struct spec_probe *probe);
int declare_probes(struct declare *d, const struct table *script);
int declare_params(struct declare *d, const struct table *script);

#endif
