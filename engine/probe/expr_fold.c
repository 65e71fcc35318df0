/* Constants computed at once: 1 << 3 | O_CLOEXEC, s32(p, 2 * 4).
 *
 * This file and bpf-templates/arith.bpf.h say the same thing twice, once for the generator and once for the program; a
 * test compiles the second and compares. The rules, for values that are 64 bits wide throughout:
 *
 *   + - *       wrap
 *   / %         towards zero; unsigned if either operand needs 64 unsigned bits; INT64_MIN / -1 wraps
 *   << >>       by 64 or more, or by a negative count: nothing is left (>> of a negative number: -1)
 *   < == …      compare what the numbers are, not their bits: -1 is less than any unsigned number
 */
#include "engine/probe/expr.h"
#include "engine/probe/typing.h"

static bool wide(const struct expr *e)
{
	return type_is_wide(&e->type);
}

/* Less (-1), equal (0) or greater (1), as numbers. */
static int compare(const struct expr *a, const struct expr *b)
{
	bool a_negative = !wide(a) && a->value < 0, b_negative = !wide(b) && b->value < 0;
	if (a_negative != b_negative)
		return a_negative ? -1 : 1;
	/* Both negative (two's complement keeps the order) or both not. */
	uint64_t x = (uint64_t)a->value, y = (uint64_t)b->value;
	return x < y ? -1 : x > y;
}

static uint64_t divide(const struct expr *a, const struct expr *b, bool remainder)
{
	uint64_t x = (uint64_t)a->value, y = (uint64_t)b->value;
	if (wide(a) || wide(b))
		return remainder ? x % y : x / y;
	if (b->value == -1)
		return remainder ? 0 : 0 - x;
	return (uint64_t)(remainder ? a->value % b->value : a->value / b->value);
}

static uint64_t shift(const struct expr *a, const struct expr *b, bool left)
{
	bool all = (uint64_t)b->value >= 64; /* a negative count, too */
	if (left)
		return all ? 0 : (uint64_t)a->value << b->value;
	if (wide(a))
		return all ? 0 : (uint64_t)a->value >> b->value;
	return (uint64_t)(a->value >> (all ? 63 : b->value));
}

static uint64_t fold_binary(const struct expr *e)
{
	const struct expr *a = e->a, *b = e->b;
	uint64_t x = (uint64_t)a->value, y = (uint64_t)b->value;
	switch (e->op) {
	case EXPR_ADD:
		return x + y;
	case EXPR_SUB:
		return x - y;
	case EXPR_MUL:
		return x * y;
	case EXPR_DIV:
	case EXPR_MOD:
		return divide(a, b, e->op == EXPR_MOD);
	case EXPR_SHL:
	case EXPR_SHR:
		return shift(a, b, e->op == EXPR_SHL);
	case EXPR_AND:
		return x & y;
	case EXPR_OR:
		return x | y;
	case EXPR_XOR:
		return x ^ y;
	case EXPR_LT:
		return compare(a, b) < 0;
	case EXPR_LE:
		return compare(a, b) <= 0;
	case EXPR_GT:
		return compare(a, b) > 0;
	case EXPR_GE:
		return compare(a, b) >= 0;
	case EXPR_EQ:
		return compare(a, b) == 0;
	case EXPR_NE:
		return compare(a, b) != 0;
	case EXPR_BOTH:
		return x && y;
	default: /* EXPR_EITHER */
		return x || y;
	}
}

static void become_constant(struct expr *e, uint64_t value)
{
	e->op = e->type.kind == TYPE_BOOL ? EXPR_BOOL : EXPR_INT;
	e->value = (int64_t)value;
	e->is_unsigned = type_is_wide(&e->type);
	e->needs = 0;
}

static bool is_binary(enum expr_op op)
{
	return op >= EXPR_MUL && op <= EXPR_EITHER && op != EXPR_GLOB && op != EXPR_IN;
}

void expr_fold(struct expr *e)
{
	if (e->op == EXPR_COND && expr_is_constant(e->a)) {
		const struct expr *chosen = e->a->value ? e->b : e->c;
		if (expr_is_constant(chosen))
			become_constant(e, (uint64_t)chosen->value);
	} else if (e->op == EXPR_NEG && expr_is_constant(e->a)) {
		become_constant(e, 0 - (uint64_t)e->a->value);
	} else if (e->op == EXPR_FLIP && expr_is_constant(e->a)) {
		become_constant(e, ~(uint64_t)e->a->value);
	} else if (e->op == EXPR_NOT && expr_is_constant(e->a)) {
		become_constant(e, !e->a->value);
	} else if (is_binary(e->op) && expr_is_constant(e->a) && expr_is_constant(e->b)) {
		if ((e->op != EXPR_DIV && e->op != EXPR_MOD) || e->b->value)
			become_constant(e, fold_binary(e));
	}
}
