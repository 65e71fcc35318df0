/* Values as text and as JSON: one function a kind, so that both forms of a kind can be compared at a glance. */
#include "engine/out/value.h"
#include "engine/out/sockaddr.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void value_quoted(struct text *out, const char *s, size_t n)
{
	text_addc(out, '"');
	while (n) {
		size_t run = 0;
		while (run < n && s[run] != '"' && s[run] != '\\')
			run++;
		text_add_clean(out, s, run);
		if (run < n) {
			text_addc(out, '\\');
			text_addc(out, s[run++]);
		}
		s += run;
		n -= run;
	}
	text_addc(out, '"');
}

static void json_string(struct text *out, const char *s, size_t n)
{
	text_addc(out, '"');
	text_add_json(out, s, n);
	text_addc(out, '"');
}

static void json_hex(struct text *out, const uint8_t *data, size_t len)
{
	text_addc(out, '"');
	for (size_t i = 0; i < len; i++) {
		text_addc(out, "0123456789abcdef"[data[i] >> 4]);
		text_addc(out, "0123456789abcdef"[data[i] & 15]);
	}
	text_addc(out, '"');
}

static void plain_integer(struct text *out, const struct value *value, int64_t v)
{
	if (value->kind == VALUE_UINT)
		text_addu(out, (uint64_t)v);
	else
		text_addi(out, v);
}

/* A decoder's text is a name (or several, or an address) unless it starts with a digit or sign: then no name fitted. */
static void json_named(struct text *out, const struct column *column, const struct value *value, int64_t v)
{
	size_t mark = out->len;
	text_addc(out, '"');
	decode(&column->decoder, v, out);
	bool named = !text_failed(out) && isalpha((unsigned char)out->data[mark + 1]);
	if (named || column->schema->format == FORMAT_IP) {
		text_addc(out, '"');
	} else if (!text_failed(out)) {
		out->len = mark;
		plain_integer(out, value, v);
	}
}

static void json_integer(struct text *out, const struct column *column, const struct value *value, int64_t v)
{
	switch (column->schema->format) {
	case FORMAT_ENUM:
	case FORMAT_FLAGS:
	case FORMAT_ERRNO:
	case FORMAT_IP:
		json_named(out, column, value, v);
		break;
	default:
		plain_integer(out, value, v);
	}
}

static void text_integer(struct text *out, const struct column *column, const struct value *value, int64_t v)
{
	if (column->schema->format == FORMAT_NONE)
		plain_integer(out, value, v);
	else
		decode(&column->decoder, v, out);
}

typedef void integer_fn(struct text *out, const struct column *column, const struct value *value, int64_t v);

/* One number, or [1,2,3]; elements can be missing on their own (the inode of a descriptor that was closed meanwhile).
 */
static void integers(
        struct text *out, const struct column *column, const struct value *value, integer_fn *add, const char *missing)
{
	if (!value->count) {
		add(out, column, value, value_int(value, 0));
		return;
	}
	text_addc(out, '[');
	for (size_t i = 0; i < value->count; i++) {
		if (i)
			text_addc(out, ',');
		if (value_has(value, i))
			add(out, column, value, value_int(value, i));
		else
			text_adds(out, missing);
	}
	text_addc(out, ']');
}

static void add_bool(struct text *out, bool b)
{
	text_adds(out, b ? "true" : "false");
}

void value_text(struct text *out, const struct column *column, const struct value *value)
{
	if (value->missing) {
		text_addc(out, '-');
		return;
	}
	switch (value->kind) {
	case VALUE_INT:
	case VALUE_UINT:
		integers(out, column, value, text_integer, "-");
		break;
	case VALUE_BOOL:
		add_bool(out, value_int(value, 0));
		break;
	case VALUE_BYTES:
		if (column->schema->format == FORMAT_IP) {
			decode_ip(value->data, value->len, out);
			break;
		} /* else fall through */
	case VALUE_STR:
		value_quoted(out, (const char *)value->data, value->len);
		break;
	case VALUE_SOCKADDR:
		sockaddr_text(out, value->data, value->len);
		break;
	}
}

void value_json(struct text *out, const struct column *column, const struct value *value)
{
	if (value->missing) {
		text_adds(out, "null");
		return;
	}
	switch (value->kind) {
	case VALUE_INT:
	case VALUE_UINT:
		integers(out, column, value, json_integer, "null");
		break;
	case VALUE_BOOL:
		add_bool(out, value_int(value, 0));
		break;
	case VALUE_STR:
		json_string(out, (const char *)value->data, value->len);
		break;
	case VALUE_BYTES:
		if (column->schema->format == FORMAT_IP) {
			text_addc(out, '"');
			decode_ip(value->data, value->len, out);
			text_addc(out, '"');
		} else {
			json_hex(out, value->data, value->len);
		}
		break;
	case VALUE_SOCKADDR:
		sockaddr_json(out, value->data, value->len);
		break;
	}
}

/* The host's locale may write a decimal comma. */
static void add_double(struct text *out, int precision, double n)
{
	char digits[40];
	int len = snprintf(digits, sizeof(digits), "%.*g", precision, n);
	for (int i = 0; i < len; i++)
		if (!strchr("0123456789+-e", digits[i]))
			digits[i] = '.';
	text_add(out, digits, (size_t)len);
}

/* The fewest digits that read back as the same number; 17 always do. */
static int precision_of(double n)
{
	char digits[40];
	for (int precision = 6; precision < 17; precision++) {
		snprintf(digits, sizeof(digits), "%.*g", precision, n);
		if (strtod(digits, NULL) == n)
			return precision;
	}
	return 17;
}

/* Reads back as the same number; JSON has no infinities. */
static void add_number(struct text *out, double n, const char *not_finite)
{
	if (!isfinite(n))
		text_adds(out, not_finite ? not_finite : isnan(n) ? "nan" : n < 0 ? "-inf" : "inf");
	else if (n == floor(n) && fabs(n) < 9e18)
		text_addi(out, (long long)n);
	else
		add_double(out, precision_of(n), n);
}

void cell_text(struct text *out, const struct cell *cell)
{
	switch (cell->kind) {
	case CELL_NULL:
		text_addc(out, '-');
		break;
	case CELL_BOOL:
		add_bool(out, cell->b);
		break;
	case CELL_INT:
		text_addi(out, cell->i);
		break;
	case CELL_UINT:
		text_addu(out, cell->u);
		break;
	case CELL_NUMBER:
		if (isfinite(cell->n) && (cell->n != floor(cell->n) || fabs(cell->n) >= 9e18))
			add_double(out, 6, cell->n);
		else
			add_number(out, cell->n, NULL); /* a whole number, whole: 123456789, not 1.23457e+08 */
		break;
	case CELL_TEXT:
		value_quoted(out, cell->text.data, cell->text.len);
		break;
	}
}

void cell_json(struct text *out, const struct cell *cell)
{
	switch (cell->kind) {
	case CELL_NULL:
		text_adds(out, "null");
		break;
	case CELL_NUMBER:
		add_number(out, cell->n, "null");
		break;
	case CELL_TEXT:
		json_string(out, cell->text.data, cell->text.len);
		break;
	default:
		cell_text(out, cell);
	}
}
