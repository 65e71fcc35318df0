/* Parameters: their types, and values as users type them.
 *
 * Below this layer a parameter is a number, a list of numbers or a text, in one normal form: decimal, commas, 1 and 0.
 * Names are for people, so they end here: `--family unix`, `AF_UNIX` and `1` are the same value of a parameter of type
 * "const:AF_". A wrong value points at the parameter's declaration in the script, since the command line has no lines.
 */
#include "engine/script/state.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"
#include "engine/probe/catalog.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_integer_type(const char *name, size_t n)
{
	static const char *const types[] = {"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64"};
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strlen(types[i]) == n && memcmp(types[i], name, n) == 0)
			return true;
	return false;
}

static bool has_constants(const char *prefix)
{
	size_t n, len = strlen(prefix);
	const struct constant *table = constant_table(&n);
	for (size_t i = 0; i < n; i++)
		if (strncmp(table[i].name, prefix, len) == 0)
			return true;
	return false;
}

bool param_type(const char *name, char ret_type[16], char ret_prefix[32])
{
	size_t n = strlen(name);
	bool list = n > 2 && strcmp(name + n - 2, "[]") == 0;
	n -= list ? 2 : 0;
	ret_prefix[0] = '\0';
	if (n > 6 && n - 6 < 32 && strncmp(name, "const:", 6) == 0) {
		memcpy(ret_prefix, name + 6, n - 6);
		ret_prefix[n - 6] = '\0';
		snprintf(ret_type, 16, "s64%s", list ? "[]" : "");
		return has_constants(ret_prefix);
	}
	if (!is_integer_type(name, n) && (list || (strcmp(name, "bool") != 0 && strcmp(name, "string") != 0)))
		return false;
	snprintf(ret_type, 16, "%s", name);
	return true;
}

static int bad(const struct spec_param *param, struct pos pos, struct err *err, const char *value, const char *why)
{
	return err_at(err, pos, "bad-parameter", "--%s: '%s' %s", param->name.text, value, why);
}

static int normalise_bool(
        const struct spec_param *param, const char *value, struct pos pos, struct text *ret, struct err *err)
{
	static const char *const yes[] = {"", "yes", "true", "on", "1"}, *const no[] = {"no", "false", "off", "0"};
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
		if (strcasecmp(value, yes[i]) == 0)
			return text_addc(ret, '1'), 0;
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		if (strcasecmp(value, no[i]) == 0)
			return text_addc(ret, '0'), 0;
	return bad(param, pos, err, value, "is neither yes nor no");
}

/* "AF_UNIX", "UNIX" and "unix" are all AF_UNIX. */
static const struct constant *find_constant(const char *prefix, const char *value, struct nearest *nearest)
{
	size_t n, len = strlen(prefix);
	const struct constant *table = constant_table(&n);
	bool whole = strncasecmp(value, prefix, len) == 0;
	for (size_t i = 0; i < n; i++) {
		const char *name = table[i].name;
		if (strncmp(name, prefix, len) != 0)
			continue;
		if (strcasecmp(whole ? name : name + len, value) == 0)
			return &table[i];
		nearest_offer(nearest, whole ? name : name + len);
	}
	return NULL;
}

static int normalise_constant(const struct spec_param *param, const char *prefix, const char *value, struct pos pos,
        struct text *ret, struct err *err)
{
	char upper[64];
	size_t i = 0;
	for (; value[i] && i < sizeof(upper) - 1; i++)
		upper[i] = (char)toupper((unsigned char)value[i]);
	upper[i] = '\0';
	struct nearest nearest;
	nearest_init(&nearest, upper);
	const struct constant *constant = find_constant(prefix, value, &nearest);
	if (constant)
		return text_addi(ret, constant->value), 0;
	err_at(err, pos, "bad-parameter", "--%s: there is no constant %s%s", param->name.text,
	        strncasecmp(value, prefix, strlen(prefix)) == 0 ? "" : prefix, upper);
	if (nearest.best)
		err_hint(err, "did you mean %s%s?",
		        strncasecmp(nearest.best, prefix, strlen(prefix)) == 0 ? "" : prefix, nearest.best);
	return -EINVAL;
}

/* One number, decimal or hexadecimal, within its type. */
static int normalise_integer(
        const struct spec_param *param, const char *value, struct pos pos, struct text *ret, struct err *err)
{
	bool is_signed = param->type[0] == 's', negative = value[0] == '-';
	unsigned bits = (unsigned)strtoul(param->type + 1, NULL, 10);
	const char *digits = value + (negative || value[0] == '+');
	int base = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') ? 16 : 10;
	char *end;
	errno = 0;
	unsigned long long n = strtoull(digits, &end, base);
	if (!isdigit((unsigned char)digits[0]) || *end)
		return bad(param, pos, err, value, "is not a number");
	uint64_t most = is_signed ? (UINT64_C(1) << (bits - 1)) - !negative : UINT64_MAX >> (64 - bits);
	if (errno == ERANGE || n > most || (negative && !is_signed && n))
		return err_at(err, pos, "bad-parameter", "--%s: %s does not fit into %.*s", param->name.text, value,
		        (int)strcspn(param->type, "["), param->type);
	if (negative && n)
		text_addc(ret, '-');
	text_addu(ret, n);
	return 0;
}

static int normalise_one(const struct spec_param *param, const char *prefix, const char *value, struct pos pos,
        struct text *ret, struct err *err)
{
	bool number = isdigit((unsigned char)value[0]) || value[0] == '-' || value[0] == '+';
	if (prefix[0] && !number && value[0])
		return normalise_constant(param, prefix, value, pos, ret, err);
	return normalise_integer(param, value, pos, ret, err);
}

/* "1, 2,3" */
static int normalise_list(const struct spec_param *param, const char *prefix, const char *value, struct pos pos,
        struct text *ret, struct err *err)
{
	int r = 0;
	const char *at = value + strspn(value, " ");
	while (*at && r == 0) {
		char one[64];
		size_t n = strcspn(at, ", ");
		if (n >= sizeof(one))
			return bad(param, pos, err, value, "has too long a number");
		memcpy(one, at, n);
		one[n] = '\0';
		if (ret->len)
			text_addc(ret, ',');
		r = normalise_one(param, prefix, one, pos, ret, err);
		at += n + strspn(at + n, " ");
		if (r == 0 && *at == ',') {
			at += 1 + strspn(at + 1, " ");
			if (!*at)
				return bad(param, pos, err, value, "ends with a comma");
		} else if (r == 0 && *at) {
			return bad(param, pos, err, value, "is not a list; a list is written 1,2,3");
		}
	}
	return r;
}

int param_normalise(const struct spec_param *param, const char *prefix, const char *value, struct pos pos,
        struct text *ret, struct err *err)
{
	int r = 0;
	if (strcmp(param->type, "bool") == 0)
		r = normalise_bool(param, value, pos, ret, err);
	else if (strcmp(param->type, "string") == 0)
		text_adds(ret, value);
	else if (strchr(param->type, '['))
		r = normalise_list(param, prefix, value, pos, ret, err);
	else
		r = normalise_one(param, prefix, value, pos, ret, err);
	if (r == 0)
		text_adds(ret, ""); /* so that there is a text even if it is empty */
	return r == 0 && text_failed(ret) ? err_nomem(err) : r;
}

void script_param(const struct script *script, size_t i, const char **ret_type, const char **ret_fallback)
{
	*ret_type = script->params[i].type;
	*ret_fallback = script->params[i].fallback;
}

int script_set_param(struct script *script, const char *name, const char *value, struct err *err)
{
	struct spec *spec = script->spec;
	struct nearest nearest;
	nearest_init(&nearest, name);
	for (size_t i = 0; i < spec->nparams; i++) {
		struct spec_param *param = &spec->params[i];
		nearest_offer(&nearest, param->name.text);
		if (strcmp(param->name.text, name) != 0)
			continue;
		struct text normal = {0};
		int r = param_normalise(
		        param, script->params[i].prefix, value ? value : "", param->name.pos, &normal, err);
		if (r == 0) {
			free(param->value.text);
			param->value.pos = param->name.pos;
			param->value.text = text_steal(&normal);
		}
		text_fini(&normal);
		return r;
	}
	err_set(err, -EINVAL, ERR_SCRIPT, "unknown-parameter", "%s has no parameter --%s", spec->name, name);
	if (nearest.best)
		err_hint(err, "did you mean --%s?", nearest.best);
	return -EINVAL;
}
