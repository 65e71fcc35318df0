/* Types, from the leaves up.
 *
 * All numbers are computed in 64 bits, as what they are: a signed or narrower value is exact in a signed 64-bit integer,
 * and only a 64-bit unsigned one (`wide`) needs unsigned arithmetic. So C's traps are gone: an unsigned int does not turn
 * a comparison unsigned, `fd < 0` and `-1 < count` mean what they say. What would never hold is refused with the right
 * way to write it (`uid == -1` on an unsigned type), not compiled into a filter that silently lets nothing through.
 *
 * Text is a value of its own: a `const char *` argument is read when it is compared or recorded as text, and stays a
 * pointer where a number is wanted. */
#include "engine/probe/typing.h"
#include "engine/base/grow.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct type type_int(unsigned width, bool is_signed)
{
	return (struct type){.kind = TYPE_INT, .width = (uint8_t)width, .is_signed = is_signed};
}

bool type_is_wide(const struct type *type)
{
	if (type->kind == TYPE_USER || type->kind == TYPE_KPTR)
		return true;
	return type->kind == TYPE_INT && type->width == 8 && !type->is_signed;
}

bool type_is_number(const struct type *type)
{
	return !type->count && (type->kind == TYPE_INT || type->kind == TYPE_BOOL || type->kind == TYPE_USER);
}

bool type_is_text(const struct type *type)
{
	return type->kind == TYPE_STR || (type->kind == TYPE_USER && type->is_text);
}

const char *type_name(const struct type *type)
{
	if (type->count)
		return "an array";
	switch (type->kind) {
	case TYPE_INT:
		return "an integer";
	case TYPE_BOOL:
		return "a truth value";
	case TYPE_STR:
		return "text";
	case TYPE_BYTES:
		return "bytes";
	case TYPE_SOCKADDR:
		return "a socket address";
	case TYPE_USER:
		return type->is_text ? "text" : "a pointer";
	case TYPE_KPTR:
		return "a pointer to a kernel structure";
	case TYPE_KOBJ:
		return "a kernel structure";
	case TYPE_LIST:
		return "a list";
	default:
		return "nothing";
	}
}

int typer_fail(struct typer *t, const struct expr *e, const char *tag, const char *fmt, ...)
{
	char message[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return expr_error(t->tree->source, e->at, t->err, tag, "%s", message);
}

static int want_number(struct typer *t, const struct expr *e)
{
	if (type_is_number(&e->type))
		return 0;
	int r = typer_fail(t, e, "type-mismatch", "a number is needed here, and this is %s", type_name(&e->type));
	if (e->type.count)
		err_hint(t->err, "take one element: NAME[0]");
	return r;
}

/* What can stand before ? and beside &&: numbers, pointers, and a list (true if it is not empty). */
static int want_truth(struct typer *t, const struct expr *e)
{
	if (type_is_number(&e->type) || e->type.kind == TYPE_KPTR || e->type.kind == TYPE_LIST)
		return 0;
	int r = typer_fail(t, e, "type-mismatch", "a condition is needed here, and this is %s", type_name(&e->type));
	if (type_is_text(&e->type))
		err_hint(t->err, "compare it: … == \"\"");
	return r;
}

int typer_text(struct typer *t, struct expr **slot)
{
	struct expr *e = *slot;
	if (e->type.kind != TYPE_USER || !e->type.is_text)
		return 0;
	struct expr *call = expr_node(t->tree, EXPR_CALL, e->at);
	if (!call || grow(&call->args, &call->args_cap, 1, sizeof(void *)) < 0)
		return err_nomem(t->err);
	call->args[call->nargs++] = e;
	call->text = strdup("str");
	if (!call->text)
		return err_nomem(t->err);
	*slot = call;
	return typer_call(t, call);
}

/* Two's complement of a negative constant in the width of the type it is compared with: what the user must have meant. */
static int refuse_negative(struct typer *t, const struct expr *e, const struct expr *constant, const struct type *type)
{
	uint64_t bits = (uint64_t)constant->value & (type->width < 8 ? (1ULL << 8 * type->width) - 1 : ~0ULL);
	int r = typer_fail(t, e, "type-mismatch", "an unsigned value is never %lld", (long long)constant->value);
	err_hint(t->err, "in %u unsigned bits that is 0x%llx", 8 * (unsigned)type->width, (unsigned long long)bits);
	return r;
}

static bool is_negative(const struct expr *e)
{
	return e->op == EXPR_INT && !e->is_unsigned && e->value < 0;
}

static bool never_negative(const struct expr *e)
{
	return !expr_is_constant(e) && e->type.kind == TYPE_INT && !e->type.is_signed;
}

static int check_equal(struct typer *t, struct expr *at, struct expr *a, struct expr *b)
{
	if (is_negative(b) && never_negative(a))
		return refuse_negative(t, at, b, &a->type);
	if (is_negative(a) && never_negative(b))
		return refuse_negative(t, at, a, &b->type);
	return 0;
}

/* Makes *a and *b comparable for equality: both text or both numbers. */
static int match_types(struct typer *t, struct expr *at, struct expr **a, struct expr **b)
{
	assert(*a && *b);
	bool a_text = type_is_text(&(*a)->type), b_text = type_is_text(&(*b)->type);
	if (a_text && b_text) {
		int r = typer_text(t, a);
		return r < 0 ? r : typer_text(t, b);
	}
	bool a_number = type_is_number(&(*a)->type) || (*a)->type.kind == TYPE_KPTR;
	bool b_number = type_is_number(&(*b)->type) || (*b)->type.kind == TYPE_KPTR;
	if (a_number && b_number)
		return check_equal(t, at, *a, *b);
	return typer_fail(
	        t, at, "type-mismatch", "cannot compare %s with %s", type_name(&(*a)->type), type_name(&(*b)->type));
}

static int visit_glob(struct typer *t, struct expr *e)
{
	int r;
	if (!type_is_text(&e->a->type))
		return typer_fail(t, e->a, "type-mismatch", "'~' compares text with a pattern, and this is %s",
		        type_name(&e->a->type));
	bool literal = e->b->op == EXPR_STRING || (e->b->op == EXPR_PARAM && e->b->type.kind == TYPE_STR);
	if (!literal)
		return typer_fail(t, e->b, "type-mismatch", "the pattern after '~' is a string or a parameter");
	if (e->b->op == EXPR_STRING && !glob_is_valid(e->b->text, e->b->len))
		return typer_fail(
		        t, e->b, "type-mismatch", "not a pattern: at most 63 characters beside *, [ ] closed");
	if ((r = typer_text(t, &e->a)) < 0)
		return r;
	e->type.kind = TYPE_BOOL;
	return 0;
}

static int visit_in_list(struct typer *t, struct expr *e)
{
	if (e->b->type.kind != TYPE_LIST)
		return typer_fail(t, e->b, "type-mismatch", "'in' needs a list, and $%s is %s", e->b->text,
		        type_name(&e->b->type));
	return want_number(t, e->a);
}

static int visit_in(struct typer *t, struct expr *e)
{
	int r = 0;
	if (e->b && (r = visit_in_list(t, e)) < 0)
		return r;
	for (size_t i = 0; i < e->nargs; i++) {
		if ((r = match_types(t, e->args[i], &e->a, &e->args[i])) < 0)
			return r;
		if (!expr_is_constant(e->args[i]) && e->args[i]->op != EXPR_STRING)
			return typer_fail(t, e->args[i], "type-mismatch", "a set consists of constants and strings");
	}
	e->type.kind = TYPE_BOOL;
	return 0;
}

static int visit_arithmetic(struct typer *t, struct expr *e)
{
	int r;
	if ((r = want_number(t, e->a)) < 0 || (r = want_number(t, e->b)) < 0)
		return r;
	bool shift = e->op == EXPR_SHL || e->op == EXPR_SHR;
	e->type = type_int(8, !type_is_wide(&e->a->type) && (shift || !type_is_wide(&e->b->type)));
	if (e->op != EXPR_DIV && e->op != EXPR_MOD)
		return 0;
	if (!expr_is_constant(e->b))
		e->needs |= NEEDS_FAIL;
	else if (!e->b->value)
		return typer_fail(t, e, "division-by-zero", "division by zero");
	return 0;
}

static int visit_condition(struct typer *t, struct expr *e)
{
	int r;
	if ((r = want_truth(t, e->a)) < 0 || (r = want_number(t, e->b)) < 0 || (r = want_number(t, e->c)) < 0)
		return r;
	const struct type *b = &e->b->type, *c = &e->c->type;
	if (b->kind == c->kind && b->width == c->width && b->is_signed == c->is_signed)
		e->type = *b;
	else
		e->type = type_int(8, !type_is_wide(b) && !type_is_wide(c));
	return 0;
}

static int visit_index(struct typer *t, struct expr *e)
{
	int r = want_number(t, e->b);
	if (r < 0)
		return r;
	if (e->a->type.kind == TYPE_KOBJ || e->a->type.kind == TYPE_KPTR)
		return typer_kernel_index(t, e);
	if (!e->a->type.count) {
		r = typer_fail(t, e, "type-mismatch", "[ ] needs an array, and this is %s", type_name(&e->a->type));
		if (e->a->type.kind == TYPE_USER)
			err_hint(t->err, "say what it points to: s32(p, n)[i]");
		return r;
	}
	if (expr_is_constant(e->b) && (uint64_t)e->b->value >= e->a->type.count)
		return typer_fail(
		        t, e->b, "type-mismatch", "the array has only %u elements, counted from 0", e->a->type.count);
	e->type = e->a->type;
	e->type.count = 0;
	e->type.each = e->type.varies = false;
	e->needs |= NEEDS_FAIL;
	return 0;
}

static int visit_operator(struct typer *t, struct expr *e)
{
	int r;
	switch (e->op) {
	case EXPR_NEG:
	case EXPR_FLIP:
		if ((r = want_number(t, e->a)) < 0)
			return r;
		e->type = type_int(8, e->op == EXPR_NEG || !type_is_wide(&e->a->type));
		return 0;
	case EXPR_NOT:
		e->type.kind = TYPE_BOOL;
		return want_truth(t, e->a);
	case EXPR_BOTH:
	case EXPR_EITHER:
		e->type.kind = TYPE_BOOL;
		return (r = want_truth(t, e->a)) < 0 ? r : want_truth(t, e->b);
	case EXPR_EQ:
	case EXPR_NE:
		e->type.kind = TYPE_BOOL;
		return match_types(t, e, &e->a, &e->b);
	case EXPR_LT:
	case EXPR_LE:
	case EXPR_GT:
	case EXPR_GE:
		e->type.kind = TYPE_BOOL;
		return (r = want_number(t, e->a)) < 0 ? r : want_number(t, e->b);
	case EXPR_GLOB:
		return visit_glob(t, e);
	case EXPR_IN:
		return visit_in(t, e);
	case EXPR_INDEX:
		return visit_index(t, e);
	case EXPR_COND:
		return visit_condition(t, e);
	default:
		return visit_arithmetic(t, e);
	}
}

static int visit_children(struct typer *t, struct expr *e)
{
	struct expr *children[] = {e->a, e->b, e->c};
	int r;
	for (size_t i = 0; i < 3; i++) {
		if (!children[i])
			continue;
		if ((r = typer_visit(t, children[i])) < 0)
			return r;
		e->needs |= children[i]->needs;
	}
	for (size_t i = 0; i < e->nargs; i++) {
		if ((r = typer_visit(t, e->args[i])) < 0)
			return r;
		e->needs |= e->args[i]->needs;
	}
	return 0;
}

/* What reading text later added to the operands. */
static void collect_needs(struct expr *e)
{
	const struct expr *children[] = {e->a, e->b, e->c};
	for (size_t i = 0; i < 3; i++)
		e->needs |= children[i] ? children[i]->needs : 0;
}

int typer_visit(struct typer *t, struct expr *e)
{
	int r;
	if (e->type.kind != TYPE_NONE) /* typed before something was put around it */
		return 0;
	switch (e->op) {
	case EXPR_INT:
		e->type = type_int(8, !e->is_unsigned);
		return 0;
	case EXPR_BOOL:
		e->type = (struct type){.kind = TYPE_BOOL, .width = 1};
		return 0;
	case EXPR_STRING:
		e->type = (struct type){.kind = TYPE_STR, .size = (uint32_t)(e->len + 8) & ~7u};
		return 0;
	case EXPR_NAME:
		return typer_name(t, e);
	case EXPR_ARG:
		return typer_argument(t, e);
	case EXPR_PARAM:
		return typer_param(t, e);
	case EXPR_CALL:
		return typer_call(t, e);
	default:
		break;
	}
	if ((r = visit_children(t, e)) < 0)
		return r;
	r = e->op == EXPR_MEMBER ? typer_member(t, e) : visit_operator(t, e);
	if (r < 0)
		return r;
	if (e->type.kind == TYPE_BOOL)
		e->type.width = 1;
	collect_needs(e);
	expr_fold(e);
	return 0;
}

int type_tree(struct scope *scope, struct expr_tree *tree, struct err *err)
{
	struct typer t = {.scope = scope, .tree = tree, .err = err};
	int r = typer_visit(&t, tree->root);
	return r < 0 ? r : typer_text(&t, &tree->root);
}

int type_condition(struct scope *scope, struct expr_tree *tree, struct err *err)
{
	struct typer t = {.scope = scope, .tree = tree, .err = err};
	int r = typer_visit(&t, tree->root);
	return r < 0 ? r : want_truth(&t, tree->root);
}
