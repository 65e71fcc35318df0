/* The places of strings in a script's source. */
#include "engine/script/locate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct locator *read_text(const char *text)
{
	struct locator *locator = locator_new("a.lua", text, strlen(text));
	assert_non_null(locator);
	return locator;
}

static void assert_at(struct pos pos, unsigned line, unsigned col)
{
	assert_int_equal(pos.line, line);
	assert_int_equal(pos.col, col);
}

/* Invariant: a literal that stands in the returned table is found by its way through the table, exactly. */
static void test_shape(void **state)
{
	struct locator *l = read_text("local x = 'fd'\n"
	                              "return {\n"
	                              "  summary = \"fd\",\n"
	                              "  probes = {\n"
	                              "    { 'a', fields = { 'fd', \"fd\" } }, -- 'fd' }\n"
	                              "    { [[b]], ['where'] = 'fd', stack = x },\n"
	                              "  };\n"
	                              "}\n");
	int root = locate_root(l);
	assert_int_not_equal(root, LOCATE_NONE);
	assert_at(locate_pos(l, locate_key(l, root, "summary")), 3, 14);
	assert_at(locate_key_pos(l, locate_key(l, root, "summary")), 3, 3);
	int probes = locate_key(l, root, "probes");
	int first = locate_item(l, probes, 1), second = locate_item(l, probes, 2);
	assert_at(locate_pos(l, first), 5, 5);
	assert_at(locate_pos(l, locate_item(l, locate_key(l, first, "fields"), 2)), 5, 30);
	assert_at(locate_pos(l, locate_item(l, second, 1)), 6, 9);
	assert_at(locate_pos(l, locate_key(l, second, "where")), 6, 27);
	int stack = locate_key(l, second, "stack");
	assert_at(locate_pos(l, stack), 6, 40);
	assert_false(locate_is_string(l, stack, "x", 1));
	assert_int_equal(locate_item(l, probes, 3), LOCATE_NONE);
	assert_int_equal(locate_key(l, first, "b"), LOCATE_NONE);
	locator_free(l);
}

/* Invariant: functions and expressions between the entries, whatever they hold, do not move what stands behind them. */
static void test_skipping(void **state)
{
	struct locator *l = read_text(
	        "return { on_event = function(ev, out)\n"
	        "  if ev.a == 1 then out:row{ a = 'x', b = 2 } elseif b then c() else d() end\n"
	        "  while x do y() end for i = 1, 2 do z{1, 2} end repeat local t = { 'w', 'v' } until f(1, 2)\n"
	        "  do return end end, where = f(1, { 2, 3 }, 'no') .. 'no', a = (1), where2 = 'yes', -1, 'item' }");
	int root = locate_root(l);
	assert_at(locate_pos(l, locate_key(l, root, "where2")), 4, 79);
	assert_int_equal(locate_key(l, root, "b"), LOCATE_NONE);
	assert_at(locate_pos(l, locate_item(l, root, 2)), 4, 90);
	assert_int_equal(locate_item(l, root, 3), LOCATE_NONE);
	locator_free(l);
}

/* Invariant: a string's value is what Lua makes of the literal, so that it can be found by that. */
static void test_escapes(void **state)
{
	struct locator *l =
	        read_text("return { 'a\\n\\x41\\065\\u{20AC}\\z\n   b\\\\\\'', [==[\nx]]]=]y]==], \"q\\\"\" }");
	int root = locate_root(l);
	assert_true(locate_is_string(l, locate_item(l, root, 1),
	        "a\nAA\xe2\x82\xac"
	        "b\\'",
	        10));
	assert_true(locate_is_string(l, locate_item(l, root, 2), "x]]]=]y", 7));
	assert_at(locate_pos(l, locate_item(l, root, 2)), 3, 1);
	assert_true(locate_is_string(l, locate_item(l, root, 3), "q\"", 2));
	locator_free(l);
}

/* Invariant: strings that the shape does not show are given away in the order of the file. */
static void test_by_value(void **state)
{
	struct locator *l = read_text("local p = { 'x', 'y',\n 'x' }\nreturn make(p, 'x')");
	assert_int_equal(locate_root(l), LOCATE_NONE);
	assert_at(locate_string(l, "x", 1), 1, 14);
	assert_at(locate_string(l, "x", 1), 2, 3);
	assert_at(locate_string(l, "y", 1), 1, 19);
	assert_at(locate_string(l, "x", 1), 3, 17);
	assert_at(locate_string(l, "x", 1), 1, 14); /* used up: the first again */
	assert_int_equal(locate_string(l, "z", 1).line, 0);
	assert_at(locate_return(l), 3, 1);
	locator_free(l);
}

/* Invariant: comments, a #! line and nested functions hide `return`s that are not the file's. */
static void test_return(void **state)
{
	struct locator *l = read_text("#!/usr/bin/rille return {\n--[[ return { ]] -- return {\n"
	                              "local function f() return { 'no' } end\nreturn { 'yes' }");
	assert_at(locate_pos(l, locate_item(l, locate_root(l), 1)), 4, 11);
	locator_free(l);
}

/* Invariant: any text can be read; what makes no sense is not there. */
static void test_nonsense(void **state)
{
	static const char *const texts[] = {"", "return", "return {", "return { 'a", "return { [[a",
	        "return { a = ", "return { [", "return { ['a'", "return }}}} end end", "'", "--[==[", "return { '\\",
	        "return { '\\u{", "return { ) , 'x' }", "return {{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{",
	        "return { , ; , 'a' = 3 }", "\xff\xfe return {}"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct locator *l = read_text(texts[i]);
		int root = locate_root(l);
		locate_pos(l, locate_item(l, root, 1));
		locate_key(l, root, "a");
		locate_string(l, "a", 1);
		locate_on_line(l, 1, "x", 1);
		locate_return(l);
		locate_end(l);
		locator_free(l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_shape),
	        cmocka_unit_test(test_skipping),
	        cmocka_unit_test(test_escapes),
	        cmocka_unit_test(test_by_value),
	        cmocka_unit_test(test_return),
	        cmocka_unit_test(test_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
