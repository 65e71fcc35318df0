/* What was counted: bars lie side by side from one end of the numbers to the other, entries become rows in order, and what
 * is shown of them cannot harm a terminal. What the kernel counts is tests/live/test_counts.py's to check. */
#include "engine/out/aggregate.h"
#include "engine/out/palette.h"
#include "engine/out/timestamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The keys of an entry: a text and a number. */
struct entry {
	uint64_t present;
	int64_t bar;
	char comm[16];
	int64_t fd;
};

static struct field_schema fields[] = {
        {.name = (char[]){"comm"}, .kind = VALUE_STR, .offset = 16, .size = 16},
        {.name = (char[]){"fd"}, .kind = VALUE_INT, .width = 8, .offset = 32, .size = 8},
        {.name = (char[]){"value"}, .kind = VALUE_INT, .width = 8, .offset = 40, .size = 8},
};

static struct aggregate_schema make_schema(enum aggregate_kind kind)
{
	return (struct aggregate_schema){.on = "syscall:read",
	        .kind = kind,
	        .of = kind == AGGREGATE_COUNT ? NULL : "ret",
	        .fields = fields,
	        .nfields = kind == AGGREGATE_COUNT ? 2 : 3,
	        .nkeys = 2,
	        .is_signed = true,
	        .key_size = sizeof(struct entry),
	        .max = 100};
}

static void add(struct aggregate *aggregate, const char *comm, int64_t fd, int64_t bar, uint64_t count, int64_t value)
{
	struct entry entry = {.present = 3, .bar = bar, .fd = fd};
	strncpy(entry.comm, comm, sizeof(entry.comm));
	struct rille_row row = {count, (uint64_t)value};
	assert_int_equal(aggregate_add(aggregate, (const uint8_t *)&entry, &row), 0);
}

/* Each bar ends where the next begins, the first and the last are open, and each power of two begins one. */
static void test_power_bars(void **state)
{
	const struct aggregate_schema schema = make_schema(AGGREGATE_HIST);
	struct bar_bounds last = bar_bounds(&schema, -1);
	assert_true(!last.has_from && last.has_to && last.to == 0);
	for (int64_t bar = 0; bar <= 64; bar++) {
		struct bar_bounds bounds = bar_bounds(&schema, bar);
		assert_true(bounds.has_from && last.has_to && bounds.from == last.to);
		if (bar)
			assert_true((uint64_t)bounds.from == 1ULL << (bar - 1));
		last = bounds;
	}
	assert_false(last.has_to);
}

static void check_even(int64_t from, int64_t to, int64_t step)
{
	struct aggregate_schema schema = make_schema(AGGREGATE_LHIST);
	schema.from = from;
	schema.to = to;
	schema.step = step;
	struct bar_bounds last = bar_bounds(&schema, 0);
	assert_true(!last.has_from && last.has_to && last.to == from);
	for (int64_t bar = 1; last.has_to; bar++) {
		struct bar_bounds bounds = bar_bounds(&schema, bar);
		assert_true(bounds.has_from && bounds.from == last.to && bar < 2000);
		if (bounds.has_to)
			assert_true(bounds.to == to ||
			            (bounds.to < to && (uint64_t)bounds.to - (uint64_t)bounds.from == (uint64_t)step));
		else
			assert_true(bounds.from == to);
		last = bounds;
	}
}

static void test_even_bars(void **state)
{
	check_even(0, 100, 10);
	check_even(0, 101, 10);
	check_even(-7, 1, 3);
	check_even(5, 6, 100);
	check_even(INT64_MIN, INT64_MAX, INT64_MAX / 100);
	check_even(INT64_MAX - 1, INT64_MAX, 1);
	check_even(INT64_MIN, INT64_MIN + 3, 2);
}

/* Rows come by value, the largest first; equal ones by their keys. An average is rounded towards 0. */
static void test_order(void **state)
{
	const struct aggregate_schema schema = make_schema(AGGREGATE_AVG);
	struct aggregate aggregate;
	assert_int_equal(aggregate_init(&aggregate, &schema, NULL, 0), 0);
	add(&aggregate, "b", 2, 0, 3, -10);
	add(&aggregate, "a", 9, 0, 2, 10);
	add(&aggregate, "b", 10, 0, 1, 5);
	add(&aggregate, "b", 1, 0, 1, 5);
	assert_int_equal(aggregate_sort(&aggregate), 0);
	static const int64_t expected[][2] = {{9, 5}, {1, 5}, {10, 5}, {2, -3}};
	assert_int_equal(aggregate.n, 4);
	for (size_t i = 0; i < 4; i++) {
		struct value fd = aggregate_row_key(aggregate.list[i], 1);
		assert_int_equal(value_int(&fd, 0), expected[i][0]);
		assert_int_equal(aggregate_row_value(aggregate.list[i]), expected[i][1]);
	}
	aggregate_fini(&aggregate);
}

/* The entries of a histogram that differ in their bar alone are one row, with its bars in order. */
static void test_histogram(void **state)
{
	const struct aggregate_schema schema = make_schema(AGGREGATE_HIST);
	struct aggregate aggregate;
	struct text text = {0};
	assert_int_equal(aggregate_init(&aggregate, &schema, NULL, 0), 0);
	add(&aggregate, "cat", 3, 2, 10, 0);
	add(&aggregate, "cat", 3, -1, 40, 0);
	add(&aggregate, "sh", 3, 64, 1, 0);
	add(&aggregate, "cat", 3, 0, 20, 0);
	assert_int_equal(aggregate_sort(&aggregate), 0);
	assert_int_equal(aggregate.n, 2);
	assert_int_equal(aggregate.list[0]->count, 70);
	assert_int_equal(aggregate.list[0]->nbars, 3);
	aggregate_text(&text, &aggregate, palette_get(false));
	assert_string_equal(text_str(&text),
	        "syscall:read hist of ret\n"
	        "  comm=\"cat\" fd=3\n"
	        "    (…, 0)         40 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n"
	        "    [0, 1)         20 |@@@@@@@@@@@@@@@@@@@@                    |\n"
	        "    [1, 2)          0 |                                        |\n"
	        "    [2, 4)         10 |@@@@@@@@@@                              |\n"
	        "  comm=\"sh\" fd=3\n"
	        "    [-9223372036854775808, …)          1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n"
	        "\n");
	text_fini(&text);
	aggregate_fini(&aggregate);
}

/* A name from a traced process is shown, and does nothing; what was not counted is said. */
static void test_hostile(void **state)
{
	const struct aggregate_schema schema = make_schema(AGGREGATE_COUNT);
	struct aggregate aggregate;
	struct text text = {0};
	struct timestamp stamp = {0};
	assert_int_equal(aggregate_init(&aggregate, &schema, NULL, 0), 0);
	add(&aggregate, "\x1b[2J\n\"", 3, 0, 7, 0);
	aggregate.uncounted = (struct rille_uncounted){5, 6};
	assert_int_equal(aggregate_sort(&aggregate), 0);
	aggregate_text(&text, &aggregate, palette_get(false));
	assert_string_equal(text_str(&text), "syscall:read count\n"
	                                     "  comm             fd  count\n"
	                                     "  \"\\x1b[2J\\x0a\\\"\"   3      7\n"
	                                     "  not counted: 5, the map was full (max = 100)\n"
	                                     "  not counted: 6 without a value\n\n");
	text_reset(&text);
	aggregate_json(&text, &aggregate, &stamp);
	assert_string_equal(text_str(&text),
	        "{\"type\":\"aggregate\",\"probe\":\"syscall:read\",\"number\":1,\"kind\":\"count\",\"of\":null,"
	        "\"time\":\"1970-01-01T00:00:00.000000000Z\",\"by\":{\"comm\":\"\\u001b[2J\\n\\\"\",\"fd\":3},"
	        "\"count\":7,\"value\":7}\n"
	        "{\"type\":\"aggregate_end\",\"probe\":\"syscall:read\",\"number\":1,\"kind\":\"count\",\"of\":null,"
	        "\"time\":\"1970-01-01T00:00:00.000000000Z\",\"rows\":1,\"full\":5,\"missing\":6}\n");
	text_fini(&text);
	aggregate_fini(&aggregate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_power_bars),
	        cmocka_unit_test(test_even_bars),
	        cmocka_unit_test(test_order),
	        cmocka_unit_test(test_histogram),
	        cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
