/* Call frame instructions (DWARF 5, section 6.4.2, and the GNU ones of the LSB) are a small program that writes a
 * table; we run it up to the row for one address and keep that row in compact form. Applying a row needs neither the
 * file nor the program again.
 *
 * Which registers a call leaves alone is the ABI's word: those it may change are forgotten in the caller unless the row
 * restores them, so that nothing stale is ever used. Behind a signal frame all of them are restored. */
#include "engine/stack/row.h"

#include "engine/stack/expression.h"
#include "engine/stack/reader.h"

#include <dwarf.h>
#include <errno.h>
#include <limits.h>

enum { SAVED_STATES = 16, CFA_GNU_NEGATIVE_OFFSET = 0x2f, CFA_WINDOW_SAVE = 0x2d, CFA_GNU_ARGS_SIZE = 0x2e };

#if defined(__aarch64__)
/* x0 to x18 and the flags' stand-ins belong to whoever is called. */
static const uint64_t CALL_CLOBBERS = 0x7ffff;
#else
static const uint64_t CALL_CLOBBERS = 1 << X86_RAX | 1 << X86_RDX | 1 << X86_RCX | 1 << X86_RSI | 1 << X86_RDI |
                                      1 << X86_R8 | 1 << X86_R9 | 1 << X86_R10 | 1 << X86_R11;
#endif

struct rule {
	uint8_t kind;
	int64_t value;
	const uint8_t *expression;
	size_t len;
};

struct state {
	uint8_t cfa_kind;
	uint64_t cfa_register;
	int64_t cfa_value;
	const uint8_t *expression;
	size_t len;
	struct rule rules[NREGS];
};

struct run {
	const struct fde *fde;
	struct reader code;
	uint64_t code_va; /* of code.start */
	const uint8_t *code_start;
	struct state state;
	const struct state *initial; /* after the CIE's instructions */
	struct state saved[SAVED_STATES];
	size_t nsaved;
	uint64_t location, target;
	bool passed; /* the next row is beyond the target */
	bool failed;
};

/* In units of the CIE; what overflows is nonsense in any case and may wrap. */
static int64_t scaled(const struct run *run, uint64_t units)
{
	return (int64_t)(units * (uint64_t)run->fde->cie.data_align);
}

static void set_rule(struct run *run, uint64_t reg, enum rule_kind kind, int64_t value)
{
	if (reg < NREGS)
		run->state.rules[reg] = (struct rule){.kind = kind, .value = value};
}

static void set_expression(struct run *run, uint64_t reg, enum rule_kind kind)
{
	uint64_t len = read_uleb(&run->code);
	const uint8_t *code = read_bytes(&run->code, len);
	if (reg < NREGS && !run->code.failed)
		run->state.rules[reg] = (struct rule){.kind = kind, .expression = code, .len = len};
}

static void restore(struct run *run, uint64_t reg)
{
	if (reg < NREGS)
		run->state.rules[reg] = run->initial ? run->initial->rules[reg] : (struct rule){0};
}

static void advance(struct run *run, uint64_t units)
{
	uint64_t location = run->location + units * run->fde->cie.code_align;
	if (location > run->target || location < run->location)
		run->passed = true;
	else
		run->location = location;
}

static void set_location(struct run *run)
{
	/* Linkers and compilers for our machines never write it; only the plain form is understood. */
	uint64_t location = read_fixed(&run->code, 8);
	if (run->fde->cie.encoding)
		run->failed = true;
	if (location > run->target)
		run->passed = true;
	else
		run->location = location;
}

static void define_cfa(struct run *run, uint64_t reg, int64_t offset)
{
	run->state.cfa_kind = CFA_REGISTER;
	run->state.cfa_register = reg;
	run->state.cfa_value = offset;
}

static void define_cfa_expression(struct run *run)
{
	uint64_t len = read_uleb(&run->code);
	run->state.cfa_kind = CFA_EXPRESSION;
	run->state.expression = read_bytes(&run->code, len);
	run->state.len = len;
}

static void save_state(struct run *run)
{
	if (run->nsaved == SAVED_STATES)
		run->failed = true;
	else
		run->saved[run->nsaved++] = run->state;
}

static void restore_state(struct run *run)
{
	if (!run->nsaved)
		run->failed = true;
	else
		run->state = run->saved[--run->nsaved];
}

/* Instructions that define the CFA; false: not one of them. */
static bool step_cfa(struct run *run, uint8_t op)
{
	struct reader *code = &run->code;
	uint64_t reg;
	switch (op) {
	case DW_CFA_def_cfa:
		reg = read_uleb(code);
		define_cfa(run, reg, read_uleb(code));
		return true;
	case DW_CFA_def_cfa_sf:
		reg = read_uleb(code);
		define_cfa(run, reg, scaled(run, (uint64_t)read_sleb(code)));
		return true;
	case DW_CFA_def_cfa_register:
		define_cfa(run, read_uleb(code), run->state.cfa_value);
		return true;
	case DW_CFA_def_cfa_offset:
		define_cfa(run, run->state.cfa_register, read_uleb(code));
		return true;
	case DW_CFA_def_cfa_offset_sf:
		define_cfa(run, run->state.cfa_register, scaled(run, (uint64_t)read_sleb(code)));
		return true;
	case DW_CFA_def_cfa_expression:
		define_cfa_expression(run);
		return true;
	default:
		return false;
	}
}

/* Instructions that say where one register is; false: not one of them. */
static bool step_rule(struct run *run, uint8_t op)
{
	struct reader *code = &run->code;
	if (op < DW_CFA_offset_extended || op > CFA_GNU_NEGATIVE_OFFSET)
		return false;
	struct reader before = *code;
	uint64_t reg = read_uleb(code);
	switch (op) {
	case DW_CFA_offset_extended:
		set_rule(run, reg, RULE_AT_CFA, scaled(run, read_uleb(code)));
		return true;
	case DW_CFA_offset_extended_sf:
		set_rule(run, reg, RULE_AT_CFA, scaled(run, (uint64_t)read_sleb(code)));
		return true;
	case CFA_GNU_NEGATIVE_OFFSET:
		set_rule(run, reg, RULE_AT_CFA, (int64_t) - (uint64_t)scaled(run, read_uleb(code)));
		return true;
	case DW_CFA_val_offset:
		set_rule(run, reg, RULE_IS_CFA, scaled(run, read_uleb(code)));
		return true;
	case DW_CFA_val_offset_sf:
		set_rule(run, reg, RULE_IS_CFA, scaled(run, (uint64_t)read_sleb(code)));
		return true;
	case DW_CFA_restore_extended:
		restore(run, reg);
		return true;
	case DW_CFA_undefined:
		set_rule(run, reg, RULE_UNDEFINED, 0);
		return true;
	case DW_CFA_same_value:
		set_rule(run, reg, RULE_SAME, 0);
		return true;
	case DW_CFA_register:
		set_rule(run, reg, RULE_REGISTER, (int64_t)read_uleb(code));
		return true;
	case DW_CFA_expression:
		set_expression(run, reg, RULE_AT_EXPRESSION);
		return true;
	case DW_CFA_val_expression:
		set_expression(run, reg, RULE_IS_EXPRESSION);
		return true;
	default:
		*code = before;
		return false;
	}
}

static void step_other(struct run *run, uint8_t op)
{
	switch (op) {
	case DW_CFA_nop:
	case CFA_WINDOW_SAVE: /* arm64: the return address is signed from here on; the signature is removed when it is
	                         used */
		return;
	case DW_CFA_set_loc:
		set_location(run);
		return;
	case DW_CFA_advance_loc1:
		advance(run, read_fixed(&run->code, 1));
		return;
	case DW_CFA_advance_loc2:
		advance(run, read_fixed(&run->code, 2));
		return;
	case DW_CFA_advance_loc4:
		advance(run, read_fixed(&run->code, 4));
		return;
	case DW_CFA_remember_state:
		save_state(run);
		return;
	case DW_CFA_restore_state:
		restore_state(run);
		return;
	case CFA_GNU_ARGS_SIZE:
		read_uleb(&run->code);
		return;
	default:
		run->failed = true;
	}
}

static void step(struct run *run)
{
	uint8_t op = read_fixed(&run->code, 1), low = op & 0x3f;
	switch (op & 0xc0) {
	case DW_CFA_advance_loc:
		advance(run, low);
		return;
	case DW_CFA_offset:
		set_rule(run, low, RULE_AT_CFA, scaled(run, read_uleb(&run->code)));
		return;
	case DW_CFA_restore:
		restore(run, low);
		return;
	}
	if (!step_cfa(run, op) && !step_rule(run, op))
		step_other(run, op);
}

static bool execute(struct run *run, const uint8_t *code, const uint8_t *end)
{
	run->code = (struct reader){.at = code, .end = end};
	while (run->code.at < run->code.end && !run->passed && !run->failed && !run->code.failed)
		step(run);
	return !run->failed && !run->code.failed;
}

static bool fits(const struct state *state)
{
	size_t total = state->cfa_kind == CFA_EXPRESSION ? state->len : 0;
	if (state->cfa_register >= NREGS || state->cfa_value < INT32_MIN || state->cfa_value > INT32_MAX)
		return false;
	for (size_t i = 0; i < NREGS; i++) {
		const struct rule *rule = &state->rules[i];
		total += rule->len;
		if (rule->value < INT32_MIN || rule->value > INT32_MAX ||
		        (rule->kind == RULE_REGISTER && (uint64_t)rule->value >= NREGS))
			return false;
	}
	return total <= UINT16_MAX;
}

static uint8_t *keep_expression(uint8_t *to, const uint8_t *code, size_t len)
{
	memcpy(to, code, len);
	return to + len;
}

static int compact(const struct fde *fde, const struct state *state, struct arena *arena, const struct row **ret)
{
	size_t nrules = 0, bytes = state->cfa_kind == CFA_EXPRESSION ? state->len : 0;
	if (!fits(state) || fde->cie.return_register >= NREGS)
		return -EINVAL;
	for (size_t i = 0; i < NREGS; i++) {
		nrules += state->rules[i].kind != RULE_NONE;
		bytes += state->rules[i].len;
	}
	struct row *row = arena_alloc(arena, sizeof(*row) + nrules * sizeof(*row->rules) + bytes);
	if (!row)
		return -ENOMEM;
	uint8_t *start = (uint8_t *)&row->rules[nrules], *at = start;
	row->cfa_kind = state->cfa_kind;
	row->cfa_register = state->cfa_register;
	row->cfa_value = state->cfa_value;
	row->signal = fde->cie.signal;
	row->return_register = fde->cie.return_register;
	row->expressions = start;
	if (row->cfa_kind == CFA_EXPRESSION) {
		row->cfa_value = 0;
		row->expression_len = state->len;
		at = keep_expression(at, state->expression, state->len);
	}
	for (size_t i = 0; i < NREGS; i++) {
		const struct rule *rule = &state->rules[i];
		if (rule->kind == RULE_NONE)
			continue;
		row->rules[row->nrules++] = (struct row_rule){.reg = i,
		        .kind = rule->kind,
		        .expression_len = rule->len,
		        .value = rule->expression ? at - start : rule->value};
		if (rule->expression)
			at = keep_expression(at, rule->expression, rule->len);
	}
	*ret = row;
	return 0;
}

int row_make(const struct fde *fde, uint64_t va, struct arena *arena, const struct row **ret)
{
	struct run run;
	struct state initial;
	run.fde = fde;
	run.initial = NULL;
	run.nsaved = 0;
	run.location = 0;
	run.target = UINT64_MAX;
	run.passed = run.failed = false;
	memset(&run.state, 0, sizeof(run.state));
	if (!execute(&run, fde->cie.code, fde->cie.code_end))
		return -EINVAL;
	initial = run.state;
	run.initial = &initial;
	run.location = fde->start;
	run.target = va;
	if (!execute(&run, fde->code, fde->code_end))
		return -EINVAL;
	return compact(fde, &run.state, arena, ret);
}

static int evaluate(const struct row *row, int32_t at, size_t len, const struct regs *regs, struct memory *memory,
        const uint64_t *initial, uint64_t *ret)
{
	return expression_evaluate(row->expressions + at, len, regs, memory, initial, ret);
}

static int find_cfa(const struct row *row, const struct regs *regs, struct memory *memory, uint64_t *ret)
{
	if (row->cfa_kind == CFA_EXPRESSION)
		return evaluate(row, row->cfa_value, row->expression_len, regs, memory, NULL, ret);
	if (row->cfa_kind != CFA_REGISTER || !regs_known(regs, row->cfa_register))
		return -EINVAL;
	*ret = regs->r[row->cfa_register] + (int64_t)row->cfa_value;
	return 0;
}

/* Compilers do not say that an epilogue has restored a register: its rule still leads to where it was saved, below the
 * stack pointer by now, where the copy has nothing and the thread something else. The register itself has the value. */
static bool is_popped(const struct row_rule *rule, const struct regs *regs, uint64_t cfa)
{
	return rule->kind == RULE_AT_CFA && cfa + (uint64_t)rule->value < regs->r[REG_SP] &&
	       regs_known(regs, rule->reg) && regs_known(regs, REG_SP);
}

/* The caller's value of one register: 0, -EFAULT, -EINVAL. */
static int restored(const struct row *row, const struct row_rule *rule, const struct regs *regs, struct memory *memory,
        uint64_t cfa, uint64_t *ret)
{
	uint64_t at;
	int r;
	switch (rule->kind) {
	case RULE_AT_CFA:
		return memory_read(memory, cfa + (int64_t)rule->value, ret, sizeof(*ret)) ? -EFAULT : 0;
	case RULE_IS_CFA:
		*ret = cfa + (int64_t)rule->value;
		return 0;
	case RULE_REGISTER:
	case RULE_SAME: {
		unsigned from = rule->kind == RULE_SAME ? rule->reg : (unsigned)rule->value;
		*ret = regs->r[from];
		return regs_known(regs, from) ? 0 : -EINVAL;
	}
	case RULE_AT_EXPRESSION:
		r = evaluate(row, rule->value, rule->expression_len, regs, memory, &cfa, &at);
		if (r)
			return r;
		return memory_read(memory, at, ret, sizeof(*ret)) ? -EFAULT : 0;
	case RULE_IS_EXPRESSION:
		return evaluate(row, rule->value, rule->expression_len, regs, memory, &cfa, ret);
	default:
		return -EINVAL;
	}
}

/* arm64 signs return addresses; user addresses there have 48 bits, and the bits above hold the signature. */
static uint64_t plain_pc(uint64_t pc)
{
#if defined(__aarch64__)
	return pc & 0xffffffffffffULL;
#else
	return pc;
#endif
}

enum row_result row_apply(const struct row *row, struct memory *memory, struct regs *regs)
{
	uint64_t cfa;
	int r = find_cfa(row, regs, memory, &cfa), pc_error = 0;
	struct regs caller = *regs;
	bool root = false;
	if (!row->signal)
		caller.valid &= ~CALL_CLOBBERS;
	regs_forget(&caller, REG_PC);
	if (!r)
		regs_set(&caller, REG_SP, cfa);
	for (size_t i = 0; i < row->nrules; i++) {
		const struct row_rule *rule = &row->rules[i];
		uint64_t value = 0;
		bool returns = rule->reg == row->return_register;
		if (!r && !returns && is_popped(rule, regs, cfa))
			continue;
		if (returns && rule->kind == RULE_UNDEFINED)
			root = true;
		/* Without a CFA nothing but "there is no caller" can be said. */
		int failed = r ? r : restored(row, rule, regs, memory, cfa, &value);
		if (failed)
			regs_forget(&caller, rule->reg);
		else
			regs_set(&caller, rule->reg, value);
		if (returns)
			pc_error = failed;
	}
	if (root)
		return ROW_ROOT;
	if (r || pc_error)
		return (r ? r : pc_error) == -EFAULT ? ROW_UNREADABLE : ROW_FAILED;
	if (!regs_known(&caller, row->return_register))
		return ROW_FAILED;
	regs_set(&caller, REG_PC, plain_pc(caller.r[row->return_register]));
	*regs = caller;
	return ROW_OK;
}
