/* The functions that expressions can call: how many arguments of what type, and the type of the result.
 *
 * Sizes are constants, because the record has its room fixed when the program is made. A function of one number applied to
 * an array gives the array of its results, each of which can be missing on its own. */
#include "engine/probe/gen_impl.h"
#include "engine/base/nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int visit_args(struct typer *t, struct expr *call)
{
	for (size_t i = 0; i < call->nargs; i++) {
		int r = typer_visit(t, call->args[i]);
		if (r < 0)
			return r;
		call->needs |= call->args[i]->needs;
	}
	return 0;
}

static int want_address(struct typer *t, const struct expr *e, bool kernel)
{
	if (type_is_number(&e->type) && e->type.kind != TYPE_BOOL)
		return 0;
	if (e->type.kind == TYPE_KPTR && kernel)
		return 0;
	int r = typer_fail(t, e, "type-mismatch", "an address is needed here, and this is %s", type_name(&e->type));
	if (e->type.kind == TYPE_KPTR)
		err_hint(t->err, "kernel memory is read with -> or kstr(); this function reads the process's");
	else if (e->type.kind == TYPE_STR)
		err_hint(t->err,
		        e->op == EXPR_FIELD ? "the field is text; args.%s is the argument" : "it is text already",
		        e->text);
	return r;
}

static int want_integer(struct typer *t, const struct expr *e)
{
	if (type_is_number(&e->type))
		return 0;
	return typer_fail(t, e, "type-mismatch", "a number is needed here, and this is %s", type_name(&e->type));
}

/* A constant argument between 1 and max. */
static int want_size(struct typer *t, const struct expr *e, int64_t max, int64_t *ret)
{
	if (!expr_is_constant(e))
		return typer_fail(t, e, "type-mismatch", "a constant is needed here: the record has its room fixed");
	if (e->is_unsigned || e->value < 1 || e->value > max)
		return typer_fail(t, e, "type-mismatch", "must be from 1 to %lld", (long long)max);
	*ret = e->value;
	return 0;
}

static uint32_t round_up(int64_t n)
{
	return (uint32_t)(n + 7) & ~7u;
}

static int check_text(struct typer *t, struct expr *call, bool kernel)
{
	int64_t n = TEXT_DEFAULT - 1;
	int r = visit_args(t, call);
	if (r < 0 || (r = want_address(t, call->args[0], kernel)) < 0)
		return r;
	if (call->nargs > 1 && (r = want_size(t, call->args[1], TEXT_MAX - 1, &n)) < 0)
		return r;
	call->type = (struct type){.kind = TYPE_STR, .size = round_up(n + 1)};
	call->value = n + 1;
	call->needs |= NEEDS_EXIT | NEEDS_FAIL;
	return 0;
}

static int check_str(struct typer *t, struct expr *call)
{
	return check_text(t, call, false);
}

static int check_kstr(struct typer *t, struct expr *call)
{
	return check_text(t, call, true);
}

static int check_buf(struct typer *t, struct expr *call)
{
	int64_t n = TEXT_DEFAULT;
	int r = visit_args(t, call);
	if (r < 0 || (r = want_address(t, call->args[0], false)) < 0 || (r = want_integer(t, call->args[1])) < 0)
		return r;
	if (call->nargs > 2)
		r = want_size(t, call->args[2], TEXT_MAX, &n);
	else if (expr_is_constant(call->args[1]))
		r = want_size(t, call->args[1], TEXT_MAX, &n);
	if (r < 0)
		return r;
	call->type = (struct type){.kind = TYPE_BYTES, .size = round_up(n + 4)};
	call->value = n;
	call->needs |= NEEDS_EXIT | NEEDS_FAIL;
	return 0;
}

static const struct function *function_of(const struct expr *call)
{
	size_t n;
	return &function_table(&n)[call->function];
}

static int check_read(struct typer *t, struct expr *call)
{
	int64_t n = 0;
	int r = visit_args(t, call);
	if (r < 0 || (r = want_address(t, call->args[0], false)) < 0)
		return r;
	if (call->nargs > 1 && (r = want_size(t, call->args[1], ARRAY_MAX, &n)) < 0)
		return r;
	call->type = type_int(function_of(call)->width, function_of(call)->is_signed);
	call->type.count = (uint16_t)n;
	call->needs |= NEEDS_EXIT | NEEDS_FAIL;
	return 0;
}

static int check_sockaddr(struct typer *t, struct expr *call)
{
	int r = visit_args(t, call);
	if (r < 0 || (r = want_address(t, call->args[0], false)) < 0 || (r = want_integer(t, call->args[1])) < 0)
		return r;
	call->type = (struct type){.kind = TYPE_SOCKADDR, .size = SOCKADDR_ROOM};
	call->needs |= NEEDS_EXIT | NEEDS_FAIL;
	return 0;
}

/* A descriptor, or an array of them. */
static int check_descriptor(struct typer *t, struct expr *call)
{
	int r = visit_args(t, call);
	if (r < 0)
		return r;
	const struct type *fd = &call->args[0]->type;
	if (fd->kind != TYPE_INT)
		return typer_fail(t, call->args[0], "type-mismatch", "a descriptor is needed here, and this is %s",
		        type_name(fd));
	call->type = type_int(function_of(call)->width, function_of(call)->is_signed);
	call->type.count = fd->count;
	call->type.each = fd->count > 0;
	call->type.varies = fd->varies;
	call->needs |= NEEDS_EXIT | NEEDS_FAIL;
	return 0;
}

static bool is_file(struct typer *t, const struct expr *e)
{
	struct ktype type;
	return e->type.kind == TYPE_KPTR && e->type.id &&
	       catalog_type(t->scope->catalog, e->type.id, &type, t->err) == 0 && !strcmp(type.name, "file");
}

/* A descriptor, an array of them, or an open file. */
static int check_of_file(struct typer *t, struct expr *call)
{
	int r = visit_args(t, call);
	if (r < 0)
		return r;
	if (!is_file(t, call->args[0]))
		return check_descriptor(t, call);
	call->type = type_int(function_of(call)->width, function_of(call)->is_signed);
	call->needs |= NEEDS_EXIT | NEEDS_FAIL;
	return 0;
}

/* Of one descriptor a pointer whose members can be asked for; of several the addresses, as numbers. */
static int check_file(struct typer *t, struct expr *call)
{
	struct ktype file;
	int r = check_descriptor(t, call);
	if (r < 0)
		return r;
	call->type.format = FORMAT_HEX;
	if (call->type.count)
		return 0;
	if ((r = catalog_struct(t->scope->catalog, "file", &file, t->err)) < 0)
		return expr_place(t->tree->source, call->at, t->err, r);
	call->type = (struct type){.kind = TYPE_KPTR, .width = 8, .id = file.type_id, .format = FORMAT_HEX};
	return 0;
}

static int check_path(struct typer *t, struct expr *call)
{
	int r = check_of_file(t, call);
	if (r < 0)
		return r;
	if (call->type.count)
		return typer_fail(t, call->args[0], "type-mismatch", "fd_path() takes one descriptor, not an array");
	call->type = (struct type){.kind = TYPE_STR, .size = PATH_ROOM};
	return 0;
}

/* An address that nothing but the script knows to be that of a structure. */
static int check_kptr(struct typer *t, struct expr *call)
{
	struct ktype type;
	int r = visit_args(t, call);
	if (r < 0 || (r = want_address(t, call->args[0], true)) < 0)
		return r;
	const struct expr *name = call->args[1];
	if (name->op != EXPR_STRING)
		return typer_fail(t, name, "type-mismatch", "the name of a kernel structure is needed here, in quotes");
	if ((r = catalog_struct(t->scope->catalog, name->text, &type, t->err)) < 0)
		return expr_place(t->tree->source, name->at, t->err, r);
	call->type = (struct type){.kind = TYPE_KPTR, .width = 8, .id = type.type_id, .format = FORMAT_HEX};
	return 0;
}

/* A pointer that a kernel structure keeps for the process: an address in the process's memory. */
static int check_uptr(struct typer *t, struct expr *call)
{
	int r = visit_args(t, call);
	if (r < 0 || (r = want_address(t, call->args[0], true)) < 0)
		return r;
	call->type = type_int(8, false);
	call->type.format = FORMAT_HEX;
	return 0;
}

/* The only one that takes anything, and that always has a value. */
static int check_has(struct typer *t, struct expr *call)
{
	int r = visit_args(t, call);
	if (r < 0)
		return r;
	const struct type *type = &call->args[0]->type;
	if (!type_is_number(type) && type->kind != TYPE_KPTR)
		return typer_fail(
		        t, call->args[0], "type-mismatch", "a number is needed here, and this is %s", type_name(type));
	call->type = (struct type){.kind = TYPE_BOOL, .width = 1};
	return 0;
}

static int check_messages(struct typer *t, struct expr *call)
{
	int r = visit_args(t, call);
	if (r < 0 || (r = want_address(t, call->args[0], false)) < 0)
		return r;
	if (call->nargs > 1 && (r = want_integer(t, call->args[1])) < 0)
		return r;
	call->type = type_int(4, true);
	call->needs |= NEEDS_EXIT | NEEDS_FAIL;
	return 0;
}

static int check_scm_fds(struct typer *t, struct expr *call)
{
	int r = check_messages(t, call);
	call->type.count = SCM_FDS;
	call->type.each = call->type.varies = true;
	return r;
}

static const struct function functions[] = {
        {"buf", "buf(address, length[, most])", 2, 3, check_buf, emit_buf, .reads_user = true},
        {"fd_family", "fd_family(descriptor)", 1, 1, check_of_file, emit_fd_family, 2, false},
        {"fd_file", "fd_file(descriptor)", 1, 1, check_file, emit_fd_file, 8, false, .each = "each_file"},
        {"fd_flags", "fd_flags(descriptor)", 1, 1, check_descriptor, emit_fd_flags, 4, false},
        {"fd_inode", "fd_inode(descriptor)", 1, 1, check_of_file, emit_fd_inode, 8, false, .each = "each_inode"},
        {"fd_kind", "fd_kind(descriptor)", 1, 1, check_of_file, emit_fd_kind, 1, false},
        {"fd_path", "fd_path(descriptor)", 1, 1, check_path, emit_fd_path},
        {"has", "has(number)", 1, 1, check_has, emit_has},
        {"kptr", "kptr(address, \"structure\")", 2, 2, check_kptr, emit_kptr},
        {"kstr", "kstr(address[, most])", 1, 2, check_kstr, emit_kstr},
        {"s16", "s16(address[, count])", 1, 2, check_read, emit_read, 2, true, true, emit_array_block},
        {"s32", "s32(address[, count])", 1, 2, check_read, emit_read, 4, true, true, emit_array_block},
        {"s64", "s64(address[, count])", 1, 2, check_read, emit_read, 8, true, true, emit_array_block},
        {"s8", "s8(address[, count])", 1, 2, check_read, emit_read, 1, true, true, emit_array_block},
        {"scm_count", "scm_count(message[, messages])", 1, 2, check_messages, emit_scm_count, .reads_user = true},
        {"scm_fds", "scm_fds(message[, messages])", 1, 2, check_scm_fds, emit_scm_fds, 4, true, true, emit_scm_block},
        {"sockaddr", "sockaddr(address, length)", 2, 2, check_sockaddr, emit_sockaddr, .reads_user = true},
        {"str", "str(address[, most])", 1, 2, check_str, emit_str, .reads_user = true},
        {"u16", "u16(address[, count])", 1, 2, check_read, emit_read, 2, false, true, emit_array_block},
        {"u32", "u32(address[, count])", 1, 2, check_read, emit_read, 4, false, true, emit_array_block},
        {"u64", "u64(address[, count])", 1, 2, check_read, emit_read, 8, false, true, emit_array_block},
        {"u8", "u8(address[, count])", 1, 2, check_read, emit_read, 1, false, true, emit_array_block},
        {"uptr", "uptr(address)", 1, 1, check_uptr, emit_kptr},
};

const struct function *function_table(size_t *ret_n)
{
	*ret_n = sizeof(functions) / sizeof(functions[0]);
	return functions;
}

static int unknown_function(struct typer *t, const struct expr *call)
{
	struct nearest nearest;
	nearest_init(&nearest, call->text);
	nearest_offer(&nearest, "entry");
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		nearest_offer(&nearest, functions[i].name);
	int r = typer_fail(t, call, "unknown-function", "there is no function '%s'", call->text);
	if (nearest.best)
		err_hint(t->err, "did you mean %s()?", nearest.best);
	return r;
}

static int check_call(struct typer *t, struct expr *call, size_t i)
{
	const struct function *f = &functions[i];
	call->function = i;
	if (call->nargs < f->min || call->nargs > f->max)
		return typer_fail(t, call, "wrong-arguments", "%s: %zu %s given", f->usage, call->nargs,
		        call->nargs == 1 ? "argument is" : "arguments are");
	return f->reads_user ? typer_at_entry(t, call, f->check) : f->check(t, call);
}

int typer_call(struct typer *t, struct expr *call)
{
	if (!strcmp(call->text, "entry"))
		return typer_entry(t, call);
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (!strcmp(functions[i].name, call->text))
			return check_call(t, call, i);
	}
	return unknown_function(t, call);
}

static struct expr *argument_node(struct typer *t, const struct expr *like, const char *name)
{
	struct expr *e = expr_node(t->tree, EXPR_ARG, like->at);
	if (e)
		e->text = strdup(name);
	return e && e->text ? e : NULL;
}

int typer_sockaddr(struct typer *t, struct expr *e, const char *address, const char *length)
{
	struct expr *a = argument_node(t, e, address), *n = argument_node(t, e, length);
	char *text = strdup("sockaddr");
	struct expr **args = calloc(2, sizeof(void *));
	if (!a || !n || !text || !args) {
		free(text);
		free(args);
		return err_nomem(t->err);
	}
	args[0] = a;
	args[1] = n;
	free(e->text);
	e->op = EXPR_CALL;
	e->text = text;
	e->args = args;
	e->nargs = e->args_cap = 2;
	return typer_call(t, e);
}
