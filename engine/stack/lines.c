/* Lines are read from .debug_line alone. The tables that say which unit covers an address are in .debug_info, which is
 * ten times larger, and which libraries for DWARF read and keep whole; so instead all line programs are run once,
 * keeping only where each sequence of addresses begins and ends, and the program of one sequence is run again for an
 * address in it. What is found is kept with the address (module.c).
 *
 * Only a file's own lines are read: those of distributions' separate debug files are packed, and a line of libc is not
 * worth unpacking megabytes in a running trace. */
#include "engine/stack/lines.h"

#include "engine/base/grow.h"
#include "engine/stack/arena.h"
#include "engine/stack/lineprogram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Running more than that would take longer than a tracer may look away. */
enum { MAX_LINE_BYTES = 16 << 20, MAX_UNIT = MAX_LINE_BYTES, MAX_STRINGS = 8 << 20, MAX_SEQUENCES = 1 << 20 };

struct sequence {
	uint64_t low, high;
	uint32_t unit, unit_len; /* in the section */
};

struct lines {
	const struct elf_file *elf;
	struct elf_section section;
	uint8_t *image; /* of a packed section */
	struct sequence *sequences;
	size_t n, cap;
	struct line_strings strings;
	uint8_t *line_str;
	struct arena names;
};

/* The bytes of one unit, with its length field: *ret_owned is freed by the caller. NULL. */
static const uint8_t *unit_bytes(const struct lines *lines, uint64_t at, uint64_t len, uint8_t **ret_owned)
{
	*ret_owned = NULL;
	if (at > lines->section.size || len > lines->section.size - at)
		return NULL;
	if (lines->image)
		return lines->image + at;
	uint8_t *bytes = malloc(len ? len : 1);
	if (bytes && elf_read(lines->elf, lines->section.offset + at, bytes, len)) {
		free(bytes);
		bytes = NULL;
	}
	return *ret_owned = bytes;
}

/* The length of the unit there, with its length field; 0 if there is none. */
static uint64_t unit_length(const struct lines *lines, uint64_t at)
{
	uint8_t *owned;
	uint64_t left = at < lines->section.size ? lines->section.size - at : 0;
	const uint8_t *bytes = unit_bytes(lines, at, left < 12 ? left : 12, &owned);
	struct reader reader = {.at = bytes, .end = bytes ? bytes + (left < 12 ? left : 12) : NULL};
	uint64_t len = bytes ? read_fixed(&reader, 4) : 0, field = 4;
	if (len == UINT32_MAX) {
		len = read_fixed(&reader, 8);
		field = 12;
	}
	free(owned);
	return !reader.failed && len && len <= MAX_UNIT && len <= left - field ? len + field : 0;
}

struct indexing {
	struct lines *lines;
	struct sequence sequence;
	bool begun, failed;
};

/* What was not linked in stays behind with addresses near zero. */
static bool is_code(const struct elf_file *elf, uint64_t va)
{
	for (size_t i = 0; i < elf->nsegments; i++)
		if (elf->segments[i].executable && va - elf->segments[i].va < elf->segments[i].memory_size)
			return true;
	return false;
}

static bool index_row(void *user, const struct line_row *row)
{
	struct indexing *indexing = user;
	struct lines *lines = indexing->lines;
	if (!indexing->begun) {
		indexing->sequence.low = row->address;
		indexing->begun = true;
	}
	if (!row->end)
		return true;
	indexing->begun = false;
	indexing->sequence.high = row->address;
	if (row->address <= indexing->sequence.low || !is_code(lines->elf, indexing->sequence.low))
		return true;
	indexing->failed = lines->n == MAX_SEQUENCES ||
	                   grow(&lines->sequences, &lines->cap, lines->n + 1, sizeof(*lines->sequences));
	if (!indexing->failed)
		lines->sequences[lines->n++] = indexing->sequence;
	return !indexing->failed;
}

static int by_low(const void *a, const void *b)
{
	const struct sequence *x = a, *y = b;
	return x->low < y->low ? -1 : x->low > y->low;
}

static void make_index(struct lines *lines)
{
	struct indexing indexing = {.lines = lines};
	uint64_t len;
	for (uint64_t at = 0; !indexing.failed && (len = unit_length(lines, at)); at += len) {
		struct line_unit unit;
		uint8_t *owned;
		const uint8_t *bytes = unit_bytes(lines, at, len, &owned);
		indexing.sequence.unit = at;
		indexing.sequence.unit_len = len;
		indexing.begun = false;
		if (bytes && line_unit_parse(bytes, len, &unit))
			line_unit_run(&unit, index_row, &indexing);
		free(owned);
	}
	if (lines->n)
		qsort(lines->sequences, lines->n, sizeof(*lines->sequences), by_low);
}

static uint8_t *load_strings(
        const struct elf_file *elf, const struct elf_section *sections, size_t n, const char *name, size_t *ret_len)
{
	const struct elf_section *section = elf_section_named(sections, n, name);
	return section ? elf_section_data(elf, section, MAX_STRINGS, ret_len) : NULL;
}

struct lines *lines_load(const struct elf_file *elf)
{
	size_t n, len;
	struct elf_section *sections = elf_sections(elf, &n);
	const struct elf_section *section = elf_section_named(sections, n, ".debug_line");
	struct lines *lines = NULL;
	if (section && section->type != SHT_NOBITS && section->size <= MAX_LINE_BYTES)
		lines = calloc(1, sizeof(*lines));
	if (!lines)
		goto out;
	lines->elf = elf;
	lines->section = *section;
	if (section->flags & SHF_COMPRESSED) {
		lines->image = elf_section_data(elf, section, MAX_LINE_BYTES, &len);
		lines->section.size = lines->image ? len : 0;
	}
	make_index(lines);
	lines->line_str = load_strings(elf, sections, n, ".debug_line_str", &lines->strings.len);
	lines->strings.bytes = lines->line_str;
out:
	free(sections);
	return lines;
}

void lines_free(struct lines *lines)
{
	if (!lines)
		return;
	arena_fini(&lines->names);
	free(lines->sequences);
	free(lines->line_str);
	free(lines->image);
	free(lines);
}

struct search {
	uint64_t va, low;
	bool in_sequence, begun, found;
	uint64_t file, line;
};

/* The last row at or before the address, of the sequence that begins at `low`. */
static bool search_row(void *user, const struct line_row *row)
{
	struct search *search = user;
	if (!search->begun) {
		search->begun = true;
		search->in_sequence = row->address == search->low;
	}
	if (search->in_sequence && row->address > search->va)
		return false;
	if (search->in_sequence && !row->end) {
		search->found = true;
		search->file = row->file;
		search->line = row->line;
	}
	if (row->end)
		search->begun = false;
	return true;
}

static const struct sequence *find_sequence(const struct lines *lines, uint64_t va)
{
	size_t past = 0;
	for (size_t end = lines->n; past < end;) {
		size_t middle = past + (end - past) / 2;
		if (lines->sequences[middle].low <= va)
			past = middle + 1;
		else
			end = middle;
	}
	return past && va < lines->sequences[past - 1].high ? &lines->sequences[past - 1] : NULL;
}

bool lines_find(struct lines *lines, uint64_t va, const char **ret_file, int *ret_line)
{
	const struct sequence *sequence = find_sequence(lines, va);
	struct line_unit unit;
	uint8_t *owned = NULL;
	const uint8_t *bytes = sequence ? unit_bytes(lines, sequence->unit, sequence->unit_len, &owned) : NULL;
	struct search search = {.va = va};
	if (bytes && line_unit_parse(bytes, sequence->unit_len, &unit)) {
		search.low = sequence->low;
		line_unit_run(&unit, search_row, &search);
	}
	const char *file = NULL;
	if (search.found && search.line && search.line <= INT32_MAX)
		file = line_unit_file(&unit, search.file, &lines->strings, &lines->names);
	free(owned);
	if (!file)
		return false;
	*ret_file = file;
	*ret_line = (int)search.line;
	return true;
}
