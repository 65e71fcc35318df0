/* Parameters: { "name", "type", help = …, default = … }. What a type takes is in param.c. */
#include "engine/script/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PARAMS = 64 };

static const struct shape param_shape = {"parameter", " help default ", 2};
static const struct shape params_shape = {"list of parameters", " ", SIZE_MAX};
static const struct shape values_shape = {"list of values", " ", SIZE_MAX};

/* The value on the top as the text that a user would have typed, appended to the scratch text. */
static int add_value(struct declare *d, int node, const struct table *near)
{
	struct text *text = &d->script->scratch;
	size_t len;
	switch (lua_type(d->L, -1)) {
	case LUA_TBOOLEAN:
		text_adds(text, lua_toboolean(d->L, -1) ? "yes" : "no");
		return 0;
	case LUA_TNUMBER:
		if (!lua_isinteger(d->L, -1))
			break;
		text_addi(text, lua_tointeger(d->L, -1));
		return 0;
	case LUA_TSTRING: {
		const char *s = lua_tolstring(d->L, -1, &len);
		text_add(text, s, len);
		return 0;
	}
	default:
		break;
	}
	return table_bad_type(d, node, near, "default", "a boolean, integer, string or a list of them");
}

static int add_values(struct declare *d, int node, const struct table *near)
{
	struct table list;
	int r = table_open(d, node, &values_shape, near, &list);
	size_t n = r == 0 ? lua_rawlen(d->L, list.idx) : 0;
	for (size_t i = 1; i <= n && r == 0; i++) {
		r = table_element(d, &list, i, &node);
		if (i > 1)
			text_addc(&d->script->scratch, ',');
		if (r == 0)
			r = add_value(d, node, &list);
		lua_pop(d->L, 1);
	}
	return r;
}

static int read_default(
        struct declare *d, const struct table *table, struct spec_param *param, struct script_param *mine)
{
	struct text normal = {0}, *typed = &d->script->scratch;
	int node, r;
	text_reset(typed);
	if (table_key(d, table, "default", &node) == LUA_TNIL) {
		lua_pop(d->L, 1);
		return 0;
	}
	r = lua_istable(d->L, -1) ? add_values(d, node, table) : add_value(d, node, table);
	lua_pop(d->L, 1);
	if (r == 0 && text_failed(typed))
		r = err_nomem(d->err);
	if (r == 0 && strlen(text_str(typed)) != typed->len)
		r = err_at(d->err, table_place(d, node, table), "bad-type", "`default` has a zero byte in it");
	if (r < 0)
		return r;
	param->fallback.pos = table_place(d, node, table);
	mine->fallback = strdup(text_str(typed));
	r = param_normalise(param, mine->prefix, text_str(typed), param->fallback.pos, &normal, d->err);
	if (r == 0)
		param->fallback.text = text_steal(&normal);
	text_fini(&normal);
	return r == 0 && (!param->fallback.text || !mine->fallback) ? err_nomem(d->err) : r;
}

static int read_type(struct declare *d, const struct table *table, struct spec_param *param, struct script_param *mine)
{
	struct spec_text type = {0};
	int node, r = 0;
	if (table_item(d, table, 2, &node) == LUA_TNIL)
		r = err_at(d->err, param->name.pos, "bad-param", "parameter '%s' needs a type", param->name.text);
	else
		r = table_text(d, node, table, "type", &type);
	lua_pop(d->L, 1);
	if (r == 0 && !param_type(type.text, param->type, mine->prefix))
		r = err_at(d->err, type.pos, "bad-type", "there is no parameter type '%s'", type.text);
	if (r < 0 && type.text)
		err_hint(d->err, "types: bool, string, u8 to u64, s8 to s64, const:PREFIX; [] behind an integer type "
		                 "makes a list");
	if (r == 0)
		snprintf(mine->type, sizeof(mine->type), "%s", type.text);
	free(type.text);
	return r;
}

/* The parameter on the top. */
static int read_param(struct declare *d, int node, const struct table *list, size_t i)
{
	struct table table;
	int at, r = table_open(d, node, &param_shape, list, &table);
	if (r < 0)
		return r;
	struct spec_param *param = &d->script->spec->params[i];
	struct script_param *mine = &d->script->params[i];
	if (table_item(d, &table, 1, &at) == LUA_TNIL)
		return err_at(d->err, table_place(d, node, list), "bad-param",
		        "a parameter begins with its name: { \"inode\", \"u64[]\" }");
	r = table_text(d, at, &table, "name", &param->name);
	lua_pop(d->L, 1);
	if (r == 0 && !spec_is_identifier(param->name.text, strlen(param->name.text)))
		r = err_at(d->err, param->name.pos, "bad-param",
		        "'%s' is not a name for a parameter (letters, digits, _)", param->name.text);
	for (size_t k = 0; k < i && r == 0; k++)
		if (strcmp(d->script->spec->params[k].name.text, param->name.text) == 0)
			r = err_at(d->err, param->name.pos, "duplicate-param", "there are two parameters '%s'",
			        param->name.text);
	if (r == 0)
		r = read_type(d, &table, param, mine);
	if (r == 0)
		r = table_key_plain(d, &table, "help", &param->help);
	return r < 0 ? r : read_default(d, &table, param, mine);
}

int declare_params(struct declare *d, const struct table *script)
{
	struct table list;
	int node, r;
	if (table_key(d, script, "params", &node) == LUA_TNIL)
		return 0;
	r = table_open(d, node, &params_shape, script, &list);
	size_t n = r == 0 ? lua_rawlen(d->L, list.idx) : 0;
	if (n > MOST_PARAMS)
		return err_at(d->err, table_place(d, node, script), "too-many", "a script has at most %d parameters",
		        MOST_PARAMS);
	d->script->params = calloc(n + 1, sizeof(*d->script->params));
	if (!d->script->params)
		return err_nomem(d->err);
	d->script->nparams = n;
	for (size_t i = 1; i <= n && r == 0; i++) {
		if (!spec_add_param(d->script->spec))
			return err_nomem(d->err);
		r = table_element(d, &list, i, &node);
		if (r == 0)
			r = read_param(d, node, &list, i - 1);
		lua_settop(d->L, list.idx);
	}
	return r;
}
