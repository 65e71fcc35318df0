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
	if (call->type.count) {
		text_printf(em->out, " + %u * ", call->type.width);
		emit_element(em);
	}
	add(em, ")");
}

/* An array that is read as a whole, into its field. */
void emit_array_block(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_USER_MEMORY);
	text_printf(em->out, "user_array(&ok, %s, %u, ", em->to, (unsigned)call->type.count * call->type.width);
	emit_unsigned(em, call->args[0]);
	add(em, ")");
}

/* The open file that the first argument is or stands for. */
static void emit_file(struct emit *em, const struct expr *call)
{
	const struct expr *file = call->args[0];
	gen_need(em->gen, PIECE_DESCRIPTORS);
	if (file->type.kind == TYPE_KPTR) {
		emit_unsigned(em, file);
		return;
	}
	add(em, "file_of(&ok, (s64)");
	emit_expr(em, file);
	add(em, ")");
}

/* fd_inode(fd) … */
static void emit_of_file(struct emit *em, const struct expr *call, const char *function)
{
	text_printf(em->out, "%s(&ok, ", function);
	emit_file(em, call);
	add(em, ")");
}

void emit_fd_file(struct emit *em, const struct expr *call)
{
	emit_file(em, call);
}

void emit_fd_inode(struct emit *em, const struct expr *call)
{
	emit_of_file(em, call, "file_inode");
}

void emit_fd_family(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_FAMILY);
	emit_of_file(em, call, "file_family");
}

void emit_fd_kind(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_KIND);
	emit_of_file(em, call, "file_kind");
}

/* A descriptor has flags that its file has not. */
void emit_fd_flags(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_FLAGS);
	add(em, "fd_flags(&ok, (s64)");
	emit_expr(em, call->args[0]);
	add(em, ")");
}

void emit_fd_path(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_PATH);
	add(em, "file_path(&ok, ");
	emit_room(em, call);
	add(em, ", task, ");
	emit_file(em, call);
	add(em, ")");
}

/* Whether its argument has a value; what that would clear is set back. */
void emit_has(struct emit *em, const struct expr *call)
{
	add(em, "({ bool was_ = ok; ok = true; (void)");
	emit_expr(em, call->args[0]);
	add(em, "; bool has_ = ok; ok = was_; (s64)has_; })");
}

/* Something is at an address: its type is known while the program is made, so nothing is left to do in it. */
void emit_kptr(struct emit *em, const struct expr *call)
{
	emit_unsigned(em, call->args[0]);
}

/* The address, and of how many messages. */
static void emit_messages(struct emit *em, const struct expr *call)
{
	gen_need(em->gen, PIECE_SCM);
	emit_unsigned(em, call->args[0]);
	add(em, ", (s64)");
	if (call->nargs > 1)
		emit_expr(em, call->args[1]);
	else
		add(em, "1");
	add(em, ")");
}

void emit_scm_count(struct emit *em, const struct expr *call)
{
	add(em, "scm_count(");
	emit_messages(em, call);
}

/* As a field, in whose place the descriptors are stored. */
void emit_scm_block(struct emit *em, const struct expr *call)
{
	text_printf(em->out, "scm_fds(&ok, %s, ", em->to);
	emit_messages(em, call);
}

/* One of them, elsewhere. */
void emit_scm_fds(struct emit *em, const struct expr *call)
{
	struct expr room = {.type = {.size = (uint32_t)call->type.count * call->type.width}};
	const char *to = em->to;
	add(em, "({ s32 *to_ = (s32 *)");
	em->to = NULL;
	emit_room(em, &room);
	em->to = to;
	add(em, "; u64 got_ = scm_fds(&ok, to_, ");
	emit_messages(em, call);
	add(em, "; if (!(got_ >> ");
	emit_element(em);
	add(em, " & 1)) ok = false; (s64)to_[");
	emit_element(em);
	add(em, "]; })");
}
