/* Expressions to C.
 *
 * Every number is written as a C expression of type s64, or u64 where its type is wide, so the C compiler's own
 * conversions never decide anything. What can fail (memory that is not there, a division) clears the variable `ok` of the
 * enclosing block and yields 0; && and || then follow the rule that what is decided by one side does not depend on
 * whether the other has a value. */
#include "engine/probe/gen_impl.h"
#include "engine/base/grow.h"

#include <string.h>

static bool wide(const struct expr *e)
{
	return type_is_wide(&e->type);
}

const char *c_type(const struct type *type)
{
	static const char *const names[] = {"u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64"};
	unsigned i = type->width == 1 ? 0 : type->width == 2 ? 2 : type->width == 4 ? 4 : 6;
	return names[i + type->is_signed];
}

const char *wide_type(const struct type *type)
{
	return type_is_wide(type) ? "u64" : "s64";
}

static void add(struct emit *em, const char *s)
{
	text_adds(em->out, s);
}

static void emit_constant(struct emit *em, const struct expr *e)
{
	if (e->is_unsigned)
		text_printf(em->out, "0x%llxull", (unsigned long long)e->value);
	else if (e->value == INT64_MIN)
		add(em, "(-0x7fffffffffffffffll - 1)");
	else
		text_printf(em->out, e->value < 0 ? "(%lldll)" : "%lldll", (long long)e->value);
}

void emit_unsigned(struct emit *em, const struct expr *e)
{
	add(em, "(u64)");
	emit_expr(em, e);
}

void emit_c_string(struct text *out, const char *s, size_t len)
{
	text_addc(out, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '?')
			text_printf(out, "\\%03o", c);
		else
			text_addc(out, (char)c);
	}
	text_addc(out, '"');
}

void emit_room(struct emit *em, const struct expr *e)
{
	struct build *b = em->build;
	if (em->to) {
		add(em, em->to);
		return;
	}
	bool kept = em->at_entry && !em->tests;
	text_printf(kept ? &b->kept : &b->temps, "\tchar t" UNIT "_%u[%u] ALIGNED;\n", b->ntemps, e->type.size);
	text_printf(em->out, "%s->t" UNIT "_%u", kept ? "state" : "rec", b->ntemps);
	b->ntemps++;
}

/* A field of a tracepoint's record that is not one number. */
static void emit_tracepoint_data(struct emit *em, const struct expr *e, const struct argument *arg)
{
	gen_need(em->gen, PIECE_KERNEL_MEMORY);
	if (e->type.count) {
		text_printf(em->out, "((%s)kernel_%s(&ok, (u64)ctx + %u + %u * ", wide_type(&e->type), c_type(&e->type),
		        arg->offset, e->type.width);
		emit_element(em);
		add(em, "))");
		return;
	}
	bool bytes = e->type.kind == TYPE_BYTES;
	add(em, bytes ? "kernel_bytes(&ok, " : "kernel_text(&ok, ");
	emit_room(em, e);
	uint32_t most = bytes ? e->type.size - 4 : arg->is_dynamic ? e->type.size : arg->size + 1;
	if (arg->is_dynamic)
		text_printf(em->out, ", %u, (u64)ctx + (u16)*(u32 *)(ctx + %u)", most, arg->offset);
	else
		text_printf(em->out, ", %u, (u64)ctx + %u", most, arg->offset);
	if (bytes)
		text_printf(em->out, ", *(u32 *)(ctx + %u) >> 16", arg->offset);
	add(em, ")");
}

/* Every test of a value tells the verifier something about it, and it then follows the rest of the program for each
 * combination of what it knows. After many tests an argument is loaded anew for each use, and nothing is known of it. */
enum { MANY_BRANCHES = 12 };

static void emit_argument_again(struct emit *em, const struct argument *arg)
{
	struct type type = type_int(arg->size, arg->is_signed && !arg->is_pointer);
	text_printf(em->out, "((%s)", wide_type(&type));
	emit_load_argument(em->out, em->build, arg, true);
	add(em, ")");
}

static void count_branch(struct emit *em, enum expr_op op)
{
	if ((op >= EXPR_LT && op <= EXPR_IN) || op == EXPR_BOTH || op == EXPR_EITHER || op == EXPR_COND ||
	        op == EXPR_DIV || op == EXPR_MOD || op == EXPR_SHL || op == EXPR_SHR || op == EXPR_NOT)
		em->build->branches++;
}

static void emit_argument(struct emit *em, const struct expr *e)
{
	const struct argument *arg = &em->build->format->arguments[e->index];
	if (e->type.count || e->type.kind == TYPE_STR || e->type.kind == TYPE_BYTES) {
		emit_tracepoint_data(em, e, arg);
		return;
	}
	if (em->build->branches > MANY_BRANCHES && !em->at_entry) {
		emit_argument_again(em, arg);
		return;
	}
	if (e->index < 64)
		*(em->at_entry ? &em->build->args_used_entry : &em->build->args_used) |= 1ULL << e->index;
	text_printf(em->out, "a%zu_%s", e->index, arg->name);
}

static void emit_param(struct emit *em, const struct expr *e)
{
	const char *name = em->gen->spec->params[e->index].name.text;
	em->gen->params_used[e->index] = true;
	/* Hidden: the compiler knows the variable's value as long as it can see where a pointer came from. */
	if (e->type.kind == TYPE_STR)
		text_printf(em->out, "({ const char *p_ = (const char *)rille_param_%s; HIDE(p_); p_; })", name);
	else
		text_printf(em->out, "((%s)rille_param_%s)", wide_type(&e->type), name);
}

void emit_element(struct emit *em)
{
	if (em->element == ELEMENT_LOOP)
		add(em, "el");
	else
		text_addu(em->out, (unsigned)em->element);
}

static void emit_elapsed(struct emit *em)
{
	em->build->uses_state = em->build->uses_elapsed = true;
	add(em, "({ if (!state) ok = false; state ? now - state->n" UNIT " : 0; })");
}

static void emit_builtin(struct emit *em, const struct expr *e)
{
	struct build *b = em->build;
	switch ((enum builtin)e->index) {
	case BUILTIN_PID:
		add(em, "((s64)(id >> 32))");
		break;
	case BUILTIN_TID:
		add(em, "((s64)(u32)id)");
		break;
	case BUILTIN_PPID:
		add(em, "((s64)FETCH(AT(u32, FETCH(AT(u64, task, OFF_task_struct__real_parent)), "
		        "OFF_task_struct__tgid)))");
		break;
	case BUILTIN_UID:
		add(em, "((s64)(u32)bpf_get_current_uid_gid())");
		break;
	case BUILTIN_GID:
		add(em, "((s64)(bpf_get_current_uid_gid() >> 32))");
		break;
	case BUILTIN_COMM:
		*(em->at_entry ? &b->comm_entry : &b->uses_comm) = true;
		add(em, "comm");
		break;
	case BUILTIN_CPU:
		add(em, "((s64)bpf_get_smp_processor_id())");
		break;
	case BUILTIN_CGROUP:
		add(em, "bpf_get_current_cgroup_id()");
		break;
	case BUILTIN_NS_PID:
		gen_need(em->gen, PIECE_NS_PID);
		add(em, "ns_pid(&ok, task)");
		break;
	case BUILTIN_NSECS:
		add(em, "bpf_ktime_get_ns()");
		break;
	case BUILTIN_PROBE:
		if (e->type.kind == TYPE_INT) { /* as a key */
			add(em, "index");
			break;
		}
		emit_c_string(em->out, b->schema->name, strlen(b->schema->name));
		break;
	case BUILTIN_RET:
	case BUILTIN_ERRNO:
		b->uses_ret = true;
		if (e->index == BUILTIN_RET && b->branches > MANY_BRANCHES)
			add(em, "((s64)RELOAD_REG(regs->ax))");
		else
			add(em, e->index == BUILTIN_RET ? "ret" : "(ret < 0 && ret >= -4095 ? -ret : 0)");
		break;
	case BUILTIN_ELAPSED:
		emit_elapsed(em);
		break;
	default:
		add(em, "(u64)task");
	}
}

static void emit_field(struct emit *em, const struct expr *e)
{
	const struct field_schema *field = &em->build->schema->fields[e->index];
	text_printf(em->out, "({ ok = ok && has%zu", e->index);
	if (e->type.count && e->type.each) {
		text_printf(em->out, " && (bits%zu >> ", e->index);
		emit_element(em);
		add(em, " & 1)");
	}
	add(em, "; ");
	if (e->type.count) {
		text_printf(em->out, "(%s)rec->f_%s[", wide_type(&e->type), field->name);
		emit_element(em);
		add(em, "]");
	} else if (type_is_number(&e->type) || e->type.kind == TYPE_KPTR)
		text_printf(em->out, "v%zu", e->index);
	else {
		text_printf(em->out, "(char *)rec->f_%s", field->name);
	}
	add(em, "; })");
}

/* The value that was kept at the entry; the entry's own code is written from b->entries. */
static void emit_entry(struct emit *em, const struct expr *e)
{
	struct build *b = em->build;
	size_t i = 0;
	while (i < b->nentries && b->entries[i].expr != e)
		i++;
	if (i == b->nentries) {
		if (grow(&b->entries, &b->entries_cap, i + 1, sizeof(*b->entries)) < 0) {
			gen_fail(em->gen, err_nomem(em->gen->err));
			return;
		}
		b->entries[b->nentries++] = (struct kept_entry){e, em->source};
	}
	b->uses_state = true;
	text_printf(em->out, "({ if (!state || !state->h" UNIT "_%zu) ok = false; ", e->index);
	if (e->type.count) {
		text_printf(em->out, "state ? (%s)state->e" UNIT "_%zu[", wide_type(&e->type), e->index);
		emit_element(em);
		add(em, "] : 0; })");
	} else if (type_is_number(&e->type) || e->type.kind == TYPE_KPTR)
		text_printf(em->out, "state ? (%s)state->e" UNIT "_%zu : 0; })", wide_type(&e->type), e->index);
	else
		text_printf(em->out, "state ? (char *)state->e" UNIT "_%zu : (char *)no_text; })", e->index);
	if (!type_is_number(&e->type) && em->gen->no_text < e->type.size)
		em->gen->no_text = e->type.size;
}

/* a < b, as numbers. */
static void emit_less(struct emit *em, const struct expr *a, const struct expr *b)
{
	bool a_plain = wide(a) || (expr_is_constant(a) && a->value >= 0);
	bool b_plain = wide(b) || (expr_is_constant(b) && b->value >= 0);
	bool as_unsigned = (wide(a) && b_plain) || (wide(b) && a_plain);
	if (wide(a) == wide(b) || as_unsigned) {
		add(em, as_unsigned ? "((u64)" : "(");
		emit_expr(em, a);
		add(em, as_unsigned ? " < (u64)" : " < ");
	} else {
		gen_need(em->gen, PIECE_ARITH);
		add(em, wide(a) ? "less_us(" : "less_su(");
		emit_expr(em, a);
		add(em, ", ");
	}
	emit_expr(em, b);
	add(em, ")");
}

static void emit_order(struct emit *em, const struct expr *e)
{
	bool swap = e->op == EXPR_GT || e->op == EXPR_LE, negate = e->op == EXPR_GE || e->op == EXPR_LE;
	add(em, negate ? "((s64)!" : "((s64)");
	emit_less(em, swap ? e->b : e->a, swap ? e->a : e->b);
	add(em, ")");
}

static void emit_equal(struct emit *em, const struct expr *e)
{
	const struct expr *a = e->a, *b = e->b;
	add(em, e->op == EXPR_NE ? "((s64)!" : "((s64)");
	if (a->type.kind == TYPE_STR) {
		emit_same_text(em, a, b);
	} else if (wide(a) == wide(b)) {
		add(em, "(");
		emit_expr(em, a);
		add(em, " == ");
		emit_expr(em, b);
		add(em, ")");
	} else {
		gen_need(em->gen, PIECE_ARITH);
		add(em, "same_su(");
		emit_expr(em, wide(a) ? b : a);
		add(em, ", ");
		emit_expr(em, wide(a) ? a : b);
		add(em, ")");
	}
	add(em, ")");
}

static void emit_infix(struct emit *em, const struct expr *e, const char *op)
{
	text_printf(em->out, "((%s)(", wide_type(&e->type));
	emit_unsigned(em, e->a);
	add(em, op);
	emit_unsigned(em, e->b);
	add(em, "))");
}

static void emit_function(struct emit *em, const struct expr *e, const char *name, bool fails)
{
	gen_need(em->gen, PIECE_ARITH);
	text_printf(em->out, "((%s)%s(%s", wide_type(&e->type), name, fails ? "&ok, " : "");
	emit_expr(em, e->a);
	add(em, ", ");
	emit_expr(em, e->b);
	add(em, "))");
}

static void emit_arithmetic(struct emit *em, const struct expr *e)
{
	bool u = wide(e);
	switch (e->op) {
	case EXPR_ADD:
		emit_infix(em, e, " + ");
		break;
	case EXPR_SUB:
		emit_infix(em, e, " - ");
		break;
	case EXPR_MUL:
		emit_infix(em, e, " * ");
		break;
	case EXPR_AND:
		emit_infix(em, e, " & ");
		break;
	case EXPR_OR:
		emit_infix(em, e, " | ");
		break;
	case EXPR_XOR:
		emit_infix(em, e, " ^ ");
		break;
	case EXPR_DIV:
		emit_function(em, e, u ? "divide_u" : "divide_s", true);
		break;
	case EXPR_MOD:
		emit_function(em, e, u ? "modulo_u" : "modulo_s", true);
		break;
	case EXPR_SHL:
		emit_function(em, e, "shift_left", false);
		break;
	default:
		emit_function(em, e, wide(e->a) ? "shift_right_u" : "shift_right_s", false);
	}
}

void emit_truth(struct emit *em, const struct expr *e)
{
	if (e->type.kind != TYPE_LIST) {
		emit_expr(em, e);
		return;
	}
	em->gen->params_used[e->index] = true;
	text_printf(em->out, "(rille_param_%s_n != 0)", em->gen->spec->params[e->index].name.text);
}

/* a && b, a || b. If a may have no value, b still decides where it can: false && anything, true || anything. */
static void emit_logic(struct emit *em, const struct expr *e)
{
	bool both = e->op == EXPR_BOTH;
	if (!(e->a->needs & NEEDS_FAIL)) {
		add(em, "((s64)(");
		emit_truth(em, e->a);
		add(em, both ? " && " : " || ");
		emit_truth(em, e->b);
		add(em, "))");
		return;
	}
	add(em, "({ bool was = ok; ok = true; bool x = !!");
	emit_truth(em, e->a);
	text_printf(em->out, ", x_ok = ok, y = %s; ok = true; if (!x_ok || %sx) y = !!", both ? "false" : "true",
	        both ? "" : "!");
	emit_truth(em, e->b);
	/* y decides alone if it is the value that settles the operation. */
	text_printf(em->out, "; if (!x_ok && (!ok || %sy)) ok = false; ok = ok && was; (s64)y; })", both ? "" : "!");
}

static void emit_choice(struct emit *em, const struct expr *e)
{
	text_printf(em->out, "(");
	emit_truth(em, e->a);
	text_printf(em->out, " ? (%s)", wide_type(&e->type));
	emit_expr(em, e->b);
	text_printf(em->out, " : (%s)", wide_type(&e->type));
	emit_expr(em, e->c);
	add(em, ")");
}

/* a[i] of an array of numbers. A constant index picks the element; another one picks among all of them. */
static void emit_index(struct emit *em, const struct expr *e)
{
	int saved = em->element;
	if (expr_is_constant(e->b)) {
		em->element = (int)e->b->value;
		emit_expr(em, e->a);
	} else {
		text_printf(em->out, "({ u64 i_ = ");
		emit_unsigned(em, e->b);
		text_printf(em->out, "; %s x_ = 0; switch (i_) { ", wide_type(&e->type));
		for (em->element = 0; em->element < e->a->type.count; em->element++) {
			text_printf(em->out, "case %d: x_ = ", em->element);
			emit_expr(em, e->a);
			add(em, "; break; ");
		}
		add(em, "default: ok = false; } x_; })");
	}
	em->element = saved;
}

static void emit_prefix(struct emit *em, const struct expr *e)
{
	if (e->op == EXPR_NEG) {
		add(em, "((s64)(0 - (u64)");
		emit_expr(em, e->a);
		add(em, "))");
	} else {
		add(em, e->op == EXPR_NOT ? "((s64)!" : "(~");
		emit_truth(em, e->a);
		add(em, ")");
	}
}

void emit_expr(struct emit *em, const struct expr *e)
{
	size_t n;
	count_branch(em, e->op);
	switch (e->op) {
	case EXPR_INT:
	case EXPR_BOOL:
		emit_constant(em, e);
		break;
	case EXPR_STRING:
		emit_c_string(em->out, e->text, e->len);
		break;
	case EXPR_ARG:
		emit_argument(em, e);
		break;
	case EXPR_PARAM:
		emit_param(em, e);
		break;
	case EXPR_BUILTIN:
		emit_builtin(em, e);
		break;
	case EXPR_FIELD:
		emit_field(em, e);
		break;
	case EXPR_ENTRY:
		emit_entry(em, e);
		break;
	case EXPR_CALL:
		function_table(&n)[e->function].emit(em, e);
		break;
	case EXPR_MEMBER:
		emit_member(em, e);
		break;
	case EXPR_INDEX:
		if (e->a->type.count)
			emit_index(em, e);
		else
			emit_kernel_index(em, e);
		break;
	case EXPR_NEG:
	case EXPR_NOT:
	case EXPR_FLIP:
		emit_prefix(em, e);
		break;
	case EXPR_LT:
	case EXPR_LE:
	case EXPR_GT:
	case EXPR_GE:
		emit_order(em, e);
		break;
	case EXPR_EQ:
	case EXPR_NE:
		emit_equal(em, e);
		break;
	case EXPR_GLOB:
		emit_glob(em, e);
		break;
	case EXPR_IN:
		emit_in(em, e);
		break;
	case EXPR_BOTH:
	case EXPR_EITHER:
		emit_logic(em, e);
		break;
	case EXPR_COND:
		emit_choice(em, e);
		break;
	default:
		emit_arithmetic(em, e);
	}
}
