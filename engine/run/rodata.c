/* Setting .rodata before an object is loaded.
 *
 * The generated programs are the same whatever a script's parameters are, so that the cached object fits every run;
 * what differs is put into .rodata between opening and loading, and the verifier then treats it as a constant and drops
 * the branches that cannot be taken. Where a variable lies is told by the object's own BTF, by name. */
#include "engine/run/rodata.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct btf_var_secinfo *find_variable(const struct btf *btf, const char *symbol)
{
	int section_id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *section = section_id > 0 ? btf__type_by_id(btf, (uint32_t)section_id) : NULL;
	if (!section)
		return NULL;
	const struct btf_var_secinfo *info = btf_var_secinfos(section);
	for (unsigned i = 0; i < btf_vlen(section); i++, info++) {
		const struct btf_type *var = btf__type_by_id(btf, info->type);
		if (var && !strcmp(btf__name_by_offset(btf, var->name_off), symbol))
			return info;
	}
	return NULL;
}

int rodata_set(struct bpf_object *object, const char *symbol, const void *data, size_t len)
{
	const struct btf *btf = bpf_object__btf(object);
	struct bpf_map *map = bpf_object__find_map_by_name(object, ".rodata");
	const struct btf_var_secinfo *info = btf && map ? find_variable(btf, symbol) : NULL;
	if (!info)
		return -ENOENT;
	size_t size;
	char *values = (char *)bpf_map__initial_value(map, &size);
	if (!values || (size_t)info->offset + info->size > size || len > info->size)
		return -E2BIG;
	memcpy(values + info->offset, data, len);
	return 0;
}

/* What the user gave, else the default, else nothing. */
static const struct spec_text *value_of(const struct spec_param *param)
{
	return param->value.text ? &param->value : &param->fallback;
}

static bool is_true(const char *text)
{
	static const char *const words[] = {"1", "true", "yes", "on"};
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(text, words[i]))
			return true;
	return false;
}

static int bad_value(const struct spec_param *param, const char *why, struct err *err)
{
	return err_at(err, value_of(param)->pos, "bad-parameter", "parameter %s (%s): %s", param->name.text,
	        param->type, why);
}

/* One integer of at most slot->width bytes, little end first as both architectures have it. */
static int parse_integer(const struct spec_param *param, const struct param_slot *slot, const char **cursor,
        uint64_t *ret, struct err *err)
{
	char *end;
	const char *text = *cursor + strspn(*cursor, " \t");
	errno = 0;
	*ret = slot->is_signed ? (uint64_t)strtoll(text, &end, 0) : strtoull(text, &end, 0);
	if (end == text || (!slot->is_signed && *text == '-'))
		return bad_value(param, "not a number", err);
	unsigned bits = slot->width * 8;
	int64_t value = (int64_t)*ret;
	bool fits = bits >= 64        ? errno != ERANGE
	            : slot->is_signed ? value >= -(1LL << (bits - 1)) && value < (1LL << (bits - 1))
	                              : *ret >> bits == 0;
	if (!fits)
		return bad_value(param, "out of range", err);
	*cursor = end + strspn(end, " \t");
	return 0;
}

static int set_list(
        struct bpf_object *object, const struct spec_param *param, const struct param_slot *slot, struct err *err)
{
	const char *cursor = value_of(param)->text ? value_of(param)->text : "";
	uint32_t n = 0;
	uint8_t *bytes = calloc(slot->room, slot->width);
	if (!bytes)
		return err_nomem(err);
	int r = 0;
	while (*cursor && r == 0) {
		uint64_t value;
		if (n == slot->room)
			r = bad_value(param, "too many values", err);
		else
			r = parse_integer(param, slot, &cursor, &value, err);
		if (r == 0 && *cursor && *cursor++ != ',')
			r = bad_value(param, "a list is written 1,2,3", err);
		if (r == 0)
			memcpy(bytes + (size_t)slot->width * n++, &value, slot->width);
	}
	char symbol[sizeof(slot->symbol) + 2];
	snprintf(symbol, sizeof(symbol), "%s_n", slot->symbol);
	if (r == 0)
		r = rodata_set(object, slot->symbol, bytes, (size_t)slot->width * n);
	if (r == 0)
		r = rodata_set(object, symbol, &n, sizeof(n));
	free(bytes);
	return r;
}

static int set_string(
        struct bpf_object *object, const struct spec_param *param, const struct param_slot *slot, struct err *err)
{
	const char *text = value_of(param)->text ? value_of(param)->text : "";
	size_t len = strlen(text);
	char *padded = calloc(1, slot->room);
	if (!padded)
		return err_nomem(err);
	int r = len < slot->room ? 0 : bad_value(param, "too long", err);
	if (r == 0) {
		memcpy(padded, text, len);
		r = rodata_set(object, slot->symbol, padded, slot->room);
	}
	free(padded);
	return r;
}

static int set_scalar(
        struct bpf_object *object, const struct spec_param *param, const struct param_slot *slot, struct err *err)
{
	const char *text = value_of(param)->text;
	uint64_t value = 0;
	if (!strcmp(param->type, "bool")) {
		value = text && is_true(text);
	} else if (text && *text) {
		int r = parse_integer(param, slot, &text, &value, err);
		if (r < 0)
			return r;
		if (*text)
			return bad_value(param, "not a number", err);
	}
	return rodata_set(object, slot->symbol, &value, slot->width);
}

static int set_param(
        struct bpf_object *object, const struct spec_param *param, const struct param_slot *slot, struct err *err)
{
	if (!strcmp(param->type, "string"))
		return set_string(object, param, slot, err);
	if (slot->room)
		return set_list(object, param, slot, err);
	return set_scalar(object, param, slot, err);
}

int rodata_set_params(
        struct bpf_object *object, const struct spec *spec, const struct gen_result *plan, struct err *err)
{
	for (size_t i = 0; i < plan->nparams; i++) {
		const struct param_slot *slot = &plan->params[i];
		int r = set_param(object, &spec->params[slot->param], slot, err);
		/* The compiler drops a variable that no expression uses in the end. */
		if (r == -E2BIG)
			err_set(err, r, ERR_RUNTIME, "bad-object", "the compiled object has no room for %s",
			        slot->symbol);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}
