/* Calls of functions to C. Memory functions take an address as a number; descriptors may be an array, then em->element
 * says which of its elements is meant. */
#include "engine/probe/gen_impl.h"

static void add(struct emit *em, const char *s)
{
	text_adds(em->out, s);
}

static void emit_text_read(struct emit *em, const struct expr *call, const char *function)
{
	text_printf(em->out, "%s(&ok, ", function);
	emit_room(em, call);
	text_printf(em->out, ", %lld, ", (long long)call->value);
	emit_unsigned(em, call->args[0]);
	add(em, ")");
}

void emit_str(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_USER_MEMORY);
	emit_text_read(em, call, "user_text");
}

void emit_kstr(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_KERNEL_MEMORY);
	emit_text_read(em, call, "kernel_text");
}

void emit_buf(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_USER_MEMORY);
	add(em, "user_bytes(&ok, ");
	emit_room(em, call);
	text_printf(em->out, ", %lld, ", (long long)call->value);
	emit_unsigned(em, call->args[0]);
	add(em, ", ");
	const struct expr *length = call->args[1];
	if (type_is_wide(&length->type) || expr_is_constant(length)) {
		emit_unsigned(em, length);
	} else { /* a negative length (a failed read's ret) is none */
		text_printf(em->out, "({ s64 n_ = ");
		emit_expr(em, length);
		add(em, "; n_ < 0 ? 0 : (u64)n_; })");
	}
	add(em, ")");
}

/* The length of accept()'s and getsockname()'s address is behind a pointer. */
void emit_sockaddr(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_USER_MEMORY);
	add(em, "user_sockaddr(&ok, ");
	emit_room(em, call);
	add(em, ", ");
	emit_unsigned(em, call->args[0]);
	add(em, call->args[1]->type.kind == TYPE_USER ? ", (u64)user_u32(&ok, " : ", (");
	emit_unsigned(em, call->args[1]);
	add(em, "))");
}

/* s32(p), s32(p, i)[element]. */
void emit_read(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_USER_MEMORY);
	text_printf(em->out, "user_%s(&ok, ", c_type(&call->type));
	emit_unsigned(em, call->args[0]);
	if (call->type.count)
		text_printf(em->out, " + %u", (unsigned)em->element * call->type.width);
	add(em, ")");
}

/* fd_inode(fd) … */
static void emit_descriptor(struct emit *em, const struct expr *call, const char *function)
{
	text_printf(em->out, "%s(&ok, task, (s64)", function);
	emit_expr(em, call->args[0]);
	add(em, ")");
}

void emit_fd_inode(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_DESCRIPTORS);
	emit_descriptor(em, call, "fd_inode");
}

void emit_fd_file(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_DESCRIPTORS);
	emit_descriptor(em, call, "file_of");
}

void emit_fd_family(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_FAMILY);
	emit_descriptor(em, call, "fd_family");
}

void emit_fd_path(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_PATH);
	add(em, "fd_path(&ok, ");
	emit_room(em, call);
	add(em, ", task, (s64)");
	emit_expr(em, call->args[0]);
	add(em, ")");
}
