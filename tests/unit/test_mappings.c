/* Mappings of one process: whatever is mapped over whatever, every address has the file and the offset that mmap(2)
 * would have left there. The oracle is an array with one element a page. */
#include "engine/proc/mappings.h"

#include "engine/proc/maps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* last: it needs the ones above */
#include <cmocka.h>

enum { PAGES = 300, PAGE = 4096, ROUNDS = 3000 };
static const uint64_t BASE = 0x10000;

struct page {
	struct mapped_file *file;
	uint64_t offset;
};

static void check_all(struct mappings *mappings, const struct page *pages)
{
	for (size_t i = 0; i < PAGES; i++) {
		uint64_t address = BASE + i * PAGE + (i * 7) % PAGE;
		const struct mapping *found = mappings_find(mappings, address);
		assert_ptr_equal(found ? found->file : NULL, pages[i].file);
		if (found)
			assert_int_equal(address - found->start + found->offset, pages[i].offset + (i * 7) % PAGE);
	}
	for (size_t i = 1; i < mappings->n; i++)
		assert_true(mappings->items[i - 1].end <= mappings->items[i].start);
	for (size_t i = 0; i < mappings->n; i++)
		assert_true(mappings->items[i].start < mappings->items[i].end);
}

/* Adding keeps the array sorted, without overlaps, and equal to the model. */
static void test_add(void **state)
{
	static struct page pages[PAGES];
	static struct mapped_file files[8];
	struct mappings mappings = {0}, copy = {0};
	srandom(1);
	for (int round = 0; round < ROUNDS; round++) {
		size_t start = random() % PAGES, len = 1 + random() % 40;
		if (len > PAGES - start)
			len = PAGES - start;
		struct mapping mapping = {.start = BASE + start * PAGE,
		        .end = BASE + (start + len) * PAGE,
		        .offset = (uint64_t)(random() % 100) * PAGE,
		        .file = &files[random() % 8]};
		assert_int_equal(mappings_add(&mappings, &mapping), 0);
		for (size_t i = 0; i < len; i++)
			pages[start + i] = (struct page){mapping.file, mapping.offset + i * PAGE};
		if (round % 50 == 0)
			check_all(&mappings, pages);
	}
	assert_int_equal(mappings_copy(&copy, &mappings), 0);
	check_all(&copy, pages);
	assert_null(mappings_find(&mappings, BASE - 1));
	assert_null(mappings_find(&mappings, BASE + PAGES * PAGE));
	mappings_fini(&copy);
	mappings_fini(&mappings);
}

static void parse(const char *text, struct maps_line *ret, bool good)
{
	static char line[512];
	snprintf(line, sizeof(line), "%s", text);
	assert_int_equal(maps_parse_line(line, ret), good);
}

/* A line means what proc(5) says, whatever the path is. */
static void test_lines(void **state)
{
	struct maps_line line;
	parse("7f0000001000-7f0000002000 r-xp 00003000 fe:01 4711                       /lib/x y.so (deleted)\n", &line,
	        true);
	assert_true(line.start == 0x7f0000001000 && line.end == 0x7f0000002000 && line.offset == 0x3000);
	assert_int_equal(line.flags, MAPPING_READ | MAPPING_EXEC);
	assert_true(line.dev_major == 0xfe && line.dev_minor == 1 && line.inode == 4711);
	assert_string_equal(line.path, "/lib/x y.so");
	parse("1000-2000 rwxp 00000000 00:00 0 \n", &line, true);
	assert_string_equal(line.path, "");
	assert_int_equal(line.flags, MAPPING_READ | MAPPING_WRITE | MAPPING_EXEC | MAPPING_ANON);
	parse("1000-2000 r--p 00000000 00:01 5 /a\\012b\n", &line, true);
	assert_string_equal(line.path, "/a\nb");
	parse("2000-1000 r--p 00000000 00:01 5 /a\n", &line, false);
	parse("1000-2000 r--p 00000000 00:01\n", &line, false);
	parse("1000-2000 r-", &line, false);
	parse("11112222333344445555-2 r--p 00000000 00:01 5 /a\n", &line, false);
	parse("", &line, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_add), cmocka_unit_test(test_lines)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
