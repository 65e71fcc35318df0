/* Expressions over constants, against the C compiler that compiles this test. */
#include "engine/probe/expr.h"
#include "engine/probe/typing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int type_text(const char *text, struct expr_tree *tree, struct err *err)
{
	static const struct event_format format = {.name = "none"};
	static const struct spec spec;
	static struct spec_text source;
	struct scope scope = {.spec = &spec, .probe = "syscall:none", .format = &format};
	source = (struct spec_text){.text = (char *)text, .pos = {.file = "t.lua", .line = 3, .col = 10}};
	int r = expr_parse(tree, &source, err);
	return r < 0 ? r : type_tree(&scope, tree, err);
}

static int64_t fold(const char *text)
{
	struct expr_tree tree;
	struct err err = {0};
	if (type_text(text, &tree, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	if (!expr_is_constant(tree.root))
		fail_msg("%s is not folded", text);
	int64_t value = tree.root->value;
	expr_tree_fini(&tree);
	return value;
}

/* The same text, read by both. */
#define SAME(expression)                                                                                               \
	do {                                                                                                           \
		if (fold(#expression) != (int64_t)(expression))                                                        \
			fail_msg("%s: %lld, and C says %lld", #expression, (long long)fold(#expression),               \
			        (long long)(expression));                                                              \
	} while (0)

#pragma GCC diagnostic ignored "-Wparentheses"
#pragma GCC diagnostic ignored "-Wbool-operation"
#pragma GCC diagnostic ignored "-Wint-in-bool-context"
#pragma GCC diagnostic ignored "-Wlogical-not-parentheses"

/* Precedence and grouping are C's. */
static void test_precedence(void **state)
{
	SAME(1ll + 2 * 3);
	SAME((1ll + 2) * 3);
	SAME(10ll - 4 - 3);
	SAME(100ll / 7 / 2);
	SAME(100ll % 7 * 3);
	SAME(1ll << 2 + 3);
	SAME(1ll << 2 << 3);
	SAME(256ll >> 1 + 1);
	SAME(5ll & 3 == 3);
	SAME(4ll | 2 & 3);
	SAME(4ll ^ 2 | 1);
	SAME(6ll & 3 ^ 5 | 8);
	SAME(1ll < 2 == 1);
	SAME(3ll > 2 > 1);
	SAME(1ll == 1 != 0);
	SAME(0 || 1 && 0);
	SAME(1 || 0 && 0);
	SAME(!0 == 1);
	SAME(!5 + 1);
	SAME(-2ll * -3);
	SAME(- -4ll);
	SAME(~0ll & 0xff);
	SAME(-1ll >> 1);
	SAME(1 ? 2 : 0 ? 3 : 4);
	SAME(0 ? 2 : 0 ? 3 : 4);
	SAME(1 ? 0 ? 5 : 6 : 7);
	SAME(2ll + 3 < 4 * 2 && 1 | 0);
	SAME(~5ull << 2 | 1);
	SAME(0x1F + 010 + 0b101);
}

/* Signed arithmetic has C's results, with wrapping where C leaves it open. */
static void test_arithmetic(void **state)
{
	SAME(-7ll / 2);
	SAME(-7ll % 2);
	SAME(7ll / -2);
	SAME(7ll % -2);
	SAME(-9223372036854775807ll - 1);
	SAME(18446744073709551615ull / 10);
	SAME(18446744073709551615ull % 10);
	SAME(18446744073709551615ull >> 63);
	SAME(0xffffffffffffffffull > 1);
	assert_int_equal(fold("9223372036854775807 + 1"), INT64_MIN);
	assert_int_equal(fold("(-9223372036854775807 - 1) / -1"), INT64_MIN);
	assert_int_equal(fold("(-9223372036854775807 - 1) % -1"), 0);
}

/* Where C compares bits, the language compares numbers; a shift by too much leaves nothing. */
static void test_saner_than_c(void **state)
{
	assert_int_equal(fold("-1 < 18446744073709551615"), 1);
	assert_int_equal(fold("18446744073709551615 == -1"), 0);
	assert_int_equal(fold("1 << 64"), 0);
	assert_int_equal(fold("1 << -1"), 0);
	assert_int_equal(fold("-5 >> 70"), -1);
	assert_int_equal(fold("5 >> 64"), 0);
}

/* The Lua spellings are the same operators. */
static void test_lua_spellings(void **state)
{
	assert_int_equal(fold("1 and not 0 or 0"), 1);
	assert_int_equal(fold("3 ~= 3"), 0);
	assert_int_equal(fold("true and nil == NULL"), 1);
}

static void expect_error(const char *text, const char *tag, uint32_t col)
{
	struct expr_tree tree;
	struct err err = {0};
	int r = type_text(text, &tree, &err);
	if (r == 0)
		fail_msg("%s is taken", text);
	assert_string_equal(err.tag, tag);
	assert_int_equal(err.line, 3);
	if (err.col != 9 + col)
		fail_msg("%s: column %u, not %u", text, err.col - 9, col);
	expr_tree_fini(&tree);
}

/* An error points at the byte that is wrong, counted from where the text stands in the script. */
static void test_errors(void **state)
{
	expect_error("", "syntax", 1);
	expect_error("1 +", "syntax", 4);
	expect_error("(1", "syntax", 3);
	expect_error("1 2", "syntax", 3);
	expect_error("1 = 2", "syntax", 3);
	expect_error("0x", "syntax", 2);
	expect_error("'abc", "syntax", 1);
	expect_error("18446744073709551616", "syntax", 1);
	expect_error("1 / (2 - 2)", "division-by-zero", 3);
	expect_error("1 + 'a'", "type-mismatch", 5);
	expect_error("nothing", "unknown-field", 1);
	expect_error("2 * AF_UNIXX", "unknown-constant", 5);
	expect_error("1 + strr(2)", "unknown-function", 5);
	expect_error("str()", "wrong-arguments", 1);
	expect_error("$x", "unknown-parameter", 1);
	expect_error("1 in {}", "syntax", 7);
	expect_error("'a' ~ '[b'", "type-mismatch", 7);
}

/* Depth and length are bounded: an error, not a crash. */
static void test_bounds(void **state)
{
	char *deep = malloc(EXPR_MAX_TEXT + 2);
	struct expr_tree tree;
	struct err err = {0};
	assert_non_null(deep);
	memset(deep, '(', 1000);
	deep[1000] = 0;
	assert_int_equal(type_text(deep, &tree, &err), -22);
	expr_tree_fini(&tree);
	memset(deep, '-', EXPR_MAX_TEXT + 1);
	deep[EXPR_MAX_TEXT + 1] = 0;
	assert_int_equal(type_text(deep, &tree, &err), -22);
	expr_tree_fini(&tree);
	for (size_t i = 0; i < EXPR_MAX_TEXT; i++)
		deep[i] = i % 2 ? '+' : '1';
	deep[EXPR_MAX_TEXT - 1] = 0;
	assert_int_equal(type_text(deep, &tree, &err), -22);
	expr_tree_fini(&tree);
	free(deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_precedence),
	        cmocka_unit_test(test_arithmetic),
	        cmocka_unit_test(test_saner_than_c),
	        cmocka_unit_test(test_lua_spellings),
	        cmocka_unit_test(test_errors),
	        cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
