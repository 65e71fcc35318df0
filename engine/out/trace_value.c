/* A field of an event: from JSON to the bytes that the kernel side would have sent, so that every sink shows it as it
 * would have then. Names of constants become numbers again, hexadecimal digits bytes, objects socket addresses. */
#include "engine/out/sockaddr.h"
#include "engine/out/trace_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Values are found by their place until all are there: the text may move while it grows. */
static void begin(struct trace_reader *reader, struct value *ret)
{
	while (reader->bytes.len % 8)
		text_addc(&reader->bytes, 0);
	ret->data = (const uint8_t *)(uintptr_t)reader->bytes.len;
}

static bool read_integer(const struct decoder *decoder, struct json_object *from, int64_t *ret)
{
	if (json_object_get_type(from) != json_type_string)
		return trace_integer(from, ret);
	return encode(decoder, json_object_get_string(from), (size_t)json_object_get_string_len(from), ret);
}

/* Little or big: the low `width` bytes of a number as this machine has them. */
static void add_integer(struct text *out, int64_t v, uint8_t width)
{
	int8_t v1 = (int8_t)v;
	int16_t v2 = (int16_t)v;
	int32_t v4 = (int32_t)v;
	const void *data = width == 1 ? (void *)&v1 : width == 2 ? (void *)&v2 : width == 4 ? (void *)&v4 : (void *)&v;
	text_add(out, data, width);
}

static bool read_array(struct trace_reader *reader, const struct field_schema *field, const struct decoder *decoder,
        struct json_object *from, struct value *ret)
{
	if (json_object_get_type(from) != json_type_array || json_object_array_length(from) != field->count)
		return false;
	for (size_t i = 0; i < field->count; i++) {
		struct json_object *element = json_object_array_get_idx(from, i);
		int64_t v = 0;
		if (element && !read_integer(decoder, element, &v))
			return false;
		ret->elements |= element ? 1ull << i : 0;
		add_integer(&reader->bytes, v, field->width);
	}
	return true;
}

static bool read_integers(struct trace_reader *reader, const struct field_schema *field, const struct decoder *decoder,
        struct json_object *from, struct value *ret)
{
	int64_t v;
	ret->len = (size_t)field->width * (field->count ? field->count : 1);
	begin(reader, ret);
	if (field->count)
		return read_array(reader, field, decoder, from, ret);
	ret->elements = ~0ull;
	if (!read_integer(decoder, from, &v))
		return false;
	add_integer(&reader->bytes, v, field->width);
	return true;
}

static bool read_bool(struct trace_reader *reader, struct json_object *from, struct value *ret)
{
	begin(reader, ret);
	ret->len = 1;
	ret->elements = ~0ull;
	if (json_object_get_type(from) != json_type_boolean)
		return false;
	text_addc(&reader->bytes, (char)json_object_get_boolean(from));
	return true;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool add_hex(struct text *out, const char *s, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2) {
		int high = digit(s[i]), low = digit(s[i + 1]);
		if (high < 0 || low < 0)
			return false;
		text_addc(out, (char)(high << 4 | low));
	}
	return n % 2 == 0;
}

static bool read_bytes(
        struct trace_reader *reader, const struct field_schema *field, struct json_object *from, struct value *ret)
{
	uint8_t ip[16];
	if (json_object_get_type(from) != json_type_string)
		return false;
	const char *s = json_object_get_string(from);
	size_t n = (size_t)json_object_get_string_len(from);
	begin(reader, ret);
	size_t start = reader->bytes.len, ip_len = field->format == FORMAT_IP ? encode_ip(s, n, ip) : 0;
	if (ip_len)
		text_add(&reader->bytes, ip, ip_len);
	else if (!add_hex(&reader->bytes, s, n))
		return false;
	ret->len = reader->bytes.len - start;
	return true;
}

static bool read_address(struct trace_reader *reader, struct json_object *from, struct value *ret)
{
	begin(reader, ret);
	size_t start = reader->bytes.len;
	const char *data;
	size_t n;
	if (json_object_get_type(from) != json_type_object)
		return false;
	if (trace_text(from, "data", &data, &n) ? !add_hex(&reader->bytes, data, n)
	                                        : !trace_sockaddr_read(&reader->bytes, from))
		return false;
	ret->len = reader->bytes.len - start;
	return true;
}

static bool read_text(struct json_object *from, struct value *ret)
{
	if (json_object_get_type(from) != json_type_string)
		return false;
	ret->data = (const uint8_t *)json_object_get_string(from);
	ret->len = (size_t)json_object_get_string_len(from);
	return true;
}

bool trace_value_read(struct trace_reader *reader, const struct field_schema *field, const struct decoder *decoder,
        struct json_object *from, struct value *ret)
{
	*ret = (struct value){.kind = field->kind, .width = field->width, .count = field->count, .missing = !from};
	if (!from)
		return true;
	switch (field->kind) {
	case VALUE_INT:
	case VALUE_UINT:
		return read_integers(reader, field, decoder, from, ret);
	case VALUE_BOOL:
		return read_bool(reader, from, ret);
	case VALUE_STR:
		return read_text(from, ret);
	case VALUE_BYTES:
		return read_bytes(reader, field, from, ret);
	case VALUE_SOCKADDR:
		return read_address(reader, from, ret);
	}
	return false;
}
