/* Fields: "name", "name = expression", { "name", "expression", as = "AF_" }.
 *
 * What an expression means is the generator's to judge; here a field gets its name, its parts get their places, and names
 * that would hide something are refused. */
#include "engine/script/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct shape field_shape = {"field", " as ", 2};
static const struct shape fields_shape = {"list of fields", " ", SIZE_MAX};

/* { "name", "expression", as = "AF_" } */
static int read_long_field(struct declare *d, const struct table *table, struct spec_field *field)
{
	int node, r;
	table_item(d, table, 1, &node);
	r = table_text(d, node, table, "name", &field->name);
	lua_pop(d->L, 1);
	if (r < 0)
		return r;
	if (table_item(d, table, 2, &node) != LUA_TNIL)
		r = table_text(d, node, table, "expression", &field->expr);
	else if (!(field->expr.text = strdup(field->name.text)))
		r = err_nomem(d->err);
	else
		field->expr.pos = field->name.pos;
	lua_pop(d->L, 1);
	return r < 0 ? r : table_key_text(d, table, "as", &field->as);
}

int declare_field(struct declare *d, int node, const struct table *list, struct spec_field *field)
{
	struct table table;
	int r;
	if (lua_istable(d->L, -1)) {
		r = table_open(d, node, &field_shape, list, &table);
		if (r == 0)
			r = read_long_field(d, &table, field);
	} else {
		struct spec_text whole = {0};
		r = table_text(d, node, list, "field", &whole);
		if (r == 0)
			r = spec_split_field(&whole, field, d->err);
		free(whole.text);
	}
	return r;
}

/* The field on the top. */
static int read_field(struct declare *d, int node, const struct table *list, struct spec_probe *probe)
{
	struct spec_field *field = spec_add_field(probe);
	int r = field ? declare_field(d, node, list, field) : err_nomem(d->err);
	return r < 0 ? r : spec_check_field(probe, field, d->err);
}

int declare_fields(struct declare *d, const struct table *owner, struct spec_probe *probe)
{
	struct table list;
	int node, r = 0;
	if (table_key(d, owner, "fields", &node) != LUA_TNIL) {
		r = table_open(d, node, &fields_shape, owner, &list);
		size_t n = r == 0 ? lua_rawlen(d->L, list.idx) : 0;
		if (n > SCHEMA_MAX_FIELDS)
			r = err_at(d->err, table_place(d, node, owner), "too-many", "a probe has at most %d fields",
			        SCHEMA_MAX_FIELDS);
		for (size_t i = 1; i <= n && r == 0; i++) {
			r = table_element(d, &list, i, &node);
			if (r == 0)
				r = read_field(d, node, &list, probe);
			lua_pop(d->L, 1);
		}
	}
	lua_pop(d->L, 1);
	return r;
}
