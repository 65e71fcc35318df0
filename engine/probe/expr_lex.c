/* Tokens of an expression.
 *
 * An expression mostly stands inside a Lua string, so both kinds of quotes make a string (comm == 'java'), and the Lua
 * spellings `and or not ~=` come out as the tokens of their C twins: the parser knows one language only.
 *
 * Numbers are C's: decimal, 0x, 0b, octal with a leading 0; the suffixes u and l are taken and mean nothing, since all
 * arithmetic has 64 bits. */
#include "engine/probe/expr.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static bool is_name_start(char c)
{
	return isalpha((unsigned char)c) || c == '_';
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static int digit_value(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : 99;
}

/* Skips the prefix of a number and returns its base. */
static int number_base(const char **s)
{
	const char *p = *s;
	if (p[0] != '0')
		return 10;
	if ((p[1] == 'x' || p[1] == 'X') && isxdigit((unsigned char)p[2])) {
		*s += 2;
		return 16;
	}
	if ((p[1] == 'b' || p[1] == 'B') && (p[2] == '0' || p[2] == '1')) {
		*s += 2;
		return 2;
	}
	return 8;
}

static int read_number(struct lexer *lexer, const char *s, struct err *err)
{
	struct token *t = &lexer->now;
	const char *p = s;
	int base = number_base(&p);
	t->kind = TOKEN_INT;
	t->value = 0;
	for (; digit_value(*p) < base; p++) {
		uint64_t v;
		if (__builtin_mul_overflow(t->value, (uint64_t)base, &v) ||
		        __builtin_add_overflow(v, (uint64_t)digit_value(*p), &t->value))
			return expr_error(lexer->source, t->at, err, "syntax", "the number does not fit in 64 bits");
	}
	while (*p && strchr("uUlL", *p))
		p++;
	if (is_name(*p) || *p == '.')
		return expr_error(lexer->source, (uint32_t)(p - lexer->source->text), err, "syntax",
		        "'%c' does not belong in a number", *p);
	t->len = (size_t)(p - s);
	return 0;
}

static int read_string(struct lexer *lexer, const char *s, struct err *err)
{
	struct token *t = &lexer->now;
	const char *p = s + 1;
	while (*p && *p != *s)
		p += *p == '\\' && p[1] ? 2 : 1;
	if (!*p)
		return expr_error(lexer->source, t->at, err, "syntax", "the string has no end");
	t->kind = TOKEN_STRING;
	t->len = (size_t)(p + 1 - s);
	return 0;
}

static void read_name(struct lexer *lexer, const char *s)
{
	static const struct {
		const char *word;
		unsigned op;
	} words[] = {{"and", '&' << 8 | '&'}, {"or", '|' << 8 | '|'}, {"not", '!'}, {"in", 'i' << 8 | 'n'}};
	struct token *t = &lexer->now;
	t->kind = TOKEN_NAME;
	t->start = s;
	while (is_name(s[t->len]))
		t->len++;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i].word) == t->len && !memcmp(words[i].word, s, t->len)) {
			t->kind = TOKEN_OP;
			t->op = words[i].op;
		}
	}
}

static int read_param(struct lexer *lexer, const char *s, struct err *err)
{
	struct token *t = &lexer->now;
	if (!is_name_start(s[1]))
		return expr_error(lexer->source, t->at, err, "syntax", "'$' starts the name of a parameter");
	t->kind = TOKEN_PARAM;
	t->start = s + 1;
	for (t->len = 1; is_name(s[t->len]); t->len++)
		;
	return 0;
}

static int read_operator(struct lexer *lexer, const char *s, struct err *err)
{
	static const char pairs[][3] = {"&&", "||", "==", "!=", "~=", "<=", ">=", "<<", ">>", "->"};
	struct token *t = &lexer->now;
	t->kind = TOKEN_OP;
	t->len = 2;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (s[0] == pairs[i][0] && s[1] == pairs[i][1]) {
			t->op = (unsigned)(s[0] == '~' ? '!' : s[0]) << 8 | (unsigned)s[1];
			return 0;
		}
	}
	t->len = 1;
	t->op = (unsigned char)s[0];
	if (strchr("+-*/%&|^~<>!?:().,[]{}", s[0]))
		return 0;
	if (s[0] == '=')
		return expr_error(lexer->source, t->at, err, "syntax", "an expression cannot assign; '==' compares");
	if (isprint((unsigned char)s[0]))
		return expr_error(lexer->source, t->at, err, "syntax", "unexpected character '%c'", s[0]);
	return expr_error(lexer->source, t->at, err, "syntax", "unexpected byte 0x%02x", (unsigned char)s[0]);
}

int lexer_next(struct lexer *lexer, struct err *err)
{
	const char *s = lexer->source->text + lexer->at;
	while (*s && strchr(" \t\r\n", *s))
		s++;
	struct token *t = &lexer->now;
	memset(t, 0, sizeof(*t));
	t->at = (uint32_t)(s - lexer->source->text);
	t->start = s;
	int r = 0;
	if (!*s)
		t->kind = TOKEN_END;
	else if (isdigit((unsigned char)*s))
		r = read_number(lexer, s, err);
	else if (*s == '"' || *s == '\'')
		r = read_string(lexer, s, err);
	else if (is_name_start(*s))
		read_name(lexer, s);
	else if (*s == '$')
		r = read_param(lexer, s, err);
	else
		r = read_operator(lexer, s, err);
	lexer->at = t->at + (uint32_t)t->len;
	if (t->kind == TOKEN_PARAM)
		t->len--; /* the name alone */
	return r;
}

/* Decodes one escape at *s (after the backslash) and moves *s behind it: the byte, or -1. */
static int escape(const char **s)
{
	static const char from[] = "nrtabfv0\\'\"", to[] = "\n\r\t\a\b\f\v\0\\'\"";
	char c = *(*s)++;
	if (c == 'x' && isxdigit((unsigned char)(*s)[0]) && isxdigit((unsigned char)(*s)[1])) {
		int v = digit_value((*s)[0]) * 16 + digit_value((*s)[1]);
		*s += 2;
		return v;
	}
	const char *at = c ? strchr(from, c) : NULL;
	return at ? (unsigned char)to[at - from] : -1;
}

int lexer_string(const struct lexer *lexer, const struct token *token, char *ret, size_t *ret_len, struct err *err)
{
	const char *s = token->start + 1, *end = token->start + token->len - 1;
	size_t n = 0;
	while (s < end) {
		int c = (unsigned char)*s++;
		if (c == '\\') {
			c = escape(&s);
			if (c < 0)
				return expr_error(lexer->source, (uint32_t)(s - 1 - lexer->source->text), err, "syntax",
				        "unknown escape in a string");
		}
		ret[n++] = (char)c;
	}
	*ret_len = n;
	return 0;
}
