/* Text: equality, patterns, sets.
 *
 * Text lies in rooms that are aligned and a multiple of 8 bytes long, so a literal is compared a machine word at a time,
 * its NUL included: two or three instructions for most names. Patterns become tables (bpf-templates/text.bpf.h). */
#include "engine/probe/gen_impl.h"
#include "engine/base/grow.h"

#include <stdlib.h>
#include <string.h>

static void add(struct emit *em, const char *s)
{
	text_adds(em->out, s);
}

/* The largest unit that fits at `at` of `total` bytes. */
static unsigned unit_at(size_t at, size_t total)
{
	size_t left = total - at;
	return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

void emit_literal_match(struct emit *em, const char *text, uint32_t room, const char *s, size_t len)
{
	static const char *const types[] = {
	        NULL, "byte_of_text", "half_of_text", NULL, "word_of_text", NULL, NULL, NULL, "long_of_text"};
	if (len >= room || memchr(s, 0, len)) { /* longer than the text can be */
		add(em, "false");
		return;
	}
	for (size_t at = 0, unit; at < len + 1; at += unit) {
		uint64_t bytes = 0;
		unit = unit_at(at, len + 1);
		memcpy(&bytes, s + at, unit < len - at ? unit : len - at); /* little-endian, as BPF is here */
		text_printf(em->out, "%s*(const %s *)(%s + %zu) == 0x%llx", at ? " && " : "", types[unit], text, at,
		        (unsigned long long)bytes);
	}
}

static bool is_literal(const struct expr *e)
{
	return e->op == EXPR_STRING || (e->op == EXPR_BUILTIN && e->index == BUILTIN_PROBE);
}

static const char *literal_of(struct emit *em, const struct expr *e, size_t *ret_len)
{
	const char *s = e->op == EXPR_STRING ? e->text : em->build->schema->name;
	*ret_len = e->op == EXPR_STRING ? e->len : strlen(s);
	return s;
}

/* Both are known now. */
static void emit_both_literal(struct emit *em, const struct expr *a, const struct expr *b)
{
	size_t na, nb;
	const char *sa = literal_of(em, a, &na), *sb = literal_of(em, b, &nb);
	add(em, na == nb && !memcmp(sa, sb, na) ? "true" : "false");
}

void emit_same_text(struct emit *em, const struct expr *a, const struct expr *b)
{
	size_t len;
	if (is_literal(a) && is_literal(b)) {
		emit_both_literal(em, a, b);
		return;
	}
	if (is_literal(a)) {
		const struct expr *swap = a;
		a = b;
		b = swap;
	}
	if (is_literal(b)) {
		const char *s = literal_of(em, b, &len);
		add(em, "({ const char *s_ = ");
		emit_expr(em, a);
		add(em, "; ");
		emit_literal_match(em, "s_", a->type.size, s, len);
		add(em, "; })");
		return;
	}
	gen_need(em->gen, PIECE_TEXT);
	add(em, "same_text(");
	emit_expr(em, a);
	add(em, ", ");
	emit_expr(em, b);
	text_printf(em->out, ", %u)", a->type.size < b->type.size ? a->type.size : b->type.size);
}

/* A pattern's places (what takes one character each) and which of them may be preceded by any text. */
struct glob {
	uint64_t masks[256];
	uint64_t stars;
	unsigned places;
};

/* [abc], [a-z], [!a]: p is behind the bracket. Returns what follows it, or NULL if it has no end. */
static const char *add_class(struct glob *glob, const char *p, const char *end)
{
	bool negate = p < end && (*p == '!' || *p == '^'), set[256] = {false};
	p += negate;
	for (const char *first = p; p < end && (*p != ']' || p == first); p++) {
		unsigned char from = (unsigned char)*p, to = from;
		if (p + 2 < end && p[1] == '-' && p[2] != ']') {
			to = (unsigned char)p[2];
			p += 2;
		}
		for (unsigned c = from; c <= to; c++)
			set[c] = true;
	}
	if (p >= end)
		return NULL;
	for (unsigned c = 1; c < 256; c++)
		glob->masks[c] |= (uint64_t)(set[c] != negate) << glob->places;
	return p + 1;
}

static void add_any(struct glob *glob)
{
	for (unsigned c = 1; c < 256; c++)
		glob->masks[c] |= 1ULL << glob->places;
}

/* false: more than 63 places, or a bracket without an end. */
static bool compile_glob(struct glob *glob, const char *p, size_t len)
{
	const char *end = p + len;
	memset(glob, 0, sizeof(*glob));
	while (p < end) {
		if (*p == '*') {
			glob->stars |= 1ULL << glob->places;
			p++;
			continue;
		}
		if (glob->places >= 63)
			return false;
		if (*p == '?') {
			add_any(glob);
			p++;
		} else if (*p == '[') {
			p = add_class(glob, p + 1, end);
			if (!p)
				return false;
		} else {
			p += *p == '\\' && p + 1 < end;
			glob->masks[(unsigned char)*p++] |= 1ULL << glob->places;
		}
		glob->places++;
	}
	return true;
}

bool glob_is_valid(const char *pattern, size_t len)
{
	struct glob glob;
	return compile_glob(&glob, pattern, len);
}

/* The number of the pattern's table, which is written when the pattern is first used. */
static size_t table_of(struct gen *gen, const char *pattern, const struct glob *glob)
{
	for (size_t i = 0; i < gen->nglobs; i++) {
		if (!strcmp(gen->globs[i], pattern))
			return i;
	}
	char *copy = strdup(pattern);
	if (!copy || grow(&gen->globs, &gen->globs_cap, gen->nglobs + 1, sizeof(*gen->globs)) < 0) {
		free(copy);
		gen_fail(gen, err_nomem(gen->err));
		return 0;
	}
	gen->globs[gen->nglobs] = copy;
	text_printf(&gen->tables, "static const volatile u64 glob%zu[256] = {", gen->nglobs);
	for (unsigned c = 0; c < 256; c++) {
		if (glob->masks[c])
			text_printf(&gen->tables, "[%u] = 0x%llx, ", c, (unsigned long long)glob->masks[c]);
	}
	text_adds(&gen->tables, "};\n");
	return gen->nglobs++;
}

/* "abc*" is by far the most common pattern: a comparison without the NUL. */
static bool is_prefix(const struct expr *pattern)
{
	return pattern->len && strcspn(pattern->text, "*?[\\") == pattern->len - 1 &&
	       pattern->text[pattern->len - 1] == '*';
}

static void emit_prefix_match(struct emit *em, const struct expr *e)
{
	size_t len = e->b->len - 1;
	if (len >= e->a->type.size) {
		add(em, "((s64)0)");
		return;
	}
	add(em, "({ const char *s_ = ");
	emit_expr(em, e->a);
	add(em, "; (s64)(true");
	for (size_t at = 0; at < len; at++)
		text_printf(em->out, " && s_[%zu] == %d", at, (signed char)e->b->text[at]);
	add(em, "); })");
}

static void emit_pattern_param(struct emit *em, const struct expr *e)
{
	static const struct expr table = {.type = {.kind = TYPE_BYTES, .size = 256 * 8}};
	const char *to = em->to;
	gen_need(em->gen, PIECE_PATTERN);
	em->gen->params_pattern[e->b->index] = true;
	em->to = NULL; /* rooms of their own */
	add(em, "((s64)match_pattern((u64 *)");
	emit_room(em, &table);
	add(em, ", ");
	emit_expr(em, e->a);
	text_printf(em->out, ", %u, ", e->a->type.size);
	emit_expr(em, e->b);
	add(em, "))");
	em->to = to;
}

void emit_glob(struct emit *em, const struct expr *e)
{
	struct glob glob;
	if (e->b->op == EXPR_PARAM) {
		emit_pattern_param(em, e);
		return;
	}
	if (is_prefix(e->b)) {
		emit_prefix_match(em, e);
		return;
	}
	compile_glob(&glob, e->b->text, e->b->len); /* the typer has refused what it cannot */
	gen_need(em->gen, PIECE_TEXT);
	add(em, "((s64)match_glob(");
	emit_expr(em, e->a);
	text_printf(em->out, ", %u, (const u64 *)glob%zu, 0x%llx, %u))", e->a->type.size,
	        table_of(em->gen, e->b->text, &glob), (unsigned long long)glob.stars, glob.places);
}

static void emit_in_text_set(struct emit *em, const struct expr *e)
{
	add(em, "({ const char *s_ = ");
	emit_expr(em, e->a);
	add(em, "; (s64)(");
	for (size_t i = 0; i < e->nargs; i++) {
		add(em, i ? " || (" : "(");
		emit_literal_match(em, "s_", e->a->type.size, e->args[i]->text, e->args[i]->len);
		add(em, ")");
	}
	add(em, "); })");
}

/* Constants that the value's type cannot have are never equal: left out. */
static void emit_in_number_set(struct emit *em, const struct expr *e)
{
	bool wide = type_is_wide(&e->a->type);
	text_printf(em->out, "({ %s x_ = ", wide_type(&e->a->type));
	emit_expr(em, e->a);
	add(em, "; (s64)(false");
	for (size_t i = 0; i < e->nargs; i++) {
		const struct expr *item = e->args[i];
		if (item->value < 0 && wide != type_is_wide(&item->type))
			continue;
		add(em, " || x_ == ");
		emit_expr(em, item);
	}
	add(em, "); })");
}

static void emit_in_list(struct emit *em, const struct expr *e)
{
	const char *name = em->gen->spec->params[e->b->index].name.text;
	const struct type *list = &e->b->type;
	em->gen->params_used[e->b->index] = true;
	bool wide_list = type_is_wide(list), wide_value = type_is_wide(&e->a->type);
	text_printf(em->out, "({ %s x_ = ", wide_type(&e->a->type));
	emit_expr(em, e->a);
	text_printf(
	        em->out, "; (s64)(in_list_%s((u64)x_)%s); })", name, wide_list != wide_value ? " && (s64)x_ >= 0" : "");
}

void emit_in(struct emit *em, const struct expr *e)
{
	if (e->b)
		emit_in_list(em, e);
	else if (e->a->type.kind == TYPE_STR)
		emit_in_text_set(em, e);
	else
		emit_in_number_set(em, e);
}
