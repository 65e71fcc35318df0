/* Growable text. Out of memory is sticky: appends after it do nothing and text_failed() tells, so that a long run of
 * appends needs one check at its end. */
#ifndef RILLE_BASE_TEXT_H
#define RILLE_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
	char *data; /* NUL-terminated once anything was appended; may be NULL while len is 0 */
	size_t len, cap;
	bool failed;
};

void text_fini(struct text *t);
/* Empties it, keeps the memory, forgets a failure. */
void text_reset(struct text *t);
static inline bool text_failed(const struct text *t)
{
	return t->failed;
}
/* Never NULL. */
const char *text_str(const struct text *t);
/* Room for n more bytes and a NUL, or NULL; the caller writes there and adds to len. */
char *text_reserve(struct text *t, size_t n);
void text_add(struct text *t, const void *data, size_t n);
void text_adds(struct text *t, const char *s);
/* The other's text, and its failure: what is put together of parts is whole only if all of them are. */
void text_addt(struct text *t, const struct text *other);
void text_addc(struct text *t, char c);
void text_addu(struct text *t, unsigned long long v); /* decimal, without printf's cost */
void text_addi(struct text *t, long long v);
void text_addx(struct text *t, unsigned long long v); /* hexadecimal, no prefix */
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *t, const char *fmt, va_list ap);
/* Appends s as the inside of a JSON string (no quotes): escapes control characters, and replaces bytes that are not
 * valid UTF-8 by U+FFFD, since everything a target names may be hostile. */
void text_add_json(struct text *t, const char *s, size_t n);
/* Appends s as a JSON string, with its quotes; null for NULL. */
void text_add_json_string(struct text *t, const char *s);
/* Appends s for a terminal: control characters, ESC, DEL, C1 and invalid UTF-8 become \xNN. */
void text_add_clean(struct text *t, const char *s, size_t n);
/* Whether text_add_clean() would change nothing. */
bool text_is_clean(const char *s, size_t n);
/* Gives the memory away; the caller frees it. */
char *text_steal(struct text *t);

#endif
