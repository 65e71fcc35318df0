/* Taking bytes apart: a cursor that cannot leave its buffer and remembers that it tried. */
#ifndef RILLE_STACK_READER_H
#define RILLE_STACK_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct reader {
	const uint8_t *at, *end;
	bool failed; /* sticky; what was read then is 0 */
};

static inline size_t reader_left(const struct reader *reader)
{
	return reader->end - reader->at;
}

static inline uint64_t read_fixed(struct reader *reader, size_t bytes)
{
	uint64_t value = 0;
	if (reader_left(reader) < bytes) {
		reader->failed = true;
		reader->at = reader->end;
		return 0;
	}
	memcpy(&value, reader->at, bytes);
	reader->at += bytes;
	return value;
}

static inline int64_t read_signed(struct reader *reader, size_t bytes)
{
	uint64_t value = read_fixed(reader, bytes);
	unsigned shift = 64 - 8 * bytes;
	return (int64_t)(value << shift) >> shift;
}

/* LEB128; bits beyond the 64th are dropped. */
static inline uint64_t read_uleb(struct reader *reader)
{
	uint64_t value = 0;
	for (unsigned shift = 0; reader->at < reader->end; shift += 7) {
		uint8_t byte = *reader->at++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	reader->failed = true;
	return 0;
}

static inline int64_t read_sleb(struct reader *reader)
{
	uint64_t value = 0;
	for (unsigned shift = 0; reader->at < reader->end;) {
		uint8_t byte = *reader->at++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (byte & 0x80)
			continue;
		if (shift < 64 && byte & 0x40)
			value |= -(1ULL << shift);
		return (int64_t)value;
	}
	reader->failed = true;
	return 0;
}

static inline const uint8_t *read_bytes(struct reader *reader, uint64_t len)
{
	const uint8_t *bytes = reader->at;
	if (len > reader_left(reader)) {
		reader->failed = true;
		reader->at = reader->end;
		return bytes;
	}
	reader->at += len;
	return bytes;
}

#endif
