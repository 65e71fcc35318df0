/* From a system call's number to the probes that want it: the programs on sys_enter and sys_exit.
 *
 * They run at every call of every process, so what they do for a call that nobody asked for is what tracing costs the rest
 * of the machine: find the task and its registers, look at one word of each, and leave by a switch. */
#include "engine/probe/gen_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct use {
	long long number;
	unsigned unit, probe;
	char function[8]; /* "probe", or "enter": the part of a probe that runs at the call's entry */
};

static int by_number(const void *a, const void *b)
{
	const struct use *x = a, *y = b;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->probe < y->probe ? -1 : x->probe > y->probe;
}

static struct use *parse_uses(const struct gen *gen, const struct text *uses, size_t *ret_n)
{
	struct use *use = calloc(gen->ret->nprobes + 1, sizeof(*use));
	size_t n = 0;
	int len;
	for (const char *s = text_str(uses); use && n < gen->ret->nprobes; s += len) {
		if (sscanf(s, "%lld %u %u %7s%n", &use[n].number, &use[n].unit, &use[n].probe, use[n].function, &len) !=
		        4)
			break;
		n++;
	}
	if (use)
		qsort(use, n, sizeof(*use), by_number);
	*ret_n = n;
	return use;
}

static bool same_code(const struct use *a, const struct use *b)
{
	return a->unit == b->unit && !strcmp(a->function, b->function);
}

/* Many calls with the same code (`syscall:*`): a table from the call's number to the probe's, so that the verifier follows
 * the code once and not once a call. */
enum { FEW_USES = 4, TABLE_SIZE = 1024 };

static bool has_table(const struct use *use, size_t n, const struct use *as)
{
	size_t uses = 0;
	for (size_t i = 0; i < n; i++) {
		if (!same_code(&use[i], as))
			continue;
		uses++;
		if (use[i].number < 0 || use[i].number >= TABLE_SIZE || (i && use[i - 1].number == use[i].number))
			return false;
	}
	return uses > FEW_USES;
}

/* The table's name. Of a probe that fires at the entry it is not the one of a probe with the same code at the exit. */
static const char *table_of(const struct use *as, bool on_entry)
{
	return on_entry && strcmp(as->function, "enter") != 0 ? "begin" : as->function;
}

static void add_table(struct text *out, const struct use *use, size_t n, const struct use *as, bool on_entry)
{
	text_printf(out, "static const volatile u16 %s_%u_index[%d] = {", table_of(as, on_entry), as->unit, TABLE_SIZE);
	for (size_t i = 0; i < n; i++) {
		if (same_code(&use[i], as))
			text_printf(out, "[%lld] = %u, ", use[i].number, use[i].probe + 1);
	}
	text_adds(out, "};\n");
}

/* Two probes of one call are one case with two calls. */
static void add_cases(struct text *out, const struct use *use, size_t n)
{
	long long last = -1;
	for (size_t i = 0; i < n; i++) {
		if (has_table(use, n, &use[i]))
			continue;
		if (use[i].number != last)
			text_printf(out, "%s\tcase %lld:\n", last >= 0 ? "\t\tbreak;\n" : "", use[i].number);
		last = use[i].number;
		text_printf(out, "\t\t%s_%u(ctx, task, regs, %u);\n", use[i].function, use[i].unit, use[i].probe);
	}
	text_adds(out, last >= 0 ? "\t\tbreak;\n" : "\tdefault:\n\t\tbreak;\n");
}

/* The first of the uses of its code, if they are many. */
static bool begins_table(const struct use *use, size_t n, size_t i)
{
	size_t first = 0;
	while (!same_code(&use[first], &use[i]))
		first++;
	return first == i && has_table(use, n, &use[i]);
}

static void add_table_call(struct text *out, const struct use *as, bool on_entry)
{
	const char *table = table_of(as, on_entry);
	text_printf(out, "\tif (nr < %d && %s_%u_index[nr])\n\t\t%s_%u(ctx, task, regs, %s_%u_index[nr] - 1u);\n",
	        TABLE_SIZE, table, as->unit, as->function, as->unit, table, as->unit);
}

static int add_program(struct gen *gen, struct text *out, const struct text *uses, const char *head)
{
	bool on_entry = uses == &gen->enter_cases;
	size_t n;
	struct use *use = parse_uses(gen, uses, &n);
	if (!use)
		return err_nomem(gen->err);
	for (size_t i = 0; i < n; i++) {
		if (begins_table(use, n, i))
			add_table(out, use, n, &use[i], on_entry);
	}
	text_printf(out, "%s\tu64 nr = LOAD_REG(regs->orig_ax);\n", head);
	for (size_t i = 0; i < n; i++) {
		if (begins_table(use, n, i))
			add_table_call(out, &use[i], on_entry);
	}
	text_adds(out, "\tswitch (nr) {\n");
	add_cases(out, use, n);
	text_adds(out, "\t}\n\treturn 0;\n}\n\n");
	free(use);
	return 0;
}

static unsigned first_syscall(const struct gen *gen)
{
	unsigned i = 0;
	while (i < gen->ret->nprobes && gen->ret->probes[i].kind != PROBE_SYSCALL)
		i++;
	return i;
}

/* What calls of 32-bit code are cannot be told from their numbers: they are counted with the first probe. */
static void add_compat(struct gen *gen, struct text *out)
{
	text_printf(out,
	        "static __attribute__((noinline)) int compat_call(struct task_struct *task)\n{\n"
	        "\tstruct rille_stats *stats = stats_of(%u);\n"
	        "\tif (stats && is_target(task, bpf_get_current_pid_tgid()))\n\t\tstats->lost_compat++;\n"
	        "\treturn 0;\n}\n\n",
	        first_syscall(gen));
}

#define PROGRAM_HEAD(name, on_compat)                                                                                  \
	"SEC(\"raw_tp/" name "\") int rille_" name "(u64 *ctx)\n{\n"                                                   \
	"\tstruct task_struct *task = current_task();\n"                                                               \
	"\tstruct pt_regs *regs = user_regs(task);\n"                                                                  \
	"\tif (unlikely(is_compat_call(task)))\n\t\treturn " on_compat ";\n"

int gen_dispatch(struct gen *gen, struct text *out)
{
	static const char on_exit[] = PROGRAM_HEAD("sys_exit", "compat_call(task)");
	static const char on_entry[] = PROGRAM_HEAD("sys_enter", "0");
	static const char on_entry_alone[] = PROGRAM_HEAD("sys_enter", "compat_call(task)");
	bool exits = gen->exit_cases.len, enters = gen->enter_cases.len;
	int r = 0;
	if (text_failed(&gen->exit_cases) || text_failed(&gen->enter_cases))
		return err_nomem(gen->err);
	if (exits || enters)
		add_compat(gen, out);
	if (exits)
		r = add_program(gen, out, &gen->exit_cases, on_exit);
	if (r == 0 && enters)
		r = add_program(gen, out, &gen->enter_cases, exits ? on_entry : on_entry_alone);
	return r;
}
