/* Any bytes as a unit of .debug_line: its header, its program, the names of its files. The first byte says how many of
 * the next ones are .debug_line_str. */
#include "engine/stack/lineprogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint64_t rows, files[4];
};

static bool count(void *user, const struct line_row *row)
{
	struct seen *seen = user;
	seen->files[seen->rows++ % 4] = row->file;
	return seen->rows < 100000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size - 1 < data[0])
		return 0;
	struct line_strings strings = {.bytes = data + 1, .len = data[0]};
	struct line_unit unit;
	struct seen seen = {0};
	struct arena arena = {0};
	if (!line_unit_parse(data + 1 + strings.len, size - 1 - strings.len, &unit))
		return 0;
	line_unit_run(&unit, count, &seen);
	for (size_t i = 0; i < 4; i++)
		line_unit_file(&unit, seen.files[i], &strings, &arena);
	arena_fini(&arena);
	return 0;
}
