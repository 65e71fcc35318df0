/* Names in expressions: builtins, earlier fields, the probe's arguments, constants, parameters.
 *
 * A name is looked up in that order; `args.NAME` is always the probe's argument, so a builtin (`pid` in kill()) or a field
 * (`fd = ret`) hides nothing for good. A builtin that a probe does not have (`ret` of a tracepoint) hides nothing either.
 *
 * execve() clears the registers and the memory that its arguments point to, so for it and its like every argument is what
 * it was at the entry, as if entry() were written around it. */
#include "engine/probe/typing.h"
#include "engine/base/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static const struct {
	const char *name;
	struct type type;
	unsigned needs;
	bool syscall_only;
} builtins[BUILTIN_COUNT] = {
        [BUILTIN_PID] = {"pid", {.kind = TYPE_INT, .width = 4}},
        [BUILTIN_TID] = {"tid", {.kind = TYPE_INT, .width = 4}},
        [BUILTIN_PPID] = {"ppid", {.kind = TYPE_INT, .width = 4}},
        [BUILTIN_UID] = {"uid", {.kind = TYPE_INT, .width = 4}},
        [BUILTIN_GID] = {"gid", {.kind = TYPE_INT, .width = 4}},
        [BUILTIN_COMM] = {"comm", {.kind = TYPE_STR, .size = 16}},
        [BUILTIN_CPU] = {"cpu", {.kind = TYPE_INT, .width = 4}, NEEDS_EXIT},
        [BUILTIN_CGROUP] = {"cgroup", {.kind = TYPE_INT, .width = 8}},
        [BUILTIN_NS_PID] = {"ns_pid", {.kind = TYPE_INT, .width = 4}},
        [BUILTIN_NSECS] = {"nsecs", {.kind = TYPE_INT, .width = 8}, NEEDS_EXIT},
        [BUILTIN_PROBE] = {"probe", {.kind = TYPE_STR}},
        [BUILTIN_RET] = {"ret", {.kind = TYPE_INT, .width = 8, .is_signed = true}, NEEDS_EXIT, true},
        [BUILTIN_ERRNO] = {"errno", {.kind = TYPE_INT, .width = 4, .is_signed = true, .format = FORMAT_ERRNO},
                NEEDS_EXIT, true},
        [BUILTIN_ELAPSED] = {"elapsed", {.kind = TYPE_INT, .width = 8, .format = FORMAT_NS}, NEEDS_ENTRY | NEEDS_FAIL,
                true},
        [BUILTIN_TASK] = {"task", {.kind = TYPE_KPTR, .width = 8}},
};

const char *builtin_name(enum builtin builtin)
{
	return builtins[builtin].name;
}

static bool is_constant_name(const char *name)
{
	bool upper = false;
	for (const char *s = name; *s; s++) {
		if (islower((unsigned char)*s))
			return false;
		upper = upper || isupper((unsigned char)*s);
	}
	return upper;
}

static void offer_scope(struct typer *t, struct nearest *nearest, bool arguments_only)
{
	const struct scope *scope = t->scope;
	for (size_t i = 0; i < scope->format->narguments; i++)
		nearest_offer(nearest, scope->format->arguments[i].name);
	if (arguments_only)
		return;
	for (size_t i = 0; i < BUILTIN_COUNT; i++) {
		if (!builtins[i].syscall_only || scope->kind == PROBE_SYSCALL)
			nearest_offer(nearest, builtins[i].name);
	}
	for (size_t i = 0; i < scope->nfields; i++)
		nearest_offer(nearest, scope->fields[i].name);
}

static void hint_arguments(struct typer *t)
{
	char list[200] = "";
	for (size_t i = 0; i < t->scope->format->narguments; i++) {
		const char *name = t->scope->format->arguments[i].name;
		if (strlen(list) + strlen(name) + 3 > sizeof(list))
			break;
		strcat(strcat(list, i ? ", " : ""), name);
	}
	err_hint(t->err, "%s has %s%s", t->scope->probe, list[0] ? "the arguments " : "no arguments", list);
}

static int unknown_constant(struct typer *t, const struct expr *e)
{
	struct nearest nearest;
	nearest_init(&nearest, e->text);
	size_t n;
	const struct constant *table = constant_table(&n);
	for (size_t i = 0; i < n; i++)
		nearest_offer(&nearest, table[i].name);
	int r = typer_fail(t, e, "unknown-constant", "'%s' is no known constant", e->text);
	if (nearest.best)
		err_hint(t->err, "did you mean %s?", nearest.best);
	return r;
}

/* A condition is tested before there are fields. */
static bool is_later_field(const struct scope *scope, const char *name)
{
	for (size_t i = 0; scope->where_of && i < scope->where_of->nfields; i++) {
		if (!strcmp(scope->where_of->fields[i].name.text, name))
			return true;
	}
	return false;
}

static int unknown_name(struct typer *t, const struct expr *e, bool arguments_only)
{
	if (!arguments_only && is_constant_name(e->text))
		return unknown_constant(t, e);
	struct nearest nearest;
	nearest_init(&nearest, e->text);
	offer_scope(t, &nearest, arguments_only);
	int r = typer_fail(t, e, "unknown-field", "%s has nothing called '%s'", t->scope->probe, e->text);
	if (is_later_field(t->scope, e->text))
		err_hint(t->err, "%s before there are fields: write what '%s' is made of",
		        t->scope->counts ? "it is counted" : "a condition is tested", e->text);
	else if (nearest.best)
		err_hint(t->err, "did you mean %s?", nearest.best);
	else
		hint_arguments(t);
	return r;
}

/* "struct sk_buff *" → "sk_buff", if that is what the type is. */
static bool pointed_struct(const char *type, char *ret, size_t size)
{
	const char *s = strncmp(type, "const ", 6) ? type : type + 6;
	size_t len = strncmp(s, "struct ", 7) ? 0 : strcspn(s + 7, " *");
	if (!len || len >= size || strcmp(s + 7 + len, " *") != 0)
		return false;
	memcpy(ret, s + 7, len);
	ret[len] = 0;
	return true;
}

static bool is_char_type(const char *type)
{
	return strstr(type, "char") && !strstr(type, "unsigned") && !strstr(type, "signed");
}

static void type_tracepoint_pointer(struct typer *t, const struct argument *argument, struct type *ret)
{
	char name[64];
	struct ktype found;
	struct err ignored;
	*ret = type_int(8, false);
	ret->format = FORMAT_HEX;
	if (pointed_struct(argument->type, name, sizeof(name)) &&
	        catalog_struct(t->scope->catalog, name, &found, &ignored) == 0)
		*ret = (struct type){.kind = TYPE_KPTR, .width = 8, .id = found.type_id, .format = FORMAT_HEX};
}

static int type_argument(struct typer *t, const struct expr *e, const struct argument *argument, struct type *ret)
{
	bool tracepoint = t->scope->kind == PROBE_TRACEPOINT;
	*ret = type_int(argument->size, argument->is_signed);
	if (argument->is_dynamic && is_char_type(argument->type)) {
		*ret = (struct type){.kind = TYPE_STR, .size = TEXT_DEFAULT};
	} else if (argument->is_dynamic) {
		*ret = (struct type){.kind = TYPE_BYTES, .size = TEXT_DEFAULT};
	} else if (argument->elements && is_char_type(argument->type)) {
		*ret = (struct type){.kind = TYPE_STR, .size = (argument->size + 8) & ~7u};
	} else if (argument->elements) {
		*ret = type_int(argument->size / argument->elements, argument->is_signed);
		ret->count = (uint16_t)(argument->elements > ARRAY_MAX ? ARRAY_MAX : argument->elements);
	} else if (argument->is_pointer && tracepoint) {
		type_tracepoint_pointer(t, argument, ret);
	} else if (argument->is_pointer) {
		*ret = (struct type){
		        .kind = TYPE_USER, .width = 8, .is_text = argument->is_user_string, .format = FORMAT_HEX};
	}
	if (ret->width != 1 && ret->width != 2 && ret->width != 4 && ret->width != 8 && ret->kind <= TYPE_BOOL)
		return typer_fail(t, e, "type-mismatch", "'%s' has the type %s, which expressions cannot hold",
		        argument->name, argument->type);
	return 0;
}

static const struct argument *find_argument(const struct scope *scope, const char *name, size_t *ret_index)
{
	for (size_t i = 0; i < scope->format->narguments; i++) {
		if (!strcmp(scope->format->arguments[i].name, name)) {
			*ret_index = i;
			return &scope->format->arguments[i];
		}
	}
	return NULL;
}

static bool arguments_do_not_last(const struct scope *scope)
{
	return scope->kind == PROBE_SYSCALL && !scope->at_entry &&
	       (!strcmp(scope->format->name, "execve") || !strcmp(scope->format->name, "execveat"));
}

/* Puts entry() around a node, in place. */
static int wrap_entry(struct typer *t, struct expr *e)
{
	struct expr *inner = expr_node(t->tree, e->op, e->at);
	if (!inner)
		return err_nomem(t->err);
	struct expr *next = inner->next_node;
	*inner = *e;
	inner->next_node = next;
	*e = (struct expr){
	        .op = EXPR_ENTRY, .at = inner->at, .a = inner, .type = inner->type, .next_node = e->next_node};
	e->needs = NEEDS_ENTRY | NEEDS_FAIL;
	e->index = t->scope->nentries++;
	return 0;
}

static int use_argument(struct typer *t, struct expr *e, const struct argument *argument)
{
	e->op = EXPR_ARG;
	if (t->scope->kind == PROBE_TRACEPOINT && (argument->is_dynamic || argument->elements))
		e->needs = NEEDS_FAIL;
	int r = type_argument(t, e, argument, &e->type);
	if (r < 0 || t->scope->in_entry || !arguments_do_not_last(t->scope))
		return r;
	return wrap_entry(t, e);
}

int typer_argument(struct typer *t, struct expr *e)
{
	const struct argument *argument = find_argument(t->scope, e->text, &e->index);
	return argument ? use_argument(t, e, argument) : unknown_name(t, e, true);
}

static int use_builtin(struct typer *t, struct expr *e, size_t i)
{
	struct ktype task;
	int r;
	if (t->scope->in_entry && ((builtins[i].needs & NEEDS_ENTRY) || builtins[i].syscall_only))
		return typer_fail(t, e, "not-available", "'%s' is not known at the entry", e->text);
	if (t->scope->at_entry && builtins[i].syscall_only) {
		r = typer_fail(t, e, "not-available", "'%s' is not known at the entry", e->text);
		err_hint(t->err, "without at = \"entry\" the probe fires when the call returns");
		return r;
	}
	e->op = EXPR_BUILTIN;
	e->index = i;
	e->type = builtins[i].type;
	e->needs = builtins[i].needs;
	if (i == BUILTIN_PROBE)
		e->type.size = (uint32_t)(strlen(t->scope->probe) + 8) & ~7u;
	if (i == BUILTIN_TASK) {
		if ((r = catalog_struct(t->scope->catalog, "task_struct", &task, t->err)) < 0)
			return expr_place(t->tree->source, e->at, t->err, r);
		e->type.id = task.type_id;
	}
	return 0;
}

/* `addr` of bind(), connect() …: the socket address that a call takes, though its argument has another name. */
static int use_address(struct typer *t, struct expr *e, bool *ret_found)
{
	const struct event_format *format = t->scope->format;
	*ret_found = false;
	if (t->scope->kind != PROBE_SYSCALL || strcmp(e->text, "addr") != 0)
		return 0;
	for (size_t i = 0; i + 1 < format->narguments; i++) {
		if (!format->arguments[i].is_pointer || !strstr(format->arguments[i].type, "struct sockaddr "))
			continue;
		*ret_found = true;
		return typer_sockaddr(t, e, format->arguments[i].name, format->arguments[i + 1].name);
	}
	return 0;
}

static int missing_builtin(struct typer *t, const struct expr *e)
{
	for (size_t i = 0; i < BUILTIN_COUNT; i++) {
		if (builtins[i].syscall_only && !strcmp(builtins[i].name, e->text))
			return typer_fail(t, e, "not-available", "'%s' is there for system calls, not for %s", e->text,
			        t->scope->probe);
	}
	return unknown_name(t, e, false);
}

static bool find_field(const struct scope *scope, const char *name, size_t *ret_index)
{
	for (size_t i = scope->nfields; i-- > 0;) {
		if (!strcmp(scope->fields[i].name, name)) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

static int use_field(struct typer *t, struct expr *e)
{
	if (t->scope->in_entry)
		return typer_fail(t, e, "not-available", "the field '%s' is not known at the entry", e->text);
	e->op = EXPR_FIELD;
	e->type = t->scope->fields[e->index].type;
	e->needs = NEEDS_FIELD | NEEDS_EXIT | NEEDS_FAIL;
	return 0;
}

int typer_name(struct typer *t, struct expr *e)
{
	const struct scope *scope = t->scope;
	for (size_t i = 0; i < BUILTIN_COUNT; i++) {
		bool here = !builtins[i].syscall_only || scope->kind == PROBE_SYSCALL;
		if (here && !strcmp(builtins[i].name, e->text))
			return use_builtin(t, e, i);
	}
	size_t index = 0;
	const struct argument *argument = find_argument(scope, e->text, &index);
	/* At the entry there are no fields yet, so there a field hides no argument. */
	if (!(scope->in_entry && argument) && find_field(scope, e->text, &e->index))
		return use_field(t, e);
	e->index = index;
	if (argument)
		return use_argument(t, e, argument);
	const struct constant *constant = constant_find(e->text);
	if (constant) {
		e->op = EXPR_INT;
		e->value = constant->value;
		e->type = type_int(8, true);
		return 0;
	}
	bool found;
	int r = use_address(t, e, &found);
	return found || r < 0 ? r : missing_builtin(t, e);
}

/* The element type of a parameter's type: "u64[]" → 8 bytes, unsigned; "const:AF_" is a number like any constant. */
struct type type_of_param(const char *type)
{
	if (!strncmp(type, "const:", 6))
		return type_int(8, true);
	return type_int(type[1] == '8' ? 1 : type[1] == '1' ? 2 : type[1] == '3' ? 4 : 8, type[0] == 's');
}

static void type_param(const struct spec_param *param, struct type *ret)
{
	memset(ret, 0, sizeof(*ret));
	bool list = strstr(param->type, "[]") != NULL;
	if (!strncmp(param->type, "bool", 4)) {
		ret->kind = TYPE_BOOL;
		ret->width = 1;
	} else if (!strncmp(param->type, "string", 6)) {
		ret->kind = TYPE_STR;
		ret->size = TEXT_DEFAULT;
	} else {
		*ret = type_of_param(param->type);
	}
	if (list)
		ret->kind = TYPE_LIST;
}

int typer_param(struct typer *t, struct expr *e)
{
	struct nearest nearest;
	nearest_init(&nearest, e->text);
	for (size_t i = 0; i < t->scope->spec->nparams; i++) {
		const struct spec_param *param = &t->scope->spec->params[i];
		nearest_offer(&nearest, param->name.text);
		if (!strcmp(param->name.text, e->text)) {
			e->index = i;
			type_param(param, &e->type);
			return 0;
		}
	}
	int r = typer_fail(t, e, "unknown-parameter", "the script has no parameter '%s'", e->text);
	if (nearest.best)
		err_hint(t->err, "did you mean $%s?", nearest.best);
	return r;
}

/* entry(e): computed when the call starts and kept until it returns. */
int typer_entry(struct typer *t, struct expr *e)
{
	if (t->scope->kind != PROBE_SYSCALL)
		return typer_fail(
		        t, e, "not-available", "entry() is there for system calls, not for %s", t->scope->probe);
	if (t->scope->in_entry)
		return typer_fail(t, e, "type-mismatch", "entry() inside entry()");
	if (t->scope->at_entry)
		return typer_fail(t, e, "type-mismatch", "entry() in a probe at the entry: everything is of the entry");
	if (e->nargs != 1)
		return typer_fail(t, e, "wrong-arguments", "entry(expression) takes one argument, not %zu", e->nargs);
	t->scope->in_entry = true;
	int r = typer_visit(t, e->args[0]);
	if (r == 0)
		r = typer_text(t, &e->args[0]);
	t->scope->in_entry = false;
	if (r < 0)
		return r;
	const struct expr *inner = e->args[0];
	bool kept = type_is_number(&inner->type) || inner->type.kind == TYPE_STR || inner->type.kind == TYPE_BYTES ||
	            inner->type.kind == TYPE_SOCKADDR || inner->type.kind == TYPE_KPTR || inner->type.count;
	if (!kept)
		return typer_fail(t, e, "type-mismatch", "entry() cannot keep %s", type_name(&inner->type));
	e->op = EXPR_ENTRY;
	e->a = e->args[0];
	e->nargs = 0;
	e->type = e->a->type;
	e->type.each = e->type.varies = false;
	e->needs = NEEDS_ENTRY | NEEDS_FAIL;
	e->index = t->scope->nentries++;
	return 0;
}

/* A function that reads user memory, in a call whose memory is gone at its exit. */
int typer_at_entry(struct typer *t, struct expr *call, int (*check)(struct typer *t, struct expr *call))
{
	if (t->scope->in_entry || !arguments_do_not_last(t->scope))
		return check(t, call);
	for (size_t i = 0; i < call->nargs; i++) { /* what is inside need not be kept on its own */
		if (call->args[i]->op == EXPR_ENTRY)
			call->args[i] = call->args[i]->a;
	}
	t->scope->in_entry = true;
	int r = check(t, call);
	t->scope->in_entry = false;
	return r < 0 ? r : wrap_entry(t, call);
}
