/* Perf maps: whatever is appended in whatever pieces, an address has the name of the last complete line that covers it.
 * The oracle is a search through all lines, written down again here in its simplest form. */
#include "engine/stack/perfmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* last: it needs the ones above */
#include <cmocka.h>

struct line {
	uint64_t start, size;
	char name[32];
};

static int temporary(void)
{
	char path[] = "/tmp/rille-perfmap-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static void append(int fd, const char *text, size_t len)
{
	assert_int_equal(pwrite(fd, text, len, lseek(fd, 0, SEEK_END)), len);
}

static const char *last_covering(const struct line *lines, size_t n, uint64_t address)
{
	while (n-- > 0)
		if (address >= lines[n].start && address - lines[n].start < lines[n].size)
			return lines[n].name;
	return NULL;
}

static void check(const struct perfmap *map, const struct line *lines, size_t n)
{
	for (uint64_t address = 0xfe0; address < 0x1440; address += 3) {
		bool reused;
		uint64_t start;
		const char *name = perfmap_find(map, address, &start, &reused);
		const char *expected = last_covering(lines, n, address);
		assert_int_equal(!name, !expected);
		if (name)
			assert_string_equal(name, expected);
	}
}

static void test_last_line_wins(void **state)
{
	enum { LINES = 400 };
	struct line lines[LINES];
	struct intern *names = intern_new();
	struct perfmap *map = perfmap_new(names);
	int fd = temporary();
	srand(7);
	for (size_t i = 0; i < LINES; i++) {
		char text[96];
		lines[i].start = 0x1000 + (uint64_t)rand() % 0x400;
		lines[i].size = 1 + (uint64_t)rand() % (i % 7 ? 0x18 : 0x90);
		snprintf(lines[i].name, sizeof(lines[i].name), "function %zu", i);
		int len = snprintf(text, sizeof(text), "%s%lx %lx %s\n", i % 2 ? "0x" : "",
		        (unsigned long)lines[i].start, (unsigned long)lines[i].size, lines[i].name);
		size_t cut = (size_t)rand() % (size_t)len; /* the tracer may look in the middle of a line */
		append(fd, text, cut);
		assert_true(perfmap_update(map, fd) >= 0);
		if (i % 20 == 0)
			check(map, lines, i);
		append(fd, text + cut, (size_t)len - cut);
		if (i % 5 == 0)
			assert_true(perfmap_update(map, fd) > 0);
	}
	assert_true(perfmap_update(map, fd) > 0);
	check(map, lines, LINES);
	close(fd);
	perfmap_free(map);
	intern_free(names);
}

static void test_bad_lines_are_skipped(void **state)
{
	static const char text[] =
	        "\n zz\n1000\n1000 10\n1000 0 empty\n10000000000000000 10 wide\nffffffffffffffff 10 wraps\n"
	        "1000 ffffffffff huge\n-1000 10 negative\n2000 10 good one\n";
	struct intern *names = intern_new();
	struct perfmap *map = perfmap_new(names);
	int fd = temporary();
	bool reused;
	uint64_t start;
	append(fd, text, sizeof(text) - 1);
	char *longest = malloc(100000);
	memset(longest, 'x', 100000);
	memcpy(longest, "3000 10 ", 8);
	longest[99999] = '\n';
	append(fd, longest, 100000);
	append(fd, "4000 10 after\n", 14);
	assert_int_equal(perfmap_update(map, fd), 2);
	assert_string_equal(perfmap_find(map, 0x2008, &start, &reused), "good one");
	assert_string_equal(perfmap_find(map, 0x4000, &start, &reused), "after");
	assert_null(perfmap_find(map, 0x1000, &start, &reused));
	assert_null(perfmap_find(map, 0x3000, &start, &reused));
	free(longest);
	close(fd);
	perfmap_free(map);
	intern_free(names);
}

static void test_a_file_that_shrank_is_read_anew(void **state)
{
	struct intern *names = intern_new();
	struct perfmap *map = perfmap_new(names);
	int fd = temporary();
	bool reused;
	uint64_t start;
	append(fd, "1000 10 old\n2000 10 gone\n", 25);
	assert_int_equal(perfmap_update(map, fd), 2);
	assert_int_equal(ftruncate(fd, 0), 0);
	append(fd, "1000 10 new\n", 12);
	assert_int_equal(perfmap_update(map, fd), 1);
	assert_string_equal(perfmap_find(map, 0x1000, &start, &reused), "new");
	assert_null(perfmap_find(map, 0x2000, &start, &reused));
	close(fd);
	perfmap_free(map);
	intern_free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_last_line_wins),
	        cmocka_unit_test(test_bad_lines_are_skipped),
	        cmocka_unit_test(test_a_file_that_shrank_is_read_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
