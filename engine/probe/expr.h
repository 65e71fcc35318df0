/* The expressions of a script: from text to a tree. What the names in it mean is decided later (typing.h).
 *
 * Precedence, from loose to tight; all but ?: group to the left:
 *
 *     ?:    || or    && and    |    ^    &    == != ~= ~    < <= > >= in    << >>    + -    * / %
 *     ! not ~ - + (prefix)    . -> [ ] ( ) (postfix)
 */
#ifndef RILLE_PROBE_EXPR_H
#define RILLE_PROBE_EXPR_H

#include "engine/base/err.h"
#include "engine/probe/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum expr_op {
	EXPR_INT,    /* value, is_unsigned if it needs 64 unsigned bits */
	EXPR_BOOL,   /* value */
	EXPR_STRING, /* text, len */
	EXPR_NAME,   /* text */
	EXPR_ARG,    /* args.NAME: text; after typing also a plain name that is an argument: index */
	EXPR_PARAM,  /* $NAME: text; index */
	EXPR_CALL,   /* text(args…) */
	EXPR_MEMBER, /* a.text, a->text */
	EXPR_INDEX,  /* a[b] */
	EXPR_NEG,
	EXPR_NOT,  /* logical */
	EXPR_FLIP, /* bitwise */
	EXPR_MUL,
	EXPR_DIV,
	EXPR_MOD,
	EXPR_ADD,
	EXPR_SUB,
	EXPR_SHL,
	EXPR_SHR,
	EXPR_LT,
	EXPR_LE,
	EXPR_GT,
	EXPR_GE,
	EXPR_EQ,
	EXPR_NE,
	EXPR_GLOB, /* a ~ b */
	EXPR_IN,   /* a in {args…}, a in $list */
	EXPR_AND,  /* bitwise */
	EXPR_XOR,
	EXPR_OR,
	EXPR_BOTH,   /* a && b */
	EXPR_EITHER, /* a || b */
	EXPR_COND,   /* a ? b : c */
	/* What typing turns names and calls into. */
	EXPR_FIELD,   /* an earlier field of the same probe: index */
	EXPR_BUILTIN, /* index: enum builtin */
	EXPR_ENTRY,   /* entry(a): index of its slot in the entry's state */
};

/* What a value is. Integers are 64 bits wide while they are computed with; width and sign tell how they are stored. */
enum type_kind {
	TYPE_NONE,
	TYPE_INT,
	TYPE_BOOL,
	TYPE_STR,      /* text of up to size - 1 bytes */
	TYPE_BYTES,    /* up to size - 4 bytes behind a length */
	TYPE_SOCKADDR, /* likewise */
	TYPE_USER,     /* a pointer to user memory */
	TYPE_KPTR,     /* a pointer to a kernel structure: id */
	TYPE_KOBJ,     /* a kernel structure or array itself, as a place in memory: id */
	TYPE_LIST,     /* a list parameter */
};

struct type {
	enum type_kind kind;
	bool is_signed;
	uint8_t width;   /* integers: 1, 2, 4, 8 bytes */
	bool is_text;    /* TYPE_USER: points to a string */
	bool each;       /* an array whose elements can fail one by one */
	bool varies;     /* … and that ends with the last one there is */
	uint16_t count;  /* > 0: an array of that many integers */
	uint32_t size;   /* TYPE_STR, TYPE_BYTES, TYPE_SOCKADDR: room in the record */
	uint32_t id;     /* BTF type: what TYPE_KPTR points to, what TYPE_KOBJ is */
	uint32_t format; /* enum format_kind it has by itself */
};

/* What a value depends on. */
enum expr_needs {
	NEEDS_EXIT = 1,  /* only known when the call returns: ret, what memory and descriptors hold then */
	NEEDS_ENTRY = 2, /* kept since the entry: entry(), elapsed */
	NEEDS_FIELD = 4, /* a field's value: not for `where` */
	NEEDS_FAIL = 8,  /* may turn out to have no value */
};

struct expr {
	enum expr_op op;
	uint32_t at; /* byte in the expression's text: for messages */
	struct expr *a, *b, *c;
	struct expr **args;
	size_t nargs, args_cap;
	char *text; /* a name, or a string's bytes (may contain NUL) */
	size_t len;
	int64_t value;
	bool is_unsigned;
	bool arrow;
	struct type type;
	unsigned needs; /* enum expr_needs */
	size_t index;
	size_t function;        /* EXPR_CALL: in the table of functions */
	uint32_t offset;        /* EXPR_MEMBER: see gen_expr.c */
	struct expr *next_node; /* all nodes of a tree, for freeing */
};

/* One parsed expression. `source` is borrowed from the spec. */
struct expr_tree {
	const struct spec_text *source;
	struct expr *root;
	struct expr *nodes;
	size_t nnodes;
};

enum { EXPR_MAX_TEXT = 16384, EXPR_MAX_NODES = 4096, EXPR_MAX_DEPTH = 128 };

/* 0, -ENOMEM, or -EINVAL with the tag "syntax". The tree is to be freed in either case. */
int expr_parse(struct expr_tree *tree, const struct spec_text *source, struct err *err);
void expr_tree_fini(struct expr_tree *tree);
/* A zeroed node that belongs to the tree; NULL when out of memory or the tree has too many. */
struct expr *expr_node(struct expr_tree *tree, enum expr_op op, uint32_t at);
/* An error at byte `at` of a text of the script. -EINVAL. */
int expr_error(const struct spec_text *source, uint32_t at, struct err *err, const char *tag, const char *fmt, ...)
        __attribute__((format(printf, 5, 6)));
/* Gives an error from below (the catalog, a decoder) its place; returns its code. */
int expr_place(const struct spec_text *source, uint32_t at, struct err *err, int r);
/* The place of byte `at` of a text of the script. */
struct pos expr_pos(const struct spec_text *source, uint32_t at);
/* Computes a typed node whose operands are constants, in place, with the meaning that the generated code has. What has no
 * value (a division by zero) is left alone. */
void expr_fold(struct expr *e);
static inline bool expr_is_constant(const struct expr *e)
{
	return e->op == EXPR_INT || e->op == EXPR_BOOL;
}

/* Tokens (expr_lex.c). */
enum token_kind {
	TOKEN_END,
	TOKEN_INT,
	TOKEN_STRING,
	TOKEN_NAME,
	TOKEN_PARAM,
	TOKEN_OP, /* `op`: up to two characters, '&' << 8 | '&' */
};

struct token {
	enum token_kind kind;
	uint32_t at;
	const char *start; /* in the source; a name without its $ */
	size_t len;
	uint64_t value;
	unsigned op;
};

struct lexer {
	const struct spec_text *source;
	uint32_t at;
	struct token now;
};

/* Moves to the next token. */
int lexer_next(struct lexer *lexer, struct err *err);
/* Decodes the string token `token` into `ret` (at least token->len bytes): its length, or -EINVAL. */
int lexer_string(const struct lexer *lexer, const struct token *token, char *ret, size_t *ret_len, struct err *err);

#endif
