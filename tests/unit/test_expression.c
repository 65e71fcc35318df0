/* DWARF expressions: each operation does what DWARF 5, section 2.5.1 says, and nothing makes the machine run away. */
#include "engine/stack/expression.h"

#include <dwarf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* last: it needs the ones above */
#include <cmocka.h>

enum { BREG_SP = DW_OP_breg0 + REG_SP };

static int evaluate(const uint8_t *code, size_t len, uint64_t *ret)
{
	static const uint64_t stack[4] = {0x1122334455667788, 0x10, 0x20, 0x30};
	struct memory *memory = memory_new();
	struct regs regs = {0};
	regs_set(&regs, REG_SP, 0x7000);
	regs_set(&regs, 3, 100);
	memory_begin(memory, 1, false, stack, 0x7000, sizeof(stack), 0);
	int r = expression_evaluate(code, len, &regs, memory, NULL, ret);
	memory_free(memory);
	return r;
}

#define IS(value, ...)                                                                                                 \
	do {                                                                                                           \
		const uint8_t code[] = {__VA_ARGS__};                                                                  \
		uint64_t result = 0;                                                                                   \
		assert_int_equal(evaluate(code, sizeof(code), &result), 0);                                            \
		assert_int_equal(result, (uint64_t)(value));                                                           \
	} while (0)

#define FAILS(error, ...)                                                                                              \
	do {                                                                                                           \
		const uint8_t code[] = {__VA_ARGS__};                                                                  \
		uint64_t result;                                                                                       \
		assert_int_equal(evaluate(code, sizeof(code), &result), error);                                        \
	} while (0)

static void test_constants(void **state)
{
	IS(0, DW_OP_lit0);
	IS(31, DW_OP_lit31);
	IS(0xfe, DW_OP_const1u, 0xfe);
	IS(-2, DW_OP_const1s, 0xfe);
	IS(0xfffe, DW_OP_const2u, 0xfe, 0xff);
	IS(-2, DW_OP_const2s, 0xfe, 0xff);
	IS(0xfffffffe, DW_OP_const4u, 0xfe, 0xff, 0xff, 0xff);
	IS(-2, DW_OP_const4s, 0xfe, 0xff, 0xff, 0xff);
	IS(0x8000000000000001, DW_OP_const8u, 1, 0, 0, 0, 0, 0, 0, 0x80);
	IS(128, DW_OP_constu, 0x80, 1);
	IS(-128, DW_OP_consts, 0x80, 0x7f);
}

static void test_stack(void **state)
{
	IS(2, DW_OP_lit1, DW_OP_dup, DW_OP_plus);
	IS(1, DW_OP_lit1, DW_OP_lit2, DW_OP_drop);
	IS(1, DW_OP_lit1, DW_OP_lit2, DW_OP_over);
	IS(1, DW_OP_lit1, DW_OP_lit2, DW_OP_swap);
	IS(3, DW_OP_lit3, DW_OP_lit2, DW_OP_lit1, DW_OP_pick, 2);
	IS(2, DW_OP_lit3, DW_OP_lit2, DW_OP_lit1, DW_OP_rot);
	IS(1, DW_OP_lit3, DW_OP_lit2, DW_OP_lit1, DW_OP_rot, DW_OP_drop, DW_OP_drop, DW_OP_nop, DW_OP_drop, DW_OP_lit1);
}

static void test_arithmetic(void **state)
{
	IS(-1, DW_OP_lit1, DW_OP_lit2, DW_OP_minus);
	IS(6, DW_OP_lit3, DW_OP_lit2, DW_OP_mul);
	IS(-3, DW_OP_const1s, 0xf9, DW_OP_lit2, DW_OP_div);
	IS(1, DW_OP_lit7, DW_OP_lit2, DW_OP_mod);
	IS(INT64_MIN, DW_OP_lit1, DW_OP_const1u, 63, DW_OP_shl, DW_OP_const1s, 0xff, DW_OP_div);
	IS(5, DW_OP_const1s, 0xfb, DW_OP_abs);
	IS(-5, DW_OP_lit5, DW_OP_neg);
	IS(-6, DW_OP_lit5, DW_OP_not);
	IS(133, DW_OP_lit5, DW_OP_plus_uconst, 0x80, 1);
	IS(1, DW_OP_lit3, DW_OP_lit5, DW_OP_and);
	IS(7, DW_OP_lit3, DW_OP_lit5, DW_OP_or);
	IS(6, DW_OP_lit3, DW_OP_lit5, DW_OP_xor);
	IS(40, DW_OP_lit5, DW_OP_lit3, DW_OP_shl);
	IS(0, DW_OP_lit5, DW_OP_const1u, 200, DW_OP_shl);
	IS(0x1fffffffffffffff, DW_OP_const1s, 0xff, DW_OP_lit3, DW_OP_shr);
	IS(-1, DW_OP_const1s, 0xff, DW_OP_lit3, DW_OP_shra);
	IS(1, DW_OP_const1s, 0xff, DW_OP_lit3, DW_OP_lt);
	IS(0, DW_OP_const1s, 0xff, DW_OP_lit3, DW_OP_ge);
	IS(1, DW_OP_lit3, DW_OP_lit3, DW_OP_le);
	IS(0, DW_OP_lit3, DW_OP_lit3, DW_OP_gt);
	IS(1, DW_OP_lit3, DW_OP_lit3, DW_OP_eq);
	IS(0, DW_OP_lit3, DW_OP_lit3, DW_OP_ne);
	FAILS(-EINVAL, DW_OP_lit3, DW_OP_lit0, DW_OP_div);
	FAILS(-EINVAL, DW_OP_lit3, DW_OP_lit0, DW_OP_mod);
}

static void test_memory(void **state)
{
	IS(0x7008, BREG_SP, 8);
	IS(92, DW_OP_breg3, 0x78);
	IS(100, DW_OP_bregx, 3, 0);
	IS(0x10, BREG_SP, 8, DW_OP_deref);
	IS(0x7788, BREG_SP, 0, DW_OP_deref_size, 2);
	FAILS(-EFAULT, DW_OP_lit8, DW_OP_deref);
	FAILS(-EINVAL, BREG_SP, 0, DW_OP_deref_size, 9);
	FAILS(-EINVAL, DW_OP_breg0, 0);          /* not known */
	FAILS(-EINVAL, DW_OP_bregx, 0x80, 1, 0); /* no such register */
}

#if defined(__x86_64__)
/* The glibc PLT's own expression: sp + 8 + ((pc & 15) >= 11) * 8. */
static void test_plt(void **state)
{
	static const uint8_t code[] = {DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and, DW_OP_lit11, DW_OP_ge,
	        DW_OP_lit3, DW_OP_shl, DW_OP_plus};
	struct memory *memory = memory_new();
	struct regs regs = {0};
	uint64_t result;
	memory_begin(memory, 1, false, NULL, 0, 0, 0);
	regs_set(&regs, 7, 0x1000);
	for (uint64_t pc = 0x400; pc < 0x420; pc++) {
		regs_set(&regs, 16, pc);
		assert_int_equal(expression_evaluate(code, sizeof(code), &regs, memory, NULL, &result), 0);
		assert_int_equal(result, 0x1008 + ((pc & 15) >= 11 ? 8 : 0));
	}
	memory_free(memory);
}
#endif

static void test_control(void **state)
{
	IS(7, DW_OP_lit7, DW_OP_skip, 1, 0, DW_OP_drop);
	IS(7, DW_OP_lit7, DW_OP_lit1, DW_OP_bra, 1, 0, DW_OP_drop);
	IS(6, DW_OP_lit6, DW_OP_lit7, DW_OP_lit0, DW_OP_bra, 1, 0, DW_OP_drop);
	FAILS(-EINVAL, DW_OP_skip, 0xfd, 0xff);             /* for ever */
	FAILS(-EINVAL, DW_OP_lit1, DW_OP_skip, 0xfc, 0xff); /* deeper and deeper */
	FAILS(-EINVAL, DW_OP_skip, 1, 0);
	FAILS(-EINVAL, DW_OP_skip, 0, 0x80);
	FAILS(-EINVAL, DW_OP_skip);
	FAILS(-EINVAL, DW_OP_constu, 0x80);
	FAILS(-EINVAL, DW_OP_plus);
	FAILS(-EINVAL, DW_OP_drop);
	FAILS(-EINVAL, DW_OP_call_frame_cfa);
	FAILS(-EINVAL, 0xff);
	FAILS(-EINVAL, DW_OP_nop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_constants),
		cmocka_unit_test(test_stack),
		cmocka_unit_test(test_arithmetic),
		cmocka_unit_test(test_memory),
#if defined(__x86_64__)
		cmocka_unit_test(test_plt),
#endif
		cmocka_unit_test(test_control),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
