/* The stack machine of DWARF 5, section 2.5, without what section 6.4.2 forbids in call frame information and without
 * DW_OP_addr (which would need a relocation that .eh_frame never has). Bounded in depth and in steps: code can branch
 * backwards. */
#include "engine/stack/expression.h"

#include "engine/stack/reader.h"

#include <dwarf.h>
#include <errno.h>

enum { DEPTH = 64, STEPS = 1000 };

struct machine {
	struct reader code;
	const uint8_t *start;
	const struct regs *regs;
	struct memory *memory;
	uint64_t stack[DEPTH];
	size_t n;
	int error;
};

static void push(struct machine *m, uint64_t value)
{
	if (m->n == DEPTH)
		m->error = -EINVAL;
	else
		m->stack[m->n++] = value;
}

static uint64_t pop(struct machine *m)
{
	if (!m->n) {
		m->error = -EINVAL;
		return 0;
	}
	return m->stack[--m->n];
}

static void push_register(struct machine *m, uint64_t reg)
{
	int64_t offset = read_sleb(&m->code);
	if (reg >= NREGS || !regs_known(m->regs, reg))
		m->error = -EINVAL;
	else
		push(m, m->regs->r[reg] + offset);
}

static void push_memory(struct machine *m, size_t bytes)
{
	uint64_t address = pop(m), value = 0;
	if (!bytes || bytes > sizeof(value)) {
		m->error = -EINVAL;
		return;
	}
	if (!m->error && memory_read(m->memory, address, &value, bytes))
		m->error = -EFAULT;
	push(m, value);
}

static void pick(struct machine *m, size_t below_top)
{
	if (below_top >= m->n)
		m->error = -EINVAL;
	else
		push(m, m->stack[m->n - 1 - below_top]);
}

static void rotate(struct machine *m, size_t n)
{
	if (m->n < n) {
		m->error = -EINVAL;
		return;
	}
	uint64_t top = m->stack[m->n - 1];
	for (size_t i = m->n - 1; i > m->n - n; i--)
		m->stack[i] = m->stack[i - 1];
	m->stack[m->n - n] = top;
}

static void jump(struct machine *m, bool taken)
{
	int64_t by = read_signed(&m->code, 2);
	if (!taken)
		return;
	if (by < m->start - m->code.at || by > m->code.end - m->code.at)
		m->error = -EINVAL;
	else
		m->code.at += by;
}

static void unary(struct machine *m, uint8_t op)
{
	uint64_t a = pop(m);
	switch (op) {
	case DW_OP_abs:
		push(m, (int64_t)a < 0 ? -a : a);
		return;
	case DW_OP_neg:
		push(m, -a);
		return;
	case DW_OP_not:
		push(m, ~a);
		return;
	case DW_OP_plus_uconst:
		push(m, a + read_uleb(&m->code));
		return;
	}
}

static uint64_t divide(struct machine *m, uint64_t a, uint64_t b, bool modulo)
{
	if (!b) {
		m->error = -EINVAL;
		return 0;
	}
	if (modulo)
		return a % b;
	/* The one quotient that does not fit: in C it is undefined, here it wraps. */
	return (int64_t)b == -1 ? -a : (uint64_t)((int64_t)a / (int64_t)b);
}

static uint64_t shift(uint64_t a, uint64_t by, uint8_t op)
{
	if (op == DW_OP_shra)
		return (uint64_t)((int64_t)a >> (by < 63 ? by : 63));
	if (by >= 64)
		return 0;
	return op == DW_OP_shl ? a << by : a >> by;
}

static void binary(struct machine *m, uint8_t op)
{
	uint64_t b = pop(m), a = pop(m);
	int64_t sa = (int64_t)a, sb = (int64_t)b;
	switch (op) {
	case DW_OP_and:
		push(m, a & b);
		return;
	case DW_OP_or:
		push(m, a | b);
		return;
	case DW_OP_xor:
		push(m, a ^ b);
		return;
	case DW_OP_plus:
		push(m, a + b);
		return;
	case DW_OP_minus:
		push(m, a - b);
		return;
	case DW_OP_mul:
		push(m, a * b);
		return;
	case DW_OP_div:
		push(m, divide(m, a, b, false));
		return;
	case DW_OP_mod:
		push(m, divide(m, a, b, true));
		return;
	case DW_OP_shl:
	case DW_OP_shr:
	case DW_OP_shra:
		push(m, shift(a, b, op));
		return;
	case DW_OP_eq:
		push(m, sa == sb);
		return;
	case DW_OP_ne:
		push(m, sa != sb);
		return;
	case DW_OP_ge:
		push(m, sa >= sb);
		return;
	case DW_OP_gt:
		push(m, sa > sb);
		return;
	case DW_OP_le:
		push(m, sa <= sb);
		return;
	case DW_OP_lt:
		push(m, sa < sb);
		return;
	}
}

static bool constant(struct machine *m, uint8_t op)
{
	switch (op) {
	case DW_OP_const1u:
		push(m, read_fixed(&m->code, 1));
		return true;
	case DW_OP_const1s:
		push(m, read_signed(&m->code, 1));
		return true;
	case DW_OP_const2u:
		push(m, read_fixed(&m->code, 2));
		return true;
	case DW_OP_const2s:
		push(m, read_signed(&m->code, 2));
		return true;
	case DW_OP_const4u:
		push(m, read_fixed(&m->code, 4));
		return true;
	case DW_OP_const4s:
		push(m, read_signed(&m->code, 4));
		return true;
	case DW_OP_const8u:
	case DW_OP_const8s:
		push(m, read_fixed(&m->code, 8));
		return true;
	case DW_OP_constu:
		push(m, read_uleb(&m->code));
		return true;
	case DW_OP_consts:
		push(m, read_sleb(&m->code));
		return true;
	}
	if (op < DW_OP_lit0 || op > DW_OP_lit31)
		return false;
	push(m, op - DW_OP_lit0);
	return true;
}

static void step(struct machine *m, uint8_t op)
{
	if (constant(m, op))
		return;
	if (op >= DW_OP_breg0 && op <= DW_OP_breg31) {
		push_register(m, op - DW_OP_breg0);
		return;
	}
	switch (op) {
	case DW_OP_nop:
		return;
	case DW_OP_bregx:
		push_register(m, read_uleb(&m->code));
		return;
	case DW_OP_deref:
		push_memory(m, 8);
		return;
	case DW_OP_deref_size:
		push_memory(m, read_fixed(&m->code, 1));
		return;
	case DW_OP_dup:
		pick(m, 0);
		return;
	case DW_OP_over:
		pick(m, 1);
		return;
	case DW_OP_pick:
		pick(m, read_fixed(&m->code, 1));
		return;
	case DW_OP_drop:
		pop(m);
		return;
	case DW_OP_swap:
		rotate(m, 2);
		return;
	case DW_OP_rot:
		rotate(m, 3);
		return;
	case DW_OP_skip:
		jump(m, true);
		return;
	case DW_OP_bra:
		jump(m, pop(m) != 0);
		return;
	case DW_OP_abs:
	case DW_OP_neg:
	case DW_OP_not:
	case DW_OP_plus_uconst:
		unary(m, op);
		return;
	case DW_OP_and:
	case DW_OP_or:
	case DW_OP_xor:
	case DW_OP_plus:
	case DW_OP_minus:
	case DW_OP_mul:
	case DW_OP_div:
	case DW_OP_mod:
	case DW_OP_shl:
	case DW_OP_shr:
	case DW_OP_shra:
	case DW_OP_eq:
	case DW_OP_ne:
	case DW_OP_ge:
	case DW_OP_gt:
	case DW_OP_le:
	case DW_OP_lt:
		binary(m, op);
		return;
	default:
		m->error = -EINVAL;
	}
}

int expression_evaluate(const uint8_t *code, size_t len, const struct regs *regs, struct memory *memory,
        const uint64_t *initial, uint64_t *ret)
{
	struct machine m;
	m.code = (struct reader){.at = code, .end = code + len};
	m.start = code;
	m.regs = regs;
	m.memory = memory;
	m.n = 0;
	m.error = 0;
	if (initial)
		push(&m, *initial);
	for (int steps = 0; m.code.at < m.code.end && !m.error; steps++) {
		if (steps == STEPS)
			return -EINVAL;
		step(&m, read_fixed(&m.code, 1));
		if (m.code.failed)
			return -EINVAL;
	}
	*ret = pop(&m);
	return m.error;
}
