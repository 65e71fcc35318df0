/* Fields: "name", "name = expression", { "name", "expression", as = "AF_" }.
 *
 * What an expression means is the generator's to judge; here a field gets its name, its parts get their places, and names
 * that would hide something are refused. */
#include "engine/script/table.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct shape field_shape = {"field", " as ", 2};
static const struct shape fields_shape = {"list of fields", " ", SIZE_MAX};

/* A field of this name would hide what every event has. `type` is a kind of record only in JSON, where the field is
 * written as `type_`. */
static const char *const reserved_fields[] = {"probe", "time", "nsecs", "number", "pid", "tid", "ppid", "comm",
        "ustack", "kstack", "ustack_end", "kstack_end", "copy", "show", NULL};

/* The '=' that separates name and expression, or NULL: not one of == != ~= <= >=. */
static const char *find_assign(const char *s)
{
	for (const char *p = s; *p; p++) {
		if (*p == '=' && p[1] == '=')
			p++;
		else if (*p == '=' && (p == s || !strchr("!~<>", p[-1])))
			return p;
	}
	return NULL;
}

/* A part of a string, without the blanks around it, with its own place. */
static int cut(const struct spec_text *whole, const char *from, const char *to, struct spec_text *ret)
{
	while (from < to && isspace((unsigned char)*from))
		from++;
	while (to > from && isspace((unsigned char)to[-1]))
		to--;
	ret->pos = whole->pos;
	for (const char *p = whole->text; p < from && ret->pos.line; p++) {
		ret->pos.col = *p == '\n' ? 1 : ret->pos.col + 1;
		ret->pos.line += *p == '\n';
	}
	ret->text = strndup(from, (size_t)(to - from));
	return ret->text ? 0 : -ENOMEM;
}

/* "name" or "name = expression". */
static int split_field(struct declare *d, const struct spec_text *whole, struct spec_field *field)
{
	const char *end = whole->text + strlen(whole->text), *assign = find_assign(whole->text);
	int r = cut(whole, whole->text, assign ? assign : end, &field->name);
	if (r == 0)
		r = assign ? cut(whole, assign + 1, end, &field->expr) : cut(whole, whole->text, end, &field->expr);
	if (r < 0)
		return err_nomem(d->err);
	if (assign || table_is_identifier(field->name.text, strlen(field->name.text)))
		return 0;
	err_at(d->err, field->name.pos, "bad-field", "a field needs a name: \"name = expression\"");
	return -EINVAL;
}

static int check_field(struct declare *d, const struct spec_probe *probe, const struct spec_field *field)
{
	const struct spec_text *name = &field->name;
	if (!table_is_identifier(name->text, strlen(name->text)))
		return err_at(d->err, name->pos, "bad-field", "'%s' is not a name for a field (letters, digits, _)",
		        name->text);
	if (!field->expr.text[0])
		return err_at(d->err, field->expr.pos, "bad-field", "field '%s' has no expression", name->text);
	for (size_t i = 0; reserved_fields[i]; i++) {
		if (strcmp(reserved_fields[i], name->text) != 0)
			continue;
		err_at(d->err, name->pos, "reserved-name", "every event has '%s' already; a field needs another name",
		        name->text);
		err_hint(d->err, "write \"my_%s = …\", or leave it out", name->text);
		return -EINVAL;
	}
	for (const struct spec_field *other = probe->fields; other < field; other++)
		if (strcmp(other->name.text, name->text) == 0)
			return err_at(d->err, name->pos, "duplicate-field", "there are two fields '%s'", name->text);
	return 0;
}

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
	else if (cut(&field->name, field->name.text, strchr(field->name.text, '\0'), &field->expr) < 0)
		r = err_nomem(d->err);
	lua_pop(d->L, 1);
	return r < 0 ? r : table_key_text(d, table, "as", &field->as);
}

/* The field on the top. */
static int read_field(struct declare *d, int node, const struct table *list, struct spec_probe *probe)
{
	struct table table;
	struct spec_field *field = spec_add_field(probe);
	if (!field)
		return err_nomem(d->err);
	int r;
	if (lua_istable(d->L, -1)) {
		r = table_open(d, node, &field_shape, list, &table);
		if (r == 0)
			r = read_long_field(d, &table, field);
	} else {
		struct spec_text whole = {0};
		r = table_text(d, node, list, "field", &whole);
		if (r == 0)
			r = split_field(d, &whole, field);
		free(whole.text);
	}
	return r < 0 ? r : check_field(d, probe, field);
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
