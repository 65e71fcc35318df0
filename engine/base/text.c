/* Growable text, and the two ways in which text that came from a traced process is made harmless.
 *
 * Names of symbols, classes, files and processes are chosen by whoever wrote the target. text_add_json() keeps a JSON
 * string a JSON string, text_add_clean() keeps a terminal's state its own; both pass valid UTF-8 through. */
#include "engine/base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_fini(struct text *t)
{
	free(t->data);
	memset(t, 0, sizeof(*t));
}

void text_reset(struct text *t)
{
	t->len = 0;
	t->failed = false;
	if (t->data)
		t->data[0] = 0;
}

const char *text_str(const struct text *t)
{
	return t->data ? t->data : "";
}

char *text_reserve(struct text *t, size_t n)
{
	if (t->failed || n > SIZE_MAX / 4 - t->len)
		goto fail;
	if (t->len + n + 1 > t->cap) {
		size_t cap = t->cap + t->cap / 2 + n + 64;
		char *data = realloc(t->data, cap);
		if (!data)
			goto fail;
		t->data = data;
		t->cap = cap;
	}
	return t->data + t->len;
fail:
	t->failed = true;
	return NULL;
}

void text_add(struct text *t, const void *data, size_t n)
{
	char *at = text_reserve(t, n);
	if (!at)
		return;
	if (n)
		memcpy(at, data, n);
	at[n] = 0;
	t->len += n;
}

void text_addt(struct text *t, const struct text *other)
{
	t->failed |= other->failed;
	text_add(t, text_str(other), other->len);
}

void text_adds(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_addc(struct text *t, char c)
{
	text_add(t, &c, 1);
}

void text_addu(struct text *t, unsigned long long v)
{
	char digits[24], *p = digits + sizeof(digits);
	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	text_add(t, p, (size_t)(digits + sizeof(digits) - p));
}

void text_addi(struct text *t, long long v)
{
	if (v < 0)
		text_addc(t, '-');
	text_addu(t, v < 0 ? 0ULL - (unsigned long long)v : (unsigned long long)v);
}

void text_addx(struct text *t, unsigned long long v)
{
	char digits[16], *p = digits + sizeof(digits);
	do
		*--p = "0123456789abcdef"[v & 15];
	while (v >>= 4);
	text_add(t, p, (size_t)(digits + sizeof(digits) - p));
}

void text_vprintf(struct text *t, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *at = n < 0 ? NULL : text_reserve(t, (size_t)n);
	if (at) {
		vsnprintf(at, (size_t)n + 1, fmt, again);
		t->len += (size_t)n;
	}
	va_end(again);
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	text_vprintf(t, fmt, ap);
	va_end(ap);
}

/* Length of the valid UTF-8 sequence at s (no overlong forms, no surrogates, at most U+10FFFF), 0 if it is not one. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
	if (len < 2 || len > n)
		return len > n ? 0 : len;
	uint32_t c = s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

/* Bytes at s that need no change in either output. */
static size_t plain_run(const unsigned char *s, size_t n)
{
	size_t i = 0;
	while (i < n && s[i] >= 0x20 && s[i] < 0x7f && s[i] != '"' && s[i] != '\\')
		i++;
	return i;
}

static void add_json_escape(struct text *t, unsigned char c)
{
	static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
	const char *at = c ? strchr(from, c) : NULL;
	if (at) {
		text_addc(t, '\\');
		text_addc(t, to[at - from]);
	} else {
		text_printf(t, "\\u%04x", c);
	}
}

void text_add_json(struct text *t, const char *str, size_t n)
{
	const unsigned char *s = (const unsigned char *)str;
	while (n) {
		size_t len = plain_run(s, n);
		if (len) {
			text_add(t, s, len);
		} else if (s[0] < 0x80) {
			add_json_escape(t, s[0]);
			len = 1;
		} else if ((len = utf8_length(s, n)) != 0) {
			text_add(t, s, len);
		} else {
			text_adds(t, "\xef\xbf\xbd");
			len = 1;
		}
		s += len;
		n -= len;
	}
}

void text_add_json_string(struct text *t, const char *s)
{
	if (!s) {
		text_adds(t, "null");
		return;
	}
	text_addc(t, '"');
	text_add_json(t, s, strlen(s));
	text_addc(t, '"');
}

/* Bytes at s that a terminal shows as they are; 0: the first one it does not. */
static size_t clean_length(const unsigned char *s, size_t n)
{
	size_t len = plain_run(s, n);
	if (!len && (s[0] == '"' || s[0] == '\\' || s[0] == '\t'))
		len = 1;
	if (!len && s[0] >= 0x80) {
		len = utf8_length(s, n);
		if (len == 2 && s[0] == 0xc2 && s[1] < 0xa0) /* C1 controls */
			len = 0;
	}
	return len;
}

void text_add_clean(struct text *t, const char *str, size_t n)
{
	const unsigned char *s = (const unsigned char *)str;
	while (n) {
		size_t len = clean_length(s, n);
		if (len)
			text_add(t, s, len);
		else
			text_printf(t, "\\x%02x", s[0]);
		len += !len;
		s += len;
		n -= len;
	}
}

bool text_is_clean(const char *str, size_t n)
{
	const unsigned char *s = (const unsigned char *)str;
	while (n) {
		size_t len = clean_length(s, n);
		if (!len)
			return false;
		s += len;
		n -= len;
	}
	return true;
}

char *text_steal(struct text *t)
{
	char *data = t->data;
	memset(t, 0, sizeof(*t));
	return data;
}
