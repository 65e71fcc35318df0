/* DWARF 2 to 5, section 6.2. Only what a line needs is kept of the state machine: address, file and line. Operations in
 * one instruction (VLIW) are not distinguished, as no machine of ours has them.
 *
 * Up to version 4 a path may be relative to the compiler's working directory, which only .debug_info knows; it is then
 * given as it is. */
#include "engine/stack/lineprogram.h"

#include <dwarf.h>
#include <limits.h>
#include <stdio.h>

enum { MAX_FORMATS = 16, MAX_ENTRIES = 1 << 20 };

static uint64_t read_offset(struct reader *reader, bool wide)
{
	return read_fixed(reader, wide ? 8 : 4);
}

static bool parse_length(struct reader *reader, bool *ret_wide)
{
	uint64_t len = read_fixed(reader, 4);
	*ret_wide = len == UINT32_MAX;
	if (*ret_wide)
		len = read_fixed(reader, 8);
	if (reader->failed || len > reader_left(reader))
		return false;
	reader->end = reader->at + len;
	return true;
}

bool line_unit_parse(const uint8_t *bytes, size_t len, struct line_unit *ret)
{
	struct reader reader = {.at = bytes, .end = bytes + len};
	memset(ret, 0, sizeof(*ret));
	if (!parse_length(&reader, &ret->wide))
		return false;
	ret->version = read_fixed(&reader, 2);
	if (ret->version < 2 || ret->version > 5)
		return false;
	ret->address_size = 8;
	if (ret->version == 5) {
		ret->address_size = read_fixed(&reader, 1);
		read_fixed(&reader, 1); /* segment selectors */
	}
	uint64_t header = read_offset(&reader, ret->wide);
	if (reader.failed || header > reader_left(&reader) || ret->address_size != 8)
		return false;
	ret->program = (struct reader){.at = reader.at + header, .end = reader.end};
	reader.end = ret->program.at;
	ret->min_instruction = read_fixed(&reader, 1);
	if (ret->version >= 4)
		read_fixed(&reader, 1); /* operations in an instruction */
	read_fixed(&reader, 1);         /* whether rows begin as statements */
	ret->line_base = (int8_t)read_fixed(&reader, 1);
	ret->line_range = read_fixed(&reader, 1);
	ret->opcode_base = read_fixed(&reader, 1);
	if (!ret->opcode_base || !ret->line_range)
		return false;
	ret->opcode_lengths = read_bytes(&reader, ret->opcode_base - 1);
	ret->tables = reader;
	return !reader.failed;
}

struct run {
	const struct line_unit *unit;
	struct reader code;
	struct line_row row;
	bool (*fn)(void *user, const struct line_row *row);
	void *user;
	bool stopped;
};

static void begin_sequence(struct run *run)
{
	run->row = (struct line_row){.file = 1, .line = 1};
}

static void emit(struct run *run)
{
	if (!run->fn(run->user, &run->row))
		run->stopped = true;
}

static void step_extended(struct run *run)
{
	uint64_t len = read_uleb(&run->code);
	struct reader body = {.at = run->code.at};
	read_bytes(&run->code, len);
	body.end = run->code.at;
	if (run->code.failed)
		return;
	switch (read_fixed(&body, 1)) {
	case DW_LNE_end_sequence:
		run->row.end = true;
		emit(run);
		begin_sequence(run);
		return;
	case DW_LNE_set_address:
		run->row.address = reader_left(&body) >= 8 ? read_fixed(&body, 8) : 0;
		return;
	}
}

static void advance(struct run *run, uint64_t instructions)
{
	run->row.address += instructions * run->unit->min_instruction;
}

static void step_special(struct run *run, uint8_t opcode)
{
	uint8_t adjusted = opcode - run->unit->opcode_base;
	advance(run, adjusted / run->unit->line_range);
	run->row.line += (uint64_t)(int64_t)(run->unit->line_base + adjusted % run->unit->line_range);
	emit(run);
}

static void step_standard(struct run *run, uint8_t opcode)
{
	switch (opcode) {
	case DW_LNS_copy:
		emit(run);
		return;
	case DW_LNS_advance_pc:
		advance(run, read_uleb(&run->code));
		return;
	case DW_LNS_advance_line:
		run->row.line += (uint64_t)read_sleb(&run->code);
		return;
	case DW_LNS_set_file:
		run->row.file = read_uleb(&run->code);
		return;
	case DW_LNS_const_add_pc:
		advance(run, (255 - run->unit->opcode_base) / run->unit->line_range);
		return;
	case DW_LNS_fixed_advance_pc:
		run->row.address += read_fixed(&run->code, 2);
		return;
	default: /* what we need not know says how many operands it has */
		for (unsigned i = 0; i < run->unit->opcode_lengths[opcode - 1]; i++)
			read_uleb(&run->code);
	}
}

void line_unit_run(const struct line_unit *unit, bool (*row)(void *user, const struct line_row *row), void *user)
{
	struct run run = {.unit = unit, .code = unit->program, .fn = row, .user = user};
	begin_sequence(&run);
	while (run.code.at < run.code.end && !run.stopped && !run.code.failed) {
		uint8_t opcode = read_fixed(&run.code, 1);
		if (opcode >= unit->opcode_base)
			step_special(&run, opcode);
		else if (opcode)
			step_standard(&run, opcode);
		else
			step_extended(&run);
	}
}

/* Below: names. */

struct name {
	const char *path;
	uint64_t directory;
};

static const char *text_at(const struct line_strings *strings, uint64_t at)
{
	bool inside = at < strings->len && memchr(strings->bytes + at, 0, strings->len - at);
	return inside ? (const char *)strings->bytes + at : NULL;
}

static const char *read_text(struct reader *reader)
{
	const uint8_t *end = memchr(reader->at, 0, reader_left(reader));
	if (!end) {
		reader->failed = true;
		return NULL;
	}
	const char *text = (const char *)reader->at;
	reader->at = end + 1;
	return text;
}

/* One attribute of an entry: its number, and its text if it has one. */
static uint64_t read_form(
        struct reader *reader, uint64_t form, bool wide, const struct line_strings *strings, const char **ret_text)
{
	*ret_text = NULL;
	switch (form) {
	case DW_FORM_string:
		*ret_text = read_text(reader);
		return 0;
	case DW_FORM_line_strp:
		*ret_text = text_at(strings, read_offset(reader, wide));
		return 0;
	case DW_FORM_strp: /* compilers may, but do not, put names there */
		read_offset(reader, wide);
		return 0;
	case DW_FORM_udata:
		return read_uleb(reader);
	case DW_FORM_data1:
		return read_fixed(reader, 1);
	case DW_FORM_data2:
		return read_fixed(reader, 2);
	case DW_FORM_data4:
		return read_fixed(reader, 4);
	case DW_FORM_data8:
		return read_fixed(reader, 8);
	case DW_FORM_data16:
		read_bytes(reader, 16);
		return 0;
	case DW_FORM_block:
		read_bytes(reader, read_uleb(reader));
		return 0;
	default:
		reader->failed = true;
		return 0;
	}
}

/* A table of version 5, of directories or of files: entry `number` of it, the cursor behind the table. */
static struct name read_table(struct reader *reader, uint64_t number, bool wide, const struct line_strings *strings)
{
	struct name found = {0};
	uint64_t kinds[MAX_FORMATS] = {0}, forms[MAX_FORMATS] = {0};
	size_t nformats = read_fixed(reader, 1);
	if (nformats > MAX_FORMATS)
		reader->failed = true;
	for (size_t i = 0; i < nformats && !reader->failed; i++) {
		kinds[i] = read_uleb(reader);
		forms[i] = read_uleb(reader);
	}
	uint64_t n = read_uleb(reader);
	if (n > MAX_ENTRIES || (n && !nformats))
		reader->failed = true;
	for (uint64_t i = 0; i < n && !reader->failed; i++) {
		for (size_t k = 0; k < nformats; k++) {
			const char *text;
			uint64_t value = read_form(reader, forms[k], wide, strings, &text);
			if (i != number)
				continue;
			if (kinds[k] == DW_LNCT_path)
				found.path = text;
			else if (kinds[k] == DW_LNCT_directory_index)
				found.directory = value;
		}
	}
	return found;
}

/* Up to version 4: a list of texts, ended by an empty one. */
static const char *read_directory(struct reader *reader, uint64_t number)
{
	const char *found = NULL;
	for (uint64_t i = 1; !reader->failed; i++) {
		const char *text = read_text(reader);
		if (!text || !*text)
			break;
		if (i == number)
			found = text;
	}
	return found;
}

static struct name read_file(struct reader *reader, uint64_t number)
{
	for (uint64_t i = 1; !reader->failed; i++) {
		struct name file = {.path = read_text(reader)};
		if (!file.path || !*file.path)
			break;
		file.directory = read_uleb(reader);
		read_uleb(reader); /* time */
		read_uleb(reader); /* length */
		if (i == number)
			return file;
	}
	return (struct name){0};
}

static const char *join(struct arena *arena, const char *above, const char *directory, const char *path)
{
	char whole[PATH_MAX];
	if (path[0] == '/')
		directory = NULL;
	if (!directory || directory[0] == '/')
		above = NULL;
	int len = snprintf(whole, sizeof(whole), "%s%s%s%s%s", above ? above : "", above ? "/" : "",
	        directory ? directory : "", directory ? "/" : "", path);
	return len > 0 && len < (int)sizeof(whole) ? arena_text(arena, whole, len) : NULL;
}

const char *line_unit_file(
        const struct line_unit *unit, uint64_t number, const struct line_strings *strings, struct arena *arena)
{
	struct reader reader = unit->tables, again;
	struct name file, directory = {0}, top = {0};
	if (unit->version == 5) {
		top = read_table(&reader, 0, unit->wide, strings);
		file = read_table(&reader, number, unit->wide, strings);
		again = unit->tables;
		if (file.path && file.directory)
			directory = read_table(&again, file.directory, unit->wide, strings);
		else
			directory = top;
	} else {
		read_directory(&reader, 0);
		file = read_file(&reader, number);
		again = unit->tables;
		if (file.path && file.directory)
			directory.path = read_directory(&again, file.directory);
	}
	return file.path ? join(arena, directory.path == top.path ? NULL : top.path, directory.path, file.path) : NULL;
}
