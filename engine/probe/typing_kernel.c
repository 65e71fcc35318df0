/* Members and elements of kernel structures.
 *
 * A place is a structure's address and an offset; what is loaded from it is a number, a pointer to go on from, text (an
 * array of char), or a place inside it. The catalog knows the running kernel's types. */
#include "engine/probe/typing.h"

#include <errno.h>

static int type_kernel(struct typer *t, const struct expr *e, const struct ktype *k, struct type *ret)
{
	struct ktype target;
	switch (k->kind) {
	case KTYPE_INT:
	case KTYPE_ENUM:
	case KTYPE_BOOL:
		*ret = type_int(k->size, k->is_signed);
		if (k->kind == KTYPE_BOOL)
			ret->kind = TYPE_BOOL;
		if (k->size == 1 || k->size == 2 || k->size == 4 || k->size == 8)
			return 0;
		break;
	case KTYPE_POINTER:
		*ret = (struct type){.kind = TYPE_KPTR, .width = 8, .id = k->target_id, .format = FORMAT_HEX};
		return 0;
	case KTYPE_ARRAY:
		if (catalog_type(t->scope->catalog, k->target_id, &target, t->err) == 0 && target.is_char) {
			*ret = (struct type){.kind = TYPE_STR, .size = (k->size + 8) & ~7u, .id = k->size};
			return 0;
		} /* fall through */
	case KTYPE_STRUCT:
		*ret = (struct type){.kind = TYPE_KOBJ, .id = k->type_id};
		return 0;
	default:
		break;
	}
	return typer_fail(t, e, "type-mismatch", "expressions cannot hold a value of this type");
}

/* The structure that e is or points to. */
static int kernel_target(struct typer *t, const struct expr *e, struct ktype *ret)
{
	if (e->type.kind != TYPE_KPTR && e->type.kind != TYPE_KOBJ)
		return typer_fail(t, e, "type-mismatch", "only kernel structures have members, and this is %s",
		        type_name(&e->type));
	int r = e->type.id ? catalog_type(t->scope->catalog, e->type.id, ret, t->err) : -ENOENT;
	if (r == -ENOENT)
		return typer_fail(t, e, "type-mismatch", "this is a pointer to nothing known");
	return r;
}

int typer_member(struct typer *t, struct expr *e)
{
	struct ktype object = {0};
	struct kmember member;
	int r = kernel_target(t, e->a, &object);
	if (r < 0)
		return r;
	if (object.kind != KTYPE_STRUCT)
		return typer_fail(t, e, "type-mismatch", "this is no structure, so it has no member '%s'", e->text);
	r = catalog_member(t->scope->catalog, object.type_id, e->text, &member, t->err);
	if (r < 0)
		return expr_place(t->tree->source, e->at, t->err, r);
	e->offset = member.bit_offset;
	e->value = member.bit_size;
	e->needs |= NEEDS_EXIT | NEEDS_FAIL;
	return type_kernel(t, e, &member.type, &e->type);
}

/* p[i] of a pointer or array in the kernel. e->offset is the size of an element. */
int typer_kernel_index(struct typer *t, struct expr *e)
{
	struct ktype object = {0}, element;
	int r = kernel_target(t, e->a, &object);
	if (r < 0)
		return r;
	element = object;
	if (e->a->type.kind == TYPE_KOBJ) {
		if (object.kind != KTYPE_ARRAY)
			return typer_fail(t, e, "type-mismatch", "[ ] needs an array or a pointer");
		if ((r = catalog_type(t->scope->catalog, object.target_id, &element, t->err)) < 0)
			return r;
		if (expr_is_constant(e->b) && object.elements && (uint64_t)e->b->value >= object.elements)
			return typer_fail(t, e->b, "type-mismatch", "the array has only %u elements, counted from 0",
			        object.elements);
		e->value = object.elements;
	}
	if (!element.size)
		return typer_fail(t, e, "type-mismatch", "what this points to has no known size");
	e->offset = element.size;
	e->needs |= NEEDS_EXIT | NEEDS_FAIL;
	return type_kernel(t, e, &element, &e->type);
}
