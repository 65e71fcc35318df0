/* Text to tree: precedence climbing over one table.
 *
 * Everything in an expression may be hostile (a script from the net, a --filter from a web form), so depth, nodes and
 * length are bounded (the number of nodes also bounds how deep a long chain of operators makes the tree); the parser is
 * fuzzed. Nodes are linked in the tree when they are made, so freeing needs no walk and
 * a parse that stops anywhere leaks nothing. */
#include "engine/probe/expr.h"
#include "engine/base/grow.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct lexer lexer;
	struct expr_tree *tree;
	unsigned depth;
	struct err *err;
};

#define OP2(a, b) ((unsigned)(a) << 8 | (unsigned)(b))

static const struct binary {
	unsigned token;
	int precedence;
	enum expr_op op;
} binaries[] = {
        {OP2('|', '|'), 1, EXPR_EITHER},
        {OP2('&', '&'), 2, EXPR_BOTH},
        {'|', 3, EXPR_OR},
        {'^', 4, EXPR_XOR},
        {'&', 5, EXPR_AND},
        {OP2('=', '='), 6, EXPR_EQ},
        {OP2('!', '='), 6, EXPR_NE},
        {'~', 6, EXPR_GLOB},
        {'<', 7, EXPR_LT},
        {OP2('<', '='), 7, EXPR_LE},
        {'>', 7, EXPR_GT},
        {OP2('>', '='), 7, EXPR_GE},
        {OP2('i', 'n'), 7, EXPR_IN},
        {OP2('<', '<'), 8, EXPR_SHL},
        {OP2('>', '>'), 8, EXPR_SHR},
        {'+', 9, EXPR_ADD},
        {'-', 9, EXPR_SUB},
        {'*', 10, EXPR_MUL},
        {'/', 10, EXPR_DIV},
        {'%', 10, EXPR_MOD},
};

static int parse_cond(struct parser *p, struct expr **ret);
static int parse_unary(struct parser *p, struct expr **ret);

struct pos expr_pos(const struct spec_text *source, uint32_t at)
{
	struct pos pos = source->pos;
	if (!pos.line)
		return pos;
	for (uint32_t i = 0; i < at && source->text && source->text[i]; i++) {
		if (source->text[i] == '\n') {
			pos.line++;
			pos.col = 1;
		} else {
			pos.col++;
		}
	}
	return pos;
}

/* A text without a place in the script (a --filter) is quoted in the message instead. */
int expr_error(const struct spec_text *source, uint32_t at, struct err *err, const char *tag, const char *fmt, ...)
{
	char message[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	struct pos pos = expr_pos(source, at);
	if (pos.line || !source->text)
		return err_at(err, pos, tag, "%s", message);
	return err_at(err, pos, tag, "%s (in \"%.200s\", character %u)", message, source->text, at + 1);
}

int expr_place(const struct spec_text *source, uint32_t at, struct err *err, int r)
{
	if (!err || err->line || r == -ENOMEM)
		return r;
	struct err plain = *err;
	expr_error(source, at, err, plain.tag, "%s", plain.message);
	err->code = plain.code;
	err->class = plain.class;
	if (plain.hint[0])
		err_hint(err, "%s", plain.hint);
	return r;
}

struct expr *expr_node(struct expr_tree *tree, enum expr_op op, uint32_t at)
{
	struct expr *e = tree->nnodes < EXPR_MAX_NODES ? calloc(1, sizeof(*e)) : NULL;
	if (!e)
		return NULL;
	e->op = op;
	e->at = at;
	e->next_node = tree->nodes;
	tree->nodes = e;
	tree->nnodes++;
	return e;
}

void expr_tree_fini(struct expr_tree *tree)
{
	struct expr *next;
	for (struct expr *e = tree->nodes; e; e = next) {
		next = e->next_node;
		free(e->args);
		free(e->text);
		free(e);
	}
	memset(tree, 0, sizeof(*tree));
}

static int fail(struct parser *p, const char *message)
{
	return expr_error(p->lexer.source, p->lexer.now.at, p->err, "syntax", "%s", message);
}

static int unexpected(struct parser *p, const char *wanted)
{
	const struct token *t = &p->lexer.now;
	if (t->kind == TOKEN_END)
		return expr_error(p->lexer.source, t->at, p->err, "syntax", "%s expected at the end", wanted);
	return expr_error(p->lexer.source, t->at, p->err, "syntax", "%s expected before '%.*s'", wanted,
	        (int)(t->len > 40 ? 40 : t->len), t->start);
}

static bool at_op(const struct parser *p, unsigned op)
{
	return p->lexer.now.kind == TOKEN_OP && p->lexer.now.op == op;
}

static int advance(struct parser *p)
{
	return lexer_next(&p->lexer, p->err);
}

static int expect(struct parser *p, unsigned op, const char *wanted)
{
	return at_op(p, op) ? advance(p) : unexpected(p, wanted);
}

static int make(struct parser *p, enum expr_op op, uint32_t at, struct expr **ret)
{
	if (p->tree->nnodes >= EXPR_MAX_NODES)
		return fail(p, "the expression is too long");
	*ret = expr_node(p->tree, op, at);
	if (*ret)
		return 0;
	err_nomem(p->err);
	return -ENOMEM;
}

/* A node that carries the current token's text. */
static int make_named(struct parser *p, enum expr_op op, struct expr **ret)
{
	const struct token *t = &p->lexer.now;
	int r = make(p, op, t->at, ret);
	if (r < 0)
		return r;
	(*ret)->text = strndup(t->start, t->len);
	(*ret)->len = t->len;
	return (*ret)->text ? advance(p) : err_nomem(p->err);
}

static int add_arg(struct parser *p, struct expr *e, struct expr *arg)
{
	if (grow(&e->args, &e->args_cap, e->nargs + 1, sizeof(void *)) < 0)
		return err_nomem(p->err);
	e->args[e->nargs++] = arg;
	return 0;
}

/* Expressions separated by commas up to `close`; the opening bracket is read already. */
static int parse_list(struct parser *p, struct expr *e, unsigned close, const char *wanted)
{
	int r;
	while (!at_op(p, close)) {
		struct expr *arg;
		if (e->nargs && (r = expect(p, ',', wanted)) < 0)
			return r;
		if ((r = parse_cond(p, &arg)) < 0 || (r = add_arg(p, e, arg)) < 0)
			return r;
	}
	return advance(p);
}

static int parse_int(struct parser *p, struct expr **ret)
{
	int r = make(p, EXPR_INT, p->lexer.now.at, ret);
	if (r < 0)
		return r;
	(*ret)->value = (int64_t)p->lexer.now.value;
	(*ret)->is_unsigned = p->lexer.now.value > INT64_MAX;
	return advance(p);
}

static int parse_string(struct parser *p, struct expr **ret)
{
	struct token t = p->lexer.now;
	int r = make(p, EXPR_STRING, t.at, ret);
	if (r < 0)
		return r;
	(*ret)->text = calloc(1, t.len + 1);
	if (!(*ret)->text)
		return err_nomem(p->err);
	r = lexer_string(&p->lexer, &t, (*ret)->text, &(*ret)->len, p->err);
	return r < 0 ? r : advance(p);
}

static bool is_word(const struct expr *e, const char *word)
{
	return e->op == EXPR_NAME && !strcmp(e->text, word);
}

static int parse_name(struct parser *p, struct expr **ret)
{
	int r = make_named(p, EXPR_NAME, ret);
	if (r < 0)
		return r;
	struct expr *e = *ret;
	if (at_op(p, '(')) {
		e->op = EXPR_CALL;
		r = advance(p);
		return r < 0 ? r : parse_list(p, e, ')', "',' or ')'");
	}
	if (is_word(e, "true") || is_word(e, "false")) {
		e->op = EXPR_BOOL;
		e->value = e->text[0] == 't';
	} else if (is_word(e, "nil") || is_word(e, "NULL")) {
		e->op = EXPR_INT;
	}
	return 0;
}

static int parse_primary(struct parser *p, struct expr **ret)
{
	switch (p->lexer.now.kind) {
	case TOKEN_INT:
		return parse_int(p, ret);
	case TOKEN_STRING:
		return parse_string(p, ret);
	case TOKEN_PARAM:
		return make_named(p, EXPR_PARAM, ret);
	case TOKEN_NAME:
		return parse_name(p, ret);
	default:
		break;
	}
	if (!at_op(p, '('))
		return unexpected(p, "a value");
	int r = advance(p);
	if (r < 0 || (r = parse_cond(p, ret)) < 0)
		return r;
	return expect(p, ')', "')'");
}

/* a.b, a->b; args.b is the argument b whatever else has that name. */
static int parse_member(struct parser *p, struct expr **e)
{
	struct expr *object = *e;
	bool arrow = !at_op(p, '.');
	int r = advance(p);
	if (r < 0)
		return r;
	if (p->lexer.now.kind != TOKEN_NAME)
		return unexpected(p, "the name of a member");
	bool is_arg = !arrow && is_word(object, "args");
	if ((r = make_named(p, is_arg ? EXPR_ARG : EXPR_MEMBER, e)) < 0)
		return r;
	(*e)->arrow = arrow;
	(*e)->a = is_arg ? NULL : object;
	return 0;
}

static int parse_index(struct parser *p, struct expr **e)
{
	struct expr *array = *e;
	int r = make(p, EXPR_INDEX, p->lexer.now.at, e);
	if (r < 0 || (r = advance(p)) < 0)
		return r;
	(*e)->a = array;
	r = parse_cond(p, &(*e)->b);
	return r < 0 ? r : expect(p, ']', "']'");
}

static int parse_postfix(struct parser *p, struct expr **ret)
{
	int r = parse_primary(p, ret);
	while (r == 0 && (at_op(p, '.') || at_op(p, OP2('-', '>')) || at_op(p, '['))) {
		r = at_op(p, '[') ? parse_index(p, ret) : parse_member(p, ret);
	}
	return r;
}

static int parse_prefix(struct parser *p, struct expr **ret)
{
	unsigned op = p->lexer.now.op;
	enum expr_op kind = op == '-' ? EXPR_NEG : op == '!' ? EXPR_NOT : EXPR_FLIP;
	uint32_t at = p->lexer.now.at;
	int r = advance(p);
	if (r < 0 || op == '+')
		return r < 0 ? r : parse_unary(p, ret);
	if ((r = make(p, kind, at, ret)) < 0)
		return r;
	return parse_unary(p, &(*ret)->a);
}

static int parse_unary(struct parser *p, struct expr **ret)
{
	if (p->depth >= EXPR_MAX_DEPTH)
		return fail(p, "the expression is nested too deeply");
	p->depth++;
	bool prefix = at_op(p, '-') || at_op(p, '!') || at_op(p, '~') || at_op(p, '+');
	int r = prefix ? parse_prefix(p, ret) : parse_postfix(p, ret);
	p->depth--;
	return r;
}

static const struct binary *binary_at(const struct parser *p)
{
	if (p->lexer.now.kind != TOKEN_OP)
		return NULL;
	for (size_t i = 0; i < sizeof(binaries) / sizeof(binaries[0]); i++) {
		if (binaries[i].token == p->lexer.now.op)
			return &binaries[i];
	}
	return NULL;
}

/* The right side of `in`: {a, b} or $list. */
static int parse_set(struct parser *p, struct expr *e)
{
	if (p->lexer.now.kind == TOKEN_PARAM)
		return make_named(p, EXPR_PARAM, &e->b);
	if (!at_op(p, '{'))
		return unexpected(p, "'{' or the name of a list parameter");
	int r = advance(p);
	if (r < 0)
		return r;
	if (at_op(p, '}'))
		return fail(p, "the set is empty");
	return parse_list(p, e, '}', "',' or '}'");
}

static int parse_binary(struct parser *p, int least, struct expr **ret)
{
	int r = parse_unary(p, ret);
	const struct binary *binary;
	while (r == 0 && (binary = binary_at(p)) && binary->precedence >= least) {
		struct expr *e = NULL, *left = *ret;
		if ((r = make(p, binary->op, p->lexer.now.at, &e)) < 0 || (r = advance(p)) < 0 || !e)
			return r;
		e->a = left;
		r = e->op == EXPR_IN ? parse_set(p, e) : parse_binary(p, binary->precedence + 1, &e->b);
		*ret = e;
	}
	return r;
}

static int parse_choice(struct parser *p, struct expr **ret)
{
	struct expr *test = *ret;
	int r = make(p, EXPR_COND, p->lexer.now.at, ret);
	if (r < 0 || (r = advance(p)) < 0)
		return r;
	(*ret)->a = test;
	if ((r = parse_cond(p, &(*ret)->b)) < 0 || (r = expect(p, ':', "':'")) < 0)
		return r;
	return parse_cond(p, &(*ret)->c);
}

static int parse_cond(struct parser *p, struct expr **ret)
{
	if (p->depth >= EXPR_MAX_DEPTH)
		return fail(p, "the expression is nested too deeply");
	p->depth++;
	int r = parse_binary(p, 1, ret);
	if (r == 0 && at_op(p, '?'))
		r = parse_choice(p, ret);
	p->depth--;
	return r;
}

int expr_parse(struct expr_tree *tree, const struct spec_text *source, struct err *err)
{
	memset(tree, 0, sizeof(*tree));
	tree->source = source;
	struct parser p = {.lexer = {.source = source}, .tree = tree, .err = err};
	if (strlen(source->text) > EXPR_MAX_TEXT)
		return expr_error(source, 0, err, "syntax", "the expression is too long");
	int r = advance(&p);
	if (r < 0)
		return r;
	if (p.lexer.now.kind == TOKEN_END)
		return fail(&p, "the expression is empty");
	if ((r = parse_cond(&p, &tree->root)) < 0)
		return r;
	return p.lexer.now.kind == TOKEN_END ? 0 : unexpected(&p, "an operator");
}
