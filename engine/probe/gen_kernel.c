/* Members and elements of kernel structures.
 *
 * A place is an address that is computed from a pointer by adding offsets; what is loaded goes through a helper that
 * cannot fault, because a script's chain of pointers may end anywhere. Offsets are macros with the structure's and the
 * member's name, so the program can be read, and so that for another kernel they can be relocations instead. */
#include "engine/probe/gen_impl.h"

static void add(struct emit *em, const char *s)
{
	text_adds(em->out, s);
}

static void emit_place(struct emit *em, const struct expr *e);

/* The address that e points to or is at. */
static void emit_base(struct emit *em, const struct expr *e)
{
	if (e->type.kind == TYPE_KOBJ)
		emit_place(em, e);
	else
		emit_expr(em, e);
}

/* The byte where a member's load begins. */
static uint32_t member_start(const struct expr *e)
{
	return e->offset / 8;
}

static void emit_member_offset(struct emit *em, const struct expr *e)
{
	struct ktype object;
	if (catalog_type(em->gen->catalog, e->a->type.id, &object, em->gen->err) < 0)
		object.name[0] = 0;
	if (object.name[0] && !e->value)
		add(em, gen_known_offset(em->gen, object.name, e->text, member_start(e)));
	else if (em->gen->options->portable && (e->value || member_start(e))) /* atomic_t's is at its beginning */
		gen_fail(em->gen, expr_error(&em->build->spec->on, 0, em->gen->err, "not-portable",
		                          "'%s' is in a structure without a name, or a bit-field: no program for other "
		                          "kernels can be made",
		                          e->text));
	else
		text_addu(em->out, member_start(e));
}

static void emit_place(struct emit *em, const struct expr *e)
{
	add(em, "(");
	emit_base(em, e->a);
	add(em, " + ");
	if (e->op == EXPR_MEMBER) {
		emit_member_offset(em, e);
	} else {
		if (e->value && !expr_is_constant(e->b))
			text_printf(em->out, "below(&ok, %lld, ", (long long)e->value);
		emit_unsigned(em, e->b);
		text_printf(em->out, "%s * %u", e->value && !expr_is_constant(e->b) ? ")" : "", e->offset);
	}
	add(em, ")");
}

static void emit_load(struct emit *em, const struct expr *e)
{
	gen_need(em->gen, PIECE_KERNEL_MEMORY);
	if (e->type.kind == TYPE_STR) {
		add(em, "kernel_text(&ok, ");
		emit_room(em, e);
		text_printf(em->out, ", %u, ", e->type.id + 1);
	} else {
		const char *type = e->type.kind == TYPE_KPTR ? "u64" : c_type(&e->type);
		text_printf(em->out, "((%s)kernel_%s(&ok, ", wide_type(&e->type), type);
	}
	emit_place(em, e);
	add(em, e->type.kind == TYPE_STR ? ")" : "))");
}

/* A bit-field: the smallest integer that covers it, shifted. */
static void emit_bits(struct emit *em, const struct expr *e)
{
	unsigned shift = e->offset % 8, bits = (unsigned)e->value, bytes = (shift + bits + 7) / 8;
	const char *unit = bytes <= 1 ? "u8" : bytes <= 2 ? "u16" : bytes <= 4 ? "u32" : "u64";
	gen_need(em->gen, PIECE_KERNEL_MEMORY);
	text_printf(em->out, "((%s)((%s)((u64)kernel_%s(&ok, ", wide_type(&e->type), e->type.is_signed ? "s64" : "u64",
	        unit);
	emit_place(em, e);
	text_printf(em->out, ") << %u) >> %u))", 64 - bits - shift, 64 - bits);
}

void emit_member(struct emit *em, const struct expr *e)
{
	if (e->type.kind == TYPE_KOBJ)
		emit_place(em, e);
	else if (e->value)
		emit_bits(em, e);
	else
		emit_load(em, e);
}

void emit_kernel_index(struct emit *em, const struct expr *e)
{
	if (e->type.kind == TYPE_KOBJ)
		emit_place(em, e);
	else
		emit_load(em, e);
}
