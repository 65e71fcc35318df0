/* The JavaScript heap from outside: tagged words, types, strings, arrays.
 *
 * A word is a small integer (value in the upper 32 bits) or a pointer to a heap object with tag 01. An object begins
 * with its map, and the map tells its instance type. Every read checks tag and type, lengths are bounded before they
 * are used, and strings made of pieces are followed to a fixed depth. */
#include "engine/stack/v8.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 8, MAX_MOVES = 2, MAX_CHARS = 1 << 26 };

/* Where an object's map was, the collector leaves the address that the object was moved to: a word without a tag. What the
 * frame points to may have been moved since the event, also twice. */
bool v8_object(const struct v8 *v8, struct memory *memory, uint64_t tagged, struct v8_object *ret)
{
	bool failed = false;
	for (int moves = 0; moves <= MAX_MOVES && v8_is_object(tagged); moves++) {
		ret->address = tagged - 1;
		uint64_t map = memory_u64(memory, ret->address + v8->layout.object_map, &failed);
		if (failed)
			return false;
		if (v8_is_object(map)) {
			ret->type = memory_u16(memory, map - 1 + v8->layout.map_type, &failed);
			return !failed;
		}
		tagged = map & 3 ? 0 : map + 1;
	}
	return false;
}

bool v8_slot(const struct v8 *v8, struct memory *memory, uint64_t address, struct v8_object *ret)
{
	bool failed = false;
	uint64_t tagged = memory_u64(memory, address, &failed);
	return !failed && v8_object(v8, memory, tagged, ret);
}

static bool add_utf8(char *buffer, size_t size, size_t *len, uint32_t c)
{
	unsigned char out[4];
	size_t n = 0;
	if (c < 0x80) {
		out[n++] = (unsigned char)c;
	} else if (c < 0x800) {
		out[n++] = (unsigned char)(0xc0 | c >> 6);
		out[n++] = (unsigned char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		out[n++] = (unsigned char)(0xe0 | c >> 12);
		out[n++] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		out[n++] = (unsigned char)(0x80 | (c & 0x3f));
	} else {
		out[n++] = (unsigned char)(0xf0 | c >> 18);
		out[n++] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
		out[n++] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		out[n++] = (unsigned char)(0x80 | (c & 0x3f));
	}
	if (*len + n >= size)
		return false;
	memcpy(buffer + *len, out, n);
	*len += n;
	return true;
}

/* Characters of one or two bytes to UTF-8. A lone surrogate and NUL become U+FFFD. */
static void add_chars(const uint8_t *chars, size_t count, unsigned width, char *buffer, size_t size, size_t *len)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t c = chars[i * width];
		if (width == 2) {
			c |= (uint32_t)chars[i * 2 + 1] << 8;
			uint32_t next = i + 1 < count ? chars[i * 2 + 2] | (uint32_t)chars[i * 2 + 3] << 8 : 0;
			if ((c & 0xfc00) == 0xd800 && (next & 0xfc00) == 0xdc00) {
				c = 0x10000 + ((c & 0x3ff) << 10 | (next & 0x3ff));
				i++;
			} else if ((c & 0xf800) == 0xd800) {
				c = 0xfffd;
			}
		}
		if (!add_utf8(buffer, size, len, c ? c : 0xfffd))
			return;
	}
}

static unsigned char_width(const struct v8 *v8, const struct v8_object *string)
{
	return (string->type & v8->layout.string_encoding) == v8->layout.one_byte ? 1 : 2;
}

static int representation(const struct v8 *v8, const struct v8_object *string)
{
	return string->type & v8->layout.string_representation;
}

/* Part of a string: everything is bounded by what is left of the buffer, not by the string's own claim. */
static bool add_string(const struct v8 *v8, struct memory *memory, struct v8_object string, char *buffer, size_t size,
        size_t *len, int depth)
{
	const struct v8_layout *l = &v8->layout;
	struct v8_object first, second;
	uint64_t chars;
	uint32_t count;
	unsigned width;
	if (depth > MAX_DEPTH || !v8_is_string(v8, &string))
		return false;
	if (representation(v8, &string) == l->cons_string) {
		return v8_slot(v8, memory, string.address + l->cons_first, &first) &&
		       v8_slot(v8, memory, string.address + l->cons_second, &second) &&
		       add_string(v8, memory, first, buffer, size, len, depth + 1) &&
		       add_string(v8, memory, second, buffer, size, len, depth + 1);
	}
	if (!v8_flat_string(v8, memory, &string, &chars, &count, &width))
		return false;
	uint8_t piece[2 * V8_NAME];
	size_t n = count < sizeof(piece) / width ? count : sizeof(piece) / width;
	if (memory_read(memory, chars, piece, n * width))
		return false;
	add_chars(piece, n, width, buffer, size, len);
	return true;
}

int v8_string(const struct v8 *v8, struct memory *memory, const struct v8_object *string, char *buffer, size_t size)
{
	size_t len = 0;
	bool ok = add_string(v8, memory, *string, buffer, size, &len, 0);
	buffer[len] = 0;
	return ok ? (int)len : -1;
}

/* Follows thin and sliced strings to the flat one that has the characters. */
static bool flat_string(const struct v8 *v8, struct memory *memory, struct v8_object string, uint64_t *ret_chars,
        uint32_t *ret_count, unsigned *ret_width, int depth)
{
	const struct v8_layout *l = &v8->layout;
	struct v8_object next;
	bool failed = false;
	if (depth > MAX_DEPTH || !v8_is_string(v8, &string))
		return false;
	uint32_t count = memory_u32(memory, string.address + l->string_length, &failed);
	if (failed || count > MAX_CHARS)
		return false;
	int kind = representation(v8, &string);
	*ret_count = count;
	*ret_width = char_width(v8, &string);
	if (kind == l->seq_string) {
		*ret_chars = string.address + l->string_chars;
		return true;
	}
	if (kind == l->external_string) { /* the characters' address is kept behind the resource's */
		*ret_chars = memory_u64(memory, string.address + l->external_resource + 8, &failed);
		return !failed && *ret_chars;
	}
	if (kind == l->thin_string)
		return v8_slot(v8, memory, string.address + l->thin_actual, &next) &&
		       flat_string(v8, memory, next, ret_chars, ret_count, ret_width, depth + 1);
	if (kind != l->sliced_string || !v8_slot(v8, memory, string.address + l->sliced_parent, &next))
		return false;
	uint64_t offset = memory_u64(memory, string.address + l->sliced_offset, &failed);
	uint32_t parent_count;
	if (failed || !v8_is_smi(offset) ||
	        !flat_string(v8, memory, next, ret_chars, &parent_count, ret_width, depth + 1))
		return false;
	uint64_t from = (uint64_t)(uint32_t)v8_smi(offset);
	*ret_chars += from * *ret_width;
	*ret_count = count;
	return from + count <= parent_count;
}

bool v8_flat_string(const struct v8 *v8, struct memory *memory, const struct v8_object *string, uint64_t *ret_chars,
        uint32_t *ret_count, unsigned *ret_width)
{
	return flat_string(v8, memory, *string, ret_chars, ret_count, ret_width, 0);
}

uint8_t *v8_array(const struct v8 *v8, struct memory *memory, const struct v8_object *array, unsigned width, size_t max,
        uint32_t *ret_count)
{
	bool failed = false;
	uint64_t length = memory_u64(memory, array->address + v8->layout.array_length, &failed);
	if (failed || !v8_is_smi(length) || v8_smi(length) <= 0)
		return NULL;
	size_t bytes = (size_t)v8_smi(length) * width;
	if (bytes > max)
		return NULL;
	uint8_t *data = malloc(bytes);
	if (!data)
		return NULL;
	if (memory_read(memory, array->address + v8->layout.array_data, data, bytes)) {
		free(data);
		return NULL;
	}
	*ret_count = (uint32_t)v8_smi(length);
	return data;
}
