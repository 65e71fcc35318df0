/* One unit of .debug_line: a program that writes the table of addresses and lines, and the files it names. */
#ifndef RILLE_STACK_LINEPROGRAM_H
#define RILLE_STACK_LINEPROGRAM_H

#include "engine/stack/arena.h"
#include "engine/stack/reader.h"

#include <stddef.h>

/* .debug_line_str, where version 5 has its names; empty if there is none. */
struct line_strings {
	const uint8_t *bytes;
	size_t len;
};

struct line_unit {
	uint16_t version;
	bool wide; /* 64-bit format */
	uint8_t address_size, min_instruction, opcode_base, line_range;
	int8_t line_base;
	const uint8_t *opcode_lengths; /* opcode_base - 1 of them */
	struct reader tables;          /* directories and files */
	struct reader program;
};

struct line_row {
	uint64_t address;
	uint64_t file;
	uint64_t line;
	bool end; /* of a sequence: `address` is behind its last instruction */
};

/* Takes the header of a unit apart; `bytes` begin at its length. False: it makes no sense, or is of a kind we do not
 * read. */
bool line_unit_parse(const uint8_t *bytes, size_t len, struct line_unit *ret);
/* Calls `row` for each row until it returns false. */
void line_unit_run(const struct line_unit *unit, bool (*row)(void *user, const struct line_row *row), void *user);
/* The path of a file, with its directory if the unit has it: made in the arena; NULL. */
const char *line_unit_file(
        const struct line_unit *unit, uint64_t number, const struct line_strings *strings, struct arena *arena);

#endif
