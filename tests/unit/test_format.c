/* Format files: the examples of the kernel's documentation and source come out as written, and malformed text is
 * refused. */
#include "engine/probe/format.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COMMON                                                                                                         \
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"                                         \
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"                                         \
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"                                 \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"

static struct event_format *parse(const char *text)
{
	struct event_format *format = NULL;
	assert_int_equal(format_parse(text, strlen(text), "cat", &format), 0);
	return format;
}

static void check(const struct argument *a, const char *type, const char *name, uint32_t offset, uint32_t size)
{
	assert_string_equal(a->type, type);
	assert_string_equal(a->name, name);
	assert_int_equal(a->offset, offset);
	assert_int_equal(a->size, size);
}

/* Name, id, and every field but the common ones, in order. */
static void test_plain(void **state)
{
	struct event_format *f =
	        parse("name: sched_switch\nID: 372\nformat:\n" COMMON
	              "\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n"
	              "\tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n"
	              "\tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;\n"
	              "\nprint fmt: \"field:int x;\toffset:0;\tsize:4;\tsigned:0;\", REC->prev_comm\n");
	assert_string_equal(f->category, "cat");
	assert_string_equal(f->name, "sched_switch");
	assert_int_equal(f->number, 372);
	assert_int_equal(f->narguments, 3);
	check(&f->arguments[0], "char", "prev_comm", 8, 16);
	assert_int_equal(f->arguments[0].elements, 16);
	check(&f->arguments[1], "pid_t", "prev_pid", 24, 4);
	assert_true(f->arguments[1].is_signed);
	check(&f->arguments[2], "long", "prev_state", 32, 8);
	assert_int_equal(f->arguments[2].elements, 0);
	free(f);
}

/* Dynamic data, pointers with and without a space before the name, wide array elements, bounds that are expressions. */
static void test_shapes(void **state)
{
	struct event_format *f = parse(
	        "name: x\nID: 1\nformat:\n" COMMON "\tfield:__data_loc char[] name;\toffset:8;\tsize:4;\tsigned:0;\n"
	        "\tfield:__rel_loc u8[] data;\toffset:12;\tsize:4;\tsigned:0;\n"
	        "\tfield:const struct sock * sk;\toffset:16;\tsize:8;\tsigned:0;\n"
	        "\tfield:const char *func;\toffset:24;\tsize:8;\tsigned:0;\n"
	        "\tfield:u32 words[2 * 3];\toffset:32;\tsize:24;\tsigned:0;\n"
	        "\tfield:unsigned long ips[TRACE_N];\toffset:56;\tsize:16;\tsigned:0;\n"
	        "\tfield:unsigned char mac[6];\toffset:72;\tsize:6;\tsigned:0;\n"
	        "\tfield:u32 buf[];\toffset:80;\tsize:0;\tsigned:0;\n");
	assert_int_equal(f->narguments, 8);
	check(&f->arguments[0], "__data_loc char[]", "name", 8, 4);
	check(&f->arguments[1], "__rel_loc u8[]", "data", 12, 4);
	for (size_t i = 0; i < f->narguments; i++) {
		assert_int_equal(f->arguments[i].is_dynamic, i < 2);
		assert_int_equal(f->arguments[i].is_pointer, i == 2 || i == 3);
	}
	check(&f->arguments[2], "const struct sock *", "sk", 16, 8);
	check(&f->arguments[3], "const char *", "func", 24, 8);
	static const uint32_t ELEMENTS[] = {0, 0, 0, 0, 6, 2, 6, 0};
	for (size_t i = 0; i < f->narguments; i++)
		assert_int_equal(f->arguments[i].elements, ELEMENTS[i]);
	free(f);
}

/* Text that is not a format is refused. */
static void test_refused(void **state)
{
	static const char *const TEXTS[] = {
	        "",
	        "ID: 1\nformat:\n",
	        "name: \nID: 1\n",
	        "name: x\nID: many\n",
	        "name: x\nID: 99999999999999999999\n",
	        "name: x\n\tfield:int a;\toffset:8;\tsize:4;\n",
	        "name: x\n\tfield:int a\toffset:8\tsize:4\tsigned:1\n",
	        "name: x\n\tfield:int a;\toffset:-8;\tsize:4;\tsigned:1;\n",
	        "name: x\n\tfield:int a;\toffset:8;\tsize:4294967296;\tsigned:1;\n",
	        "name: x\n\tfield:a;\toffset:8;\tsize:4;\tsigned:1;\n",
	        "name: x\n\tfield:;\toffset:8;\tsize:4;\tsigned:1;\n",
	        "name: x\n\tfield:int a[3;\toffset:8;\tsize:12;\tsigned:1;\n",
	        "name: x\n\tfield:int a[3][4];\toffset:8;\tsize:48;\tsigned:1;\n",
	        "name: x\n\tfield:int 3a;\toffset:8;\tsize:4;\tsigned:1;\n",
	        "name: x\n\tfield:int *;\toffset:8;\tsize:4;\tsigned:1;\n",
	};
	struct event_format *f;
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++)
		if (format_parse(TEXTS[i], strlen(TEXTS[i]), "cat", &f) != -EINVAL)
			fail_msg("taken for a format: %s", TEXTS[i]);
	assert_int_equal(format_parse("name: x\0y\n", 10, "cat", &f), -EINVAL);
}

/* However a format is cut, nothing is read or written outside of it (the sanitizers see that). */
static void test_truncated(void **state)
{
	static const char TEXT[] =
	        "name: x\nID: 1\nformat:\n" COMMON "\tfield:char a[16];\toffset:8;\tsize:16;\tsigned:0;\n";
	for (size_t len = 0; len < sizeof(TEXT); len++) {
		struct event_format *f = NULL;
		char *exact = malloc(len ? len : 1);
		memcpy(exact, TEXT, len);
		if (!format_parse(exact, len, "cat", &f))
			free(f);
		free(exact);
	}
}

static struct argument typed(const char *type, const char *name)
{
	struct argument a = {.name = name, .type = type};
	format_c_type(&a);
	return a;
}

/* The C types of system calls have the size and sign that this compiler gives them. */
static void test_c_types(void **state)
{
#define CHECK(c_type)                                                                                                  \
	do {                                                                                                           \
		struct argument a = typed(#c_type, "x");                                                               \
		assert_int_equal(a.size, sizeof(c_type));                                                              \
		assert_int_equal(a.is_signed, (c_type)-1 < (c_type)1);                                                 \
		assert_false(a.is_pointer);                                                                            \
	} while (0)
	CHECK(int);
	CHECK(unsigned int);
	CHECK(long);
	CHECK(unsigned long);
	CHECK(size_t);
	CHECK(pid_t);
	CHECK(uid_t);
	CHECK(gid_t);
	CHECK(loff_t);
	CHECK(off_t);
	CHECK(key_t);
	CHECK(clockid_t);
	CHECK(const int);
	assert_true(typed("struct sockaddr *", "addr").is_pointer);
	assert_true(typed("const char *const *", "argv").is_pointer);
	assert_true(typed("cap_user_data_t", "data").is_pointer);
	assert_int_equal(typed("int *", "fds").size, 8);
	assert_int_equal(typed("some_new_t", "x").size, 8); /* unknown: the whole register */
}

/* A const char * is text, unless it is memory with a length. */
static void test_strings(void **state)
{
	assert_true(typed("const char *", "filename").is_user_string);
	assert_false(typed("const char *", "buf").is_user_string);
	assert_false(typed("char *", "filename").is_user_string);
	assert_false(typed("const char *const *", "argv").is_user_string);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_plain),
	        cmocka_unit_test(test_shapes),
	        cmocka_unit_test(test_refused),
	        cmocka_unit_test(test_truncated),
	        cmocka_unit_test(test_c_types),
	        cmocka_unit_test(test_strings),
	};
	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
