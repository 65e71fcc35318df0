/* A small reader of Lua's tokens, because Lua forgets where a string came from.
 *
 * The declare phase gets a table of plain strings. When one of them turns out to be wrong ("unknown field 'famly'"),
 * the user wants to see the place, so this file reads the source a second time and builds what the parser of Lua threw
 * away: the shape of the table constructor after the last `return`, with the place of each key and value. Looking up by
 * shape
 * ("probes, second item, key `where`") is exact. A script that computes its table (a local variable, a function that
 * makes probes) has no such shape; then a string is found by its value, in the order in which the same value is asked
 * for.
 *
 * It is a reader, not a judge: Lua has already said whether the text is valid, or is about to. Anything odd only makes
 * a place unknown. Expressions other than strings and tables are skipped by counting brackets and block keywords
 * (`function if do repeat` … `end until`), which is enough to find the comma after a callback.
 *
 * Lexical rules: Lua 5.4 reference manual, section 3.1. */
#include "engine/script/locate.h"
#include "engine/base/grow.h"
#include "engine/base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 32 }; /* nesting of table constructors that is looked into */

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_STRING, TOKEN_NUMBER, TOKEN_MARK };

struct token {
	enum token_kind kind;
	size_t start, len;    /* in the source; a string with its quotes */
	size_t value, nvalue; /* of a string: its bytes, in locator.values */
	uint32_t line, col;   /* of the first byte; of a string, the first after the quote */
	bool used;            /* locate_string gave it away */
};

enum node_kind { NODE_STRING, NODE_TABLE, NODE_OTHER };

/* One entry of a table constructor. Nodes of one table are chained by `next`. */
struct node {
	enum node_kind kind;
	size_t token; /* the value's first token */
	size_t key;   /* the key's token; the value's for an item without key */
	size_t index; /* of an item, from 1; 0 = it has a key */
	int first, next;
};

struct locator {
	const char *file, *source;
	struct text values;
	struct token *tokens;
	size_t ntokens, tokens_cap;
	struct node *nodes;
	size_t nnodes, nodes_cap;
	int root;
	size_t root_return; /* token of the last `return`, or ntokens */
};

/* --- tokens --- */

struct scan {
	const char *s, *end;
	const char *line_start;
	uint32_t line;
};

static int peek(const struct scan *scan, size_t ahead)
{
	return ahead < (size_t)(scan->end - scan->s) ? (unsigned char)scan->s[ahead] : -1;
}

static void step(struct scan *scan)
{
	if (*scan->s++ == '\n') {
		scan->line++;
		scan->line_start = scan->s;
	}
}

static void place(const struct scan *scan, struct token *token)
{
	token->line = scan->line;
	token->col = (uint32_t)(scan->s - scan->line_start) + 1;
}

/* The number of = between the brackets if a long bracket opens here, else -1. */
static int long_bracket(const struct scan *scan)
{
	int level = 0;
	if (peek(scan, 0) != '[')
		return -1;
	while (peek(scan, 1 + (size_t)level) == '=')
		level++;
	return peek(scan, 1 + (size_t)level) == '[' ? level : -1;
}

/* Reads a long string or comment whose opening bracket has been checked; its bytes go to `values` if that is not NULL.
 */
static void read_long(struct scan *scan, int level, struct text *values, struct token *token)
{
	scan->s += level + 2;
	if (peek(scan, 0) == '\r')
		step(scan);
	if (peek(scan, 0) == '\n')
		step(scan);
	place(scan, token);
	while (scan->s < scan->end) {
		int n = 0;
		while (peek(scan, 0) == ']' && peek(scan, 1 + (size_t)n) == '=')
			n++;
		if (peek(scan, 0) == ']' && n == level && peek(scan, 1 + (size_t)n) == ']') {
			scan->s += level + 2;
			return;
		}
		if (values)
			text_addc(values, *scan->s);
		step(scan);
	}
}

static void add_utf8(struct text *out, uint32_t c)
{
	if (c < 0x80) {
		text_addc(out, (char)c);
	} else if (c < 0x800) {
		text_addc(out, (char)(0xc0 | c >> 6));
		text_addc(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		text_addc(out, (char)(0xe0 | c >> 12));
		text_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		text_addc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		text_addc(out, (char)(0xf0 | (c >> 18 & 7)));
		text_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		text_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		text_addc(out, (char)(0x80 | (c & 0x3f)));
	}
}

static uint32_t read_digits(struct scan *scan, int base, int most)
{
	uint32_t v = 0;
	for (; most > 0 && scan->s < scan->end; most--, scan->s++) {
		int c = peek(scan, 0);
		if (!(base == 16 ? isxdigit(c) : isdigit(c)))
			break;
		v = v * (uint32_t)base + (uint32_t)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
	}
	return v;
}

/* After a backslash. */
static void read_escape(struct scan *scan, struct text *values)
{
	static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
	int c = peek(scan, 0);
	if (c < 0)
		return;
	const char *simple = memchr(from, c, sizeof(from) - 1);
	if (simple) {
		text_addc(values, to[simple - from]);
		scan->s++;
	} else if (c == 'x') {
		scan->s++;
		text_addc(values, (char)read_digits(scan, 16, 2));
	} else if (isdigit(c)) {
		text_addc(values, (char)read_digits(scan, 10, 3));
	} else if (c == 'u' && peek(scan, 1) == '{') {
		scan->s += 2;
		add_utf8(values, read_digits(scan, 16, 8));
		if (peek(scan, 0) == '}')
			scan->s++;
	} else if (c == 'z') {
		scan->s++;
		while (scan->s < scan->end && isspace(peek(scan, 0)))
			step(scan);
	} else {
		text_addc(values, (char)c);
		step(scan);
	}
}

static void read_quoted(struct scan *scan, struct text *values, struct token *token)
{
	char quote = *scan->s++;
	place(scan, token);
	while (scan->s < scan->end && *scan->s != quote && *scan->s != '\n') {
		if (*scan->s == '\\') {
			scan->s++;
			read_escape(scan, values);
		} else {
			text_addc(values, *scan->s++);
		}
	}
	if (scan->s < scan->end && *scan->s == quote)
		scan->s++;
}

static void skip_comment(struct scan *scan)
{
	struct token unused;
	scan->s += 2;
	int level = long_bracket(scan);
	if (level >= 0) {
		read_long(scan, level, NULL, &unused);
		return;
	}
	while (scan->s < scan->end && *scan->s != '\n')
		scan->s++;
}

static void skip_blank(struct scan *scan)
{
	while (scan->s < scan->end) {
		if (isspace(peek(scan, 0)))
			step(scan);
		else if (peek(scan, 0) == '-' && peek(scan, 1) == '-')
			skip_comment(scan);
		else
			return;
	}
}

static bool is_word(int c)
{
	return isalnum(c) || c == '_';
}

/* Marks of more than one byte matter only where one begins with '=' or could hide one: `==` is not the `=` of a key. */
static size_t mark_len(const struct scan *scan)
{
	int c = peek(scan, 0);
	return peek(scan, 1) == '=' && (c == '=' || c == '~' || c == '<' || c == '>') ? 2 : 1;
}

static void read_token(struct scan *scan, struct text *values, struct token *token)
{
	const char *start = scan->s;
	place(scan, token);
	int c = peek(scan, 0), level = long_bracket(scan);
	if (c == '"' || c == '\'' || level >= 0) {
		token->kind = TOKEN_STRING;
		token->value = values->len;
		if (level >= 0)
			read_long(scan, level, values, token);
		else
			read_quoted(scan, values, token);
		token->nvalue = values->len - token->value;
	} else if (is_word(c)) {
		token->kind = isdigit(c) ? TOKEN_NUMBER : TOKEN_NAME;
		while (scan->s < scan->end && is_word(peek(scan, 0)))
			scan->s++;
	} else {
		token->kind = TOKEN_MARK;
		scan->s += mark_len(scan);
	}
	token->len = (size_t)(scan->s - start);
}

static bool read_tokens(struct locator *l, size_t len)
{
	struct scan scan = {.s = l->source, .end = l->source + len, .line_start = l->source, .line = 1};
	if (len && *scan.s == '#') /* #!/usr/bin/… */
		while (scan.s < scan.end && *scan.s != '\n')
			scan.s++;
	for (;;) {
		if (grow(&l->tokens, &l->tokens_cap, l->ntokens + 1, sizeof(*l->tokens)))
			return false;
		struct token *token = &l->tokens[l->ntokens];
		memset(token, 0, sizeof(*token));
		skip_blank(&scan);
		token->start = (size_t)(scan.s - l->source);
		if (scan.s == scan.end) {
			place(&scan, token);
			token->kind = TOKEN_END; /* not counted in ntokens, always there */
			return !text_failed(&l->values);
		}
		read_token(&scan, &l->values, token);
		l->ntokens++;
	}
}

/* --- the table's shape --- */

static bool is(const struct locator *l, size_t i, const char *text)
{
	if (i >= l->ntokens || l->tokens[i].kind == TOKEN_STRING)
		return false;
	size_t n = strlen(text);
	return l->tokens[i].len == n && memcmp(l->source + l->tokens[i].start, text, n) == 0;
}

/* How the token changes the nesting of blocks and brackets. `while` and `for` are counted by their `do`. */
static int nesting(const struct locator *l, size_t i)
{
	static const char *const open[] = {"function", "if", "do", "repeat", "(", "[", "{"};
	static const char *const close[] = {"end", "until", ")", "]", "}"};
	for (size_t k = 0; k < sizeof(open) / sizeof(*open); k++)
		if (is(l, i, open[k]))
			return 1;
	for (size_t k = 0; k < sizeof(close) / sizeof(*close); k++)
		if (is(l, i, close[k]))
			return -1;
	return 0;
}

static bool is_separator(const struct locator *l, size_t i)
{
	return is(l, i, ",") || is(l, i, ";") || is(l, i, "}");
}

/* The separator that ends the expression at token i. */
static size_t skip_expression(const struct locator *l, size_t i)
{
	int depth = 0;
	for (; i < l->ntokens; i++) {
		if (depth == 0 && is_separator(l, i))
			return i;
		depth += nesting(l, i);
	}
	return i;
}

static int add_node(struct locator *l, struct node node)
{
	if (grow(&l->nodes, &l->nodes_cap, l->nnodes + 1, sizeof(*l->nodes)))
		return LOCATE_NONE;
	l->nodes[l->nnodes] = node;
	return (int)l->nnodes++;
}

/* The key at token i, if there is one: *ret_key, and the token after the '='. A computed key counts as one without a
 * name. */
static size_t read_key(const struct locator *l, size_t i, size_t *ret_key)
{
	*ret_key = SIZE_MAX;
	if (i < l->ntokens && l->tokens[i].kind == TOKEN_NAME && is(l, i + 1, "=")) {
		*ret_key = i;
		return i + 2;
	}
	if (!is(l, i, "["))
		return i;
	size_t close = i + 1;
	for (int depth = 0; close < l->ntokens && (depth || !is(l, close, "]")); close++)
		depth += nesting(l, close);
	if (!is(l, close + 1, "="))
		return i;
	*ret_key = i + 1;
	return close + 2;
}

static int read_table(struct locator *l, size_t *i, int depth);

/* The value at token *i, which is moved to the separator behind it. */
static struct node read_value(struct locator *l, size_t *i, int depth)
{
	struct node node = {.kind = NODE_OTHER, .token = *i, .key = *i, .first = LOCATE_NONE, .next = LOCATE_NONE};
	if (*i < l->ntokens && l->tokens[*i].kind == TOKEN_STRING && is_separator(l, *i + 1)) {
		node.kind = NODE_STRING;
		++*i;
	} else if (is(l, *i, "{") && depth < DEEPEST) {
		node.kind = NODE_TABLE;
		node.first = read_table(l, i, depth + 1);
	}
	*i = skip_expression(l, *i);
	return node;
}

/* The entries of the table constructor whose '{' is token *i, which is moved behind its '}'. */
static int read_table(struct locator *l, size_t *i, int depth)
{
	int first = LOCATE_NONE, last = LOCATE_NONE;
	size_t index = 0;
	for (++*i; *i < l->ntokens && !is(l, *i, "}"); *i += *i < l->ntokens && !is(l, *i, "}")) {
		if (is_separator(l, *i))
			continue;
		size_t key, start = *i;
		*i = read_key(l, *i, &key);
		struct node node = read_value(l, i, depth);
		node.key = key == SIZE_MAX ? start : key;
		node.index = key == SIZE_MAX ? ++index : 0;
		int n = add_node(l, node);
		if (n == LOCATE_NONE)
			break;
		if (last == LOCATE_NONE)
			first = n;
		else
			l->nodes[last].next = n;
		last = n;
	}
	*i += *i < l->ntokens;
	return first;
}

static void read_root(struct locator *l)
{
	int depth = 0;
	l->root = LOCATE_NONE;
	l->root_return = l->ntokens;
	for (size_t i = 0; i < l->ntokens; i++) {
		if (depth == 0 && is(l, i, "return"))
			l->root_return = i;
		depth += nesting(l, i);
	}
	size_t at = l->root_return + 1;
	if (!is(l, at, "{"))
		return;
	struct node root = {.kind = NODE_TABLE, .token = at, .key = at, .index = 1, .next = LOCATE_NONE};
	root.first = read_table(l, &at, 0);
	if (at >= l->ntokens || is(l, at, ";"))
		l->root = add_node(l, root);
}

struct locator *locator_new(const char *file, const char *text, size_t len)
{
	struct locator *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->file = file;
	l->source = text;
	if (!read_tokens(l, len)) {
		locator_free(l);
		return NULL;
	}
	read_root(l);
	return l;
}

void locator_free(struct locator *l)
{
	if (!l)
		return;
	text_fini(&l->values);
	free(l->tokens);
	free(l->nodes);
	free(l);
}

/* --- questions --- */

int locate_root(const struct locator *l)
{
	return l->root;
}

static bool token_is(const struct locator *l, const struct token *token, const char *text, size_t len)
{
	const char *have = l->source + token->start;
	size_t nhave = token->len;
	if (token->kind == TOKEN_STRING) {
		have = text_str(&l->values) + token->value;
		nhave = token->nvalue;
	}
	return nhave == len && memcmp(have, text, len) == 0;
}

int locate_key(const struct locator *l, int table, const char *key)
{
	if (table == LOCATE_NONE)
		return LOCATE_NONE;
	int found = LOCATE_NONE; /* a key given twice: Lua keeps the last */
	for (int n = l->nodes[table].first; n != LOCATE_NONE; n = l->nodes[n].next)
		if (!l->nodes[n].index && token_is(l, &l->tokens[l->nodes[n].key], key, strlen(key)))
			found = n;
	return found;
}

int locate_item(const struct locator *l, int table, size_t index)
{
	if (table == LOCATE_NONE)
		return LOCATE_NONE;
	for (int n = l->nodes[table].first; n != LOCATE_NONE; n = l->nodes[n].next)
		if (l->nodes[n].index == index)
			return n;
	return LOCATE_NONE;
}

static struct pos pos_of(const struct locator *l, const struct token *token)
{
	return (struct pos){.file = l->file, .source = l->source, .line = token->line, .col = token->col};
}

struct pos locate_pos(const struct locator *l, int node)
{
	if (node == LOCATE_NONE)
		return (struct pos){.file = l->file, .source = l->source};
	return pos_of(l, &l->tokens[l->nodes[node].token]);
}

struct pos locate_key_pos(const struct locator *l, int node)
{
	if (node == LOCATE_NONE)
		return (struct pos){.file = l->file, .source = l->source};
	return pos_of(l, &l->tokens[l->nodes[node].key]);
}

bool locate_is_string(const struct locator *l, int node, const char *value, size_t len)
{
	return node != LOCATE_NONE && l->nodes[node].kind == NODE_STRING &&
	       token_is(l, &l->tokens[l->nodes[node].token], value, len);
}

struct pos locate_string(struct locator *l, const char *value, size_t len)
{
	struct token *first = NULL;
	for (size_t i = 0; i < l->ntokens; i++) {
		struct token *token = &l->tokens[i];
		if (token->kind != TOKEN_STRING || !token_is(l, token, value, len))
			continue;
		if (!token->used) {
			token->used = true;
			return pos_of(l, token);
		}
		first = first ? first : token;
	}
	return first ? pos_of(l, first) : locate_pos(l, LOCATE_NONE);
}

struct pos locate_on_line(const struct locator *l, uint32_t line, const char *text, size_t len)
{
	const struct token *best = NULL;
	for (size_t i = 0; i < l->ntokens; i++) {
		const struct token *token = &l->tokens[i];
		if (token->line != line)
			continue;
		bool same = token->len == len && memcmp(l->source + token->start, text, len) == 0;
		if (!best || same)
			best = token;
	}
	if (best)
		return pos_of(l, best);
	return (struct pos){.file = l->file, .source = l->source, .line = line, .col = 1};
}

struct pos locate_return(const struct locator *l)
{
	return pos_of(l, &l->tokens[l->root_return < l->ntokens ? l->root_return : 0]);
}

struct pos locate_end(const struct locator *l)
{
	return pos_of(l, &l->tokens[l->ntokens]);
}
