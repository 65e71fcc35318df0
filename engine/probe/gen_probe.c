/* One probe: the function that is called when it fires, and the one for its entry if it needs one.
 *
 * The function counts, leaves as early as it can (not a target, `where` does not hold), and only then looks for room in
 * the ring. A record of known size is written in place there. One with a user stack, whose size is known when it has been
 * copied, is put together in a scratch room of the CPU and copied: a second copy of some KiB in the cache costs a fraction
 * of the read from user memory, and in exchange a record takes just the room it needs and there is one path to verify
 * instead of one a size class. */
#include "engine/probe/gen_impl.h"
#include "bpf-templates/record.h"
#include "engine/base/grow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ROOM = 32768, MAX_ROOM = 65536, PIECE = 1024, DEFAULT_DEPTH = 1024, MAX_KERNEL_FRAMES = 127 };

static void set_stacks(struct build *b)
{
	struct probe_schema *schema = b->schema;
	const struct gen_options *options = b->gen->options;
	schema->stack_sides = b->spec->silent ? STACK_NONE : b->spec->stack.sides | options->force_stack;
	schema->depth = options->depth ? options->depth : b->spec->stack.depth ? b->spec->stack.depth : DEFAULT_DEPTH;
	uint32_t most = b->spec->stack.max_bytes ? b->spec->stack.max_bytes : DEFAULT_ROOM;
	schema->max_bytes = (most > MAX_ROOM ? MAX_ROOM : most + PIECE - 1) & ~(PIECE - 1u);
	if (schema->stack_sides & STACK_USER && b->gen->stack_room < schema->max_bytes)
		b->gen->stack_room = schema->max_bytes;
}

static int type_conditions(struct build *b, struct err *err)
{
	const struct spec_text *where = &b->spec->where, *filter = &b->gen->spec->filter;
	int r;
	b->scope.where_of = b->spec;
	if (where->text &&
	        ((r = expr_parse(&b->where, where, err)) < 0 || (r = type_condition(&b->scope, &b->where, err)) < 0))
		return r;
	if (filter->text &&
	        ((r = expr_parse(&b->filter, filter, err)) < 0 || (r = type_condition(&b->scope, &b->filter, err)) < 0))
		return r;
	return 0;
}

/* At the exit a condition without a value because nothing was kept is a loss, not a no. */
static void emit_condition(struct emit *em, const struct expr_tree *tree)
{
	if (!tree->root)
		return;
	text_adds(em->out, "\t{\n\t\tbool ok = true;\n\t\tbool holds = !!");
	emit_script(em, tree, emit_truth);
	if (tree->root->needs & NEEDS_ENTRY && !em->at_entry)
		text_adds(em->out,
		        "\t\tif (!ok && !state) {\n\t\t\tstats->passed++;\n\t\t\tstats->lost_entry++;\n\t\t}\n");
	text_adds(em->out, "\t\tif (!ok || !holds)\n\t\t\treturn;\n\t}\n");
}

void emit_load_argument(struct text *out, const struct build *b, const struct argument *arg, bool again)
{
	static const char *const registers[] = {"di", "si", "dx", "r10", "r8", "r9"};
	struct type type = type_int(arg->size, arg->is_signed && !arg->is_pointer);
	if (b->schema->kind == PROBE_TRACEPOINT)
		text_printf(out, "*(%s%s *)(ctx + %u)", again ? "volatile " : "", c_type(&type), arg->offset);
	else
		text_printf(out, "(%s)%s(regs->%s)", c_type(&type), again ? "RELOAD_REG" : "LOAD_REG",
		        registers[arg->offset / 8 % 6]);
}

static void emit_argument_load(struct build *b, struct text *out, size_t i)
{
	const struct argument *arg = &b->format->arguments[i];
	struct type type = type_int(arg->size, arg->is_signed && !arg->is_pointer);
	text_printf(out, "\t%s a%zu_%s = ", wide_type(&type), i, arg->name);
	emit_load_argument(out, b, arg, false);
	text_adds(out, ";\n");
}

static void emit_locals(struct build *b, struct text *out, uint64_t args, bool comm)
{
	for (size_t i = 0; i < b->format->narguments && i < 64; i++) {
		if (args >> i & 1)
			emit_argument_load(b, out, i);
	}
	if (comm)
		text_adds(out, "\tchar comm[RILLE_COMM] ALIGNED = {0};\n\tbpf_get_current_comm(comm, sizeof(comm));\n");
}

static bool has_user_stack(const struct build *b)
{
	return b->schema->stack_sides & STACK_USER;
}

static bool has_kernel_stack(const struct build *b)
{
	return b->schema->stack_sides & STACK_KERNEL;
}

static uint32_t kernel_frames(const struct build *b)
{
	return b->schema->depth < MAX_KERNEL_FRAMES ? b->schema->depth : MAX_KERNEL_FRAMES;
}

/* The record's struct, and the same offsets in the schema. */
static void emit_record(struct build *b)
{
	struct text *out = &b->record;
	struct probe_schema *schema = b->schema;
	schema->size = b->size;
	text_adds(out, "struct rille_p" UNIT " {\n\tstruct rille_record head;\n");
	text_addt(out, &b->members);
	if (has_kernel_stack(b)) {
		schema->kstack_offset = schema->size;
		schema->size += (uint32_t)sizeof(struct rille_kstack) + 8 * kernel_frames(b);
		text_printf(out, "\tstruct rille_kstack kstack;\n\tu64 kframes[%u];\n", kernel_frames(b));
	}
	if (has_user_stack(b)) {
		schema->ustack_offset = schema->size;
		schema->size += (uint32_t)sizeof(struct rille_ustack);
		text_adds(out, "\tstruct rille_ustack ustack;\n\tchar stack[STACK_ROOM + 8]; /* the length is rounded "
		               "up */\n");
	}
	text_addt(out, &b->temps);
	text_adds(out, "};\n");
	if (has_user_stack(b))
		text_printf(out,
		        "_Static_assert(__builtin_offsetof(struct rille_p" UNIT ", stack) == %u, \"layout\");\n",
		        schema->size);
	else if (!b->ntemps)
		text_printf(out, "_Static_assert(sizeof(struct rille_p" UNIT ") == %u, \"layout\");\n", schema->size);
	text_addc(out, '\n');
}

static void emit_begin(struct build *b, struct text *out)
{
	text_adds(out, "\tstruct rille_stats *stats = stats_of(index);\n\tu64 id = bpf_get_current_pid_tgid();\n"
	               "\tif (!stats)\n\t\treturn;\n\tstats->seen++;\n");
	text_adds(out, "\tif (!is_target(task, id))\n\t\treturn;\n\tstats->target++;\n");
	if (b->uses_elapsed)
		text_adds(out, "\tu64 now = bpf_ktime_get_ns();\n");
	if (b->uses_state)
		text_adds(out, "\tstruct rille_entry *state = entry_of(task);\n\tif (state && !state->p" UNIT
		               ")\n\t\tstate = NULL;\n\tif (state)\n\t\tstate->p" UNIT " = 0;\n");
	if (b->uses_ret)
		text_adds(out, "\ts64 ret = (s64)LOAD_REG(regs->ax);\n");
	emit_locals(b, out, b->args_used, b->uses_comm);
}

const char *scratch_room(const struct build *b)
{
	return b->schema->kind == PROBE_SYSCALL ? "SCRATCH_SYSCALL" : "SCRATCH_TRACEPOINT";
}

static void emit_scratch(struct build *b, struct text *out)
{
	text_printf(out,
	        "\tstruct rille_p" UNIT
	        " *rec = scratch(%s);\n\tif (!rec) {\n\t\tstats->lost_ring++;\n\t\treturn;\n\t}\n",
	        scratch_room(b));
}

static void emit_passed(struct build *b, struct text *out)
{
	text_adds(out, "\tstats->passed++;\n");
	text_addt(out, &b->counting);
	if (!b->spec->silent)
		text_adds(out, "\tif (!within_limit()) {\n\t\tstats->lost_limit++;\n\t\treturn;\n\t}\n");
}

static void emit_stacks(struct build *b, struct text *out)
{
	if (has_kernel_stack(b))
		text_adds(out, "\trec->head.flags |= copy_kernel_stack(ctx, &rec->kstack, rec->kframes, "
		               "sizeof(rec->kframes));\n");
	if (!has_user_stack(b))
		return;
	text_printf(out,
	        "\tu32 without = without_user_side(task, regs);\n\tif (!without)\n"
	        "\t\tsize = %u + COPY_STACK(rec, %s, %u);\n"
	        "\trec->head.flags |= without ? without : RILLE_REC_USTACK;\n",
	        b->schema->size, scratch_room(b), b->schema->max_bytes);
}

static void emit_send(struct build *b, struct text *out)
{
	uint32_t fixed = has_user_stack(b) ? b->schema->ustack_offset : b->schema->size;
	text_adds(out, "\tbegin_record(&rec->head, index, task, id);\n\tu64 present = 0;\n");
	text_addt(out, &b->late);
	text_printf(out, "\tu32 size = %u;\n", fixed);
	emit_stacks(b, out);
	text_adds(out, "\trec->head.present = present;\n\trec->head.size = size;\n");
	if (b->scratch)
		text_adds(out, "\tif (bpf_ringbuf_output(&rille_ring, rec, size, RB_NO_WAKEUP)) {\n"
		               "\t\tstats->lost_ring++;\n\t\treturn;\n\t}\n");
	else
		text_adds(out, "\tbpf_ringbuf_submit(rec, RB_NO_WAKEUP);\n");
	text_adds(out, "\tstats->sent++;\n\tring_bell();\n");
}

static void emit_signature(struct build *b, struct text *out, const char *name)
{
	text_printf(out,
	        "UNIT_FUNCTION void %s_" UNIT
	        "(%s *ctx, struct task_struct *task, struct pt_regs *regs, u32 index)\n{\n",
	        name, b->schema->kind == PROBE_TRACEPOINT ? "u8" : "u64");
}

static void emit_function(struct build *b)
{
	struct text *out = &b->functions;
	emit_signature(b, out, "probe");
	emit_begin(b, out);
	if (b->early_record)
		emit_scratch(b, out);
	text_addt(out, &b->early);
	emit_passed(b, out);
	if (b->spec->silent) {
		text_adds(out, "}\n\n");
		return;
	}
	if (b->scratch && !b->early_record)
		emit_scratch(b, out);
	if (!b->scratch)
		text_adds(out, "\tstruct rille_p" UNIT " *rec = bpf_ringbuf_reserve(&rille_ring, sizeof(*rec), 0);\n"
		               "\tif (!rec) {\n\t\tstats->lost_ring++;\n\t\treturn;\n\t}\n");
	emit_send(b, out);
	text_adds(out, "}\n\n");
}

/* The parts of `where` that are joined by && and known at the entry. */
static void emit_entry_conditions(struct emit *em, const struct expr_tree *tree, struct expr *e)
{
	if (!e)
		return;
	if (e->op == EXPR_BOTH) {
		emit_entry_conditions(em, tree, e->a);
		emit_entry_conditions(em, tree, e->b);
		return;
	}
	if (e->needs & (NEEDS_EXIT | NEEDS_ENTRY | NEEDS_FIELD))
		return;
	struct expr_tree part = *tree;
	part.root = e;
	emit_condition(em, &part);
}

static void emit_kept_text(
        struct emit *em, const struct expr *e, const struct expr *inner, const struct expr_tree *tree)
{
	char to[64];
	snprintf(to, sizeof(to), "state->e" UNIT "_%zu", e->index);
	bool placed = inner->op == EXPR_CALL || inner->op == EXPR_MEMBER || inner->op == EXPR_INDEX;
	em->to = placed ? to : NULL;
	text_adds(em->out, "\t\tconst char *from =");
	emit_script(em, tree, emit_expr);
	em->to = NULL;
	if (placed)
		text_adds(em->out, "\t\t(void)from;\n");
	else
		text_printf(em->out, "\t\t__builtin_memcpy(%s, from, %u);\n", to,
		        inner->op == EXPR_STRING ? (uint32_t)inner->len + 1 : inner->type.size);
}

static void emit_kept_numbers(
        struct emit *em, const struct expr *e, const struct expr *inner, const struct expr_tree *tree)
{
	unsigned n = inner->type.count ? inner->type.count : 1;
	for (unsigned i = 0; i < n; i++) {
		em->element = inner->type.count ? (int)i : ELEMENT_NONE;
		text_printf(em->out, "\t\tstate->e" UNIT "_%zu", e->index);
		if (inner->type.count)
			text_printf(em->out, "[%u]", i);
		text_adds(em->out, " =");
		emit_script(em, tree, emit_expr);
	}
	em->element = ELEMENT_NONE;
}

/* One entry(): its place in struct rille_entry, and the code that fills it. */
static void emit_kept(struct emit *em, const struct kept_entry *kept)
{
	const struct expr *e = kept->expr, *inner = e->a;
	struct text *members = &em->build->kept;
	bool number = type_is_number(&inner->type) || inner->type.kind == TYPE_KPTR || inner->type.count;
	if (!number)
		text_printf(members, "\tchar e" UNIT "_%zu[%u] ALIGNED;\n", e->index, inner->type.size);
	else if (inner->type.count)
		text_printf(members, "\t%s e" UNIT "_%zu[%u];\n", c_type(&inner->type), e->index, inner->type.count);
	else
		text_printf(members, "\t%s e" UNIT "_%zu;\n", wide_type(&inner->type), e->index);
	text_printf(members, "\tu64 h" UNIT "_%zu;\n", e->index);
	struct expr_tree part = {.source = kept->source, .root = (struct expr *)inner};
	text_adds(em->out, "\t{\n\t\tbool ok = true;\n");
	if (number)
		emit_kept_numbers(em, e, inner, &part);
	else
		emit_kept_text(em, e, inner, &part);
	text_printf(em->out, "\t\tstate->h" UNIT "_%zu = ok;\n\t}\n", e->index);
}

/* Before the record's struct is written, which has the room that they need. */
static void emit_enter_conditions(struct build *b)
{
	struct emit em = {
	        .gen = b->gen, .build = b, .out = &b->enter, .at_entry = true, .tests = true, .element = ELEMENT_NONE};
	unsigned before = b->ntemps;
	emit_entry_conditions(&em, &b->where, b->where.root);
	emit_entry_conditions(&em, &b->filter, b->filter.root);
	b->enter_room = b->ntemps > before;
}

static void emit_enter_function(struct build *b)
{
	struct text late = {0}, *out = &b->functions;
	struct emit em = {.gen = b->gen, .build = b, .out = &late, .at_entry = true, .element = ELEMENT_NONE};
	text_adds(&b->kept, "\tu64 p" UNIT ", n" UNIT "; /* kept; since when */\n");
	for (size_t i = 0; i < b->nentries; i++)
		emit_kept(&em, &b->entries[i]);
	emit_signature(b, out, "enter");
	text_adds(out, "\tu64 id = bpf_get_current_pid_tgid();\n\tif (!may_be_target(id))\n\t\treturn;\n");
	emit_locals(b, out, b->args_used_entry, b->comm_entry);
	if (b->enter_room)
		text_printf(out, "\tstruct rille_p" UNIT " *rec = scratch(%s);\n\tif (!rec)\n\t\treturn;\n",
		        scratch_room(b));
	text_addt(out, &b->enter);
	text_adds(out, "\tstruct rille_entry *state = new_entry(task);\n\tif (!state)\n\t\treturn;\n");
	text_addt(out, &late);
	text_adds(out, "\tstate->n" UNIT " = bpf_ktime_get_ns();\n\tstate->p" UNIT " = 1;\n}\n\n");
	text_fini(&late);
}

/* Copies text with the unit's number in the place of UNIT. */
static void add_numbered(struct text *out, const struct text *in, size_t number)
{
	out->failed |= in->failed;
	const char *s = text_str(in);
	for (const char *at; (at = strstr(s, UNIT)) != NULL; s = at + strlen(UNIT)) {
		text_add(out, s, (size_t)(at - s));
		text_addu(out, number);
	}
	text_adds(out, s);
}

static int add_unit(struct build *b, char *text, struct err *err)
{
	struct gen *gen = b->gen;
	if (gen->nunits >= MAX_UNITS) {
		free(text);
		return expr_error(&b->spec->on, 0, err, "too-many-probes",
		        "more than %d probes with code of their own: the kernel takes no larger program", MAX_UNITS);
	}
	if (!text || grow(&gen->units, &gen->units_cap, gen->nunits + 1, sizeof(*gen->units)) < 0) {
		free(text);
		return err_nomem(err);
	}
	size_t number = gen->nunits++;
	gen->units[number].text = text;
	text_printf(&gen->records, "/* %s */\n", b->schema->name);
	add_numbered(&gen->records, &b->record, number);
	add_numbered(&gen->entries, &b->kept, number);
	add_numbered(&gen->probes, &b->functions, number);
	if (b->scratch)
		text_printf(&gen->scratch, "\t\tstruct rille_p%zu p%zu;\n", number, number);
	for (size_t i = 0; i < b->spec->naggregates; i++)
		text_printf(&gen->scratch, "\t\tstruct rille_c%zu_%zu c%zu_%zu;\n", number, i, number, i);
	return 0;
}

/* Finds the code among what is there, or adds it. */
static int settle_unit(struct build *b, size_t *ret_number, struct err *err)
{
	struct gen *gen = b->gen;
	struct text all = {0};
	text_addt(&all, &b->record);
	text_addt(&all, &b->kept);
	text_addt(&all, &b->functions);
	for (*ret_number = 0; *ret_number < gen->nunits; ++*ret_number) {
		if (!strcmp(gen->units[*ret_number].text, text_str(&all))) {
			text_fini(&all);
			return 0;
		}
	}
	char *text = text_failed(&all) ? NULL : text_steal(&all);
	text_fini(&all);
	return add_unit(b, text, err);
}

static void need_pieces(struct build *b)
{
	struct gen *gen = b->gen;
	if (has_user_stack(b))
		gen_need(gen, PIECE_USER_STACK);
	if (has_kernel_stack(b))
		gen_need(gen, PIECE_KERNEL_STACK);
	if (b->scratch || b->spec->naggregates)
		gen_need(gen, PIECE_SCRATCH);
	if (b->spec->naggregates)
		gen_need(gen, PIECE_AGGREGATE);
	if (b->uses_state)
		gen_need(gen, gen->features & FEATURE_TASK_STORAGE ? PIECE_ENTRIES_TASK : PIECE_ENTRIES_HASH);
}

/* The call of the function from the program that the probe belongs to. */
static void emit_use(struct build *b, size_t unit)
{
	const struct probe_schema *schema = b->schema;
	struct gen *gen = b->gen;
	if (schema->kind == PROBE_SYSCALL) {
		struct text *cases = b->spec->at_entry ? &gen->enter_cases : &gen->exit_cases;
		text_printf(cases, "%lld %zu %u probe\n", (long long)schema->number, unit, schema->index);
		if (b->uses_state)
			text_printf(&gen->enter_cases, "%lld %zu %u enter\n", (long long)schema->number, unit,
			        schema->index);
		return;
	}
	text_printf(&gen->tracepoints,
	        "SEC(\"tp/%s/%s\") int rille_tp_%u(u8 *ctx)\n{\n"
	        "\tstruct task_struct *task = current_task();\n"
	        "\tprobe_%zu(ctx, task, %s, %u);\n\treturn 0;\n}\n\n",
	        schema->category, schema->event, schema->index, unit, has_user_stack(b) ? "user_regs(task)" : "NULL",
	        schema->index);
}

int build_probe(struct build *b, struct err *err)
{
	struct emit em = {.gen = b->gen, .build = b, .out = &b->early, .element = ELEMENT_NONE};
	set_stacks(b);
	int r = type_conditions(b, err);
	if (r < 0)
		return r;
	emit_condition(&em, &b->where);
	emit_condition(&em, &b->filter);
	b->early_record = b->ntemps > 0;
	if ((r = build_aggregates(b, err)) < 0)
		return r;
	b->scope.where_of = NULL;
	b->size = sizeof(struct rille_record);
	if ((r = build_fields(b, err)) < 0)
		return r;
	if (b->uses_state)
		emit_enter_conditions(b);
	b->scratch = b->ntemps > 0 || has_user_stack(b);
	b->schema->needs_entry = b->uses_state;
	b->schema->at_entry = b->spec->at_entry;
	need_pieces(b);
	emit_record(b);
	emit_function(b);
	if (b->uses_state)
		emit_enter_function(b);
	size_t unit;
	if ((r = settle_unit(b, &unit, err)) < 0)
		return r;
	emit_use(b, unit);
	return b->gen->failed;
}

void build_fini(struct build *b)
{
	expr_tree_fini(&b->where);
	expr_tree_fini(&b->filter);
	for (size_t i = 0; i < b->ncounts; i++)
		build_fini(&b->counts[i]);
	free(b->counts);
	for (size_t i = 0; i < b->ntrees; i++)
		expr_tree_fini(&b->trees[i]);
	free(b->trees);
	text_fini(&b->counting);
	text_fini(&b->enter);
	free(b->entries);
	text_fini(&b->members);
	text_fini(&b->temps);
	text_fini(&b->early);
	text_fini(&b->late);
	text_fini(&b->kept);
	text_fini(&b->record);
	text_fini(&b->functions);
}
