/* Frames of HotSpot's interpreter.
 *
 * The interpreter keeps a frame pointer, and below it, at fixed slots, all that is needed: the method, the bytecode it
 * is at, and the stack pointer that its caller had (adapters and the locals move the real one).
 *
 *     fp + 1   return address                 fp - 3   Method*
 *     fp       caller's frame pointer         fp - 8   pointer to the bytecode (arm64: - 9; before JDK 9: - 7)
 *     fp - 1   caller's stack pointer
 *
 * A thread in a call has all of them. One that was interrupted may be anywhere in the code that builds this frame; what
 * is not on the stack yet is in a register then, and the frame is marked.
 *
 * Slots: src/hotspot/cpu/{x86,aarch64}/frame_*.hpp of OpenJDK; registers: templateInterpreterGenerator_*.cpp. */
#include "engine/stack/hotspot.h"

#include "engine/stack/intern.h"

enum { MAX_SENDER_DISTANCE = 0x100000 };

/* In words from the frame pointer; SLOT_BCP_8: before JDK 9. */
enum {
	SLOT_CALLER_FP = 0,
	SLOT_RETURN = 1,
	SLOT_SENDER_SP = -1,
	SLOT_METHOD = -3,
#if defined(__aarch64__)
	SLOT_BCP = -9,
	SLOT_BCP_8 = -7,
	SLOT_LOWEST = -9,
#else
	SLOT_BCP = -8,
	SLOT_BCP_8 = -7,
	SLOT_LOWEST = -8,
#endif
};

/* A pointer to a bytecode as an index, or -1. A collector may have replaced the pointer by the index. */
static int32_t bci_of(const struct hs_method *method, uint64_t bcp)
{
	if (bcp < method->code_size)
		return (int32_t)bcp;
	if (bcp < method->code || bcp - method->code >= method->code_size)
		return -1;
	return (int32_t)(bcp - method->code);
}

/* The bytecode index, or -1. An interpreter that is in a call keeps it in the frame; one that is interrupted has it in
 * a register, and where it has not, it may be building its frame or leaving it: the frame that is there may be its
 * caller's. */
static int32_t interpreter_bci(
        const struct walk *walk, const struct hs_method *method, uint64_t slot, struct hs_named *named)
{
#if defined(__x86_64__)
	if (walk->top) {
		int32_t bci = regs_known(&walk->regs, X86_R13) ? bci_of(method, walk->regs.r[X86_R13]) : -1;
		if (bci >= 0)
			return bci;
		named->how = HOW_APPROX;
	}
#endif
	return bci_of(method, slot);
}

static void name_interpreted(struct hs_named *named, const struct hs_method *method)
{
	*named = (struct hs_named){.kind = FRAME_JAVA,
	        .tier = method->native ? TIER_NATIVE : TIER_INTERP,
	        .name = method->name,
	        .signature = method->signature,
	        .file = method->file,
	        .line = method->native ? -2 : 0};
}

#if defined(__x86_64__)
/* At its entry the interpreter takes the return address off the stack and keeps it in rax, and its caller's stack
 * pointer in r13, until it has made room for the locals. */
static bool find_entry_caller(struct hotspot *hs, const struct walk *walk, uint64_t *ret_pc, uint64_t *ret_sp)
{
	uint64_t sp = walk->regs.r[REG_SP];
	*ret_pc = walk->regs.r[X86_RAX];
	*ret_sp = walk->regs.r[X86_R13];
	return *ret_sp >= sp && *ret_sp - sp <= MAX_SENDER_DISTANCE && *ret_sp % 8 == 0 &&
	       hs_code_contains(&hs->code, *ret_pc) && hs_can_return_to(hs, walk, *ret_pc);
}
#else
static bool find_entry_caller(struct hotspot *hs, const struct walk *walk, uint64_t *ret_pc, uint64_t *ret_sp)
{
	return false;
}
#endif

static void add_unfinished(struct hotspot *hs, struct walk *walk, uint64_t method_address)
{
	struct hs_named named = {.kind = FRAME_STUB};
	bool fresh;
	struct hs_method *method = hs_method_get(hs->methods, walk->memory, method_address, &fresh);
	if (method) {
		hs_cache_rely_on_method(hs->cache, &hs->layout, method);
		name_interpreted(&named, method);
		if (!method->native)
			named.line = hs_method_line(&hs->layout, method, 0);
	} else {
		named.name = intern_text(hs->names, "Interpreter");
	}
	named.how = HOW_APPROX;
	hs_add_frame(walk, walk->regs.r[REG_PC], &named);
}

/* Interrupted before its frame is built. The method is in a register. */
static enum runtime_result step_interpreter_entry(struct hotspot *hs, struct walk *walk)
{
	bool failed = false, known = regs_known(&walk->regs, REG_FP);
	uint64_t caller, sp, method = 0;
	if (!walk->top)
		return RUNTIME_FAILED;
	if (!find_entry_caller(hs, walk, &caller, &sp)) {
		caller = memory_u64(walk->memory, walk->regs.r[REG_SP], &failed);
		sp = walk->regs.r[REG_SP] + 8;
		if (failed || !hs_can_return_to(hs, walk, caller))
			return RUNTIME_FAILED;
	}
#if defined(__x86_64__)
	method = walk->regs.r[X86_RBX];
#endif
	add_unfinished(hs, walk, method);
	hs_set_caller(walk, caller, sp, walk->regs.r[REG_FP]);
	if (!known)
		regs_forget(&walk->regs, REG_FP);
	return RUNTIME_STEPPED;
}

/* Interrupted while its slots are pushed: the frame pointer is there already, and what is not yet on the stack is in a
 * register. What lies below the stack pointer means nothing. */
static enum runtime_result step_interpreter_unfinished(struct hotspot *hs, struct walk *walk)
{
#if defined(__x86_64__)
	const uint64_t *r = walk->regs.r;
	uint64_t fp = r[REG_FP], sp = r[REG_SP];
	bool failed = false;
	uint64_t caller_fp = memory_u64(walk->memory, fp, &failed);
	uint64_t caller = memory_u64(walk->memory, fp + 8, &failed);
	uint64_t sender = fp - 8 >= sp ? memory_u64(walk->memory, fp - 8, &failed) : r[X86_R13];
	uint64_t method = fp - 24 >= sp ? memory_u64(walk->memory, fp - 24, &failed) : r[X86_RBX];
	if (failed || sender <= fp || sender - fp > MAX_SENDER_DISTANCE)
		return RUNTIME_FAILED;
	add_unfinished(hs, walk, method);
	hs_set_caller(walk, caller, sender, caller_fp);
	return RUNTIME_STEPPED;
#else
	return RUNTIME_FAILED;
#endif
}

enum runtime_result hs_step_interpreter(struct hotspot *hs, struct walk *walk)
{
	uint64_t slots[2 - SLOT_LOWEST], *fp = &slots[-SLOT_LOWEST];
	struct hs_named named;
	bool fresh;
	if (!hs_frame_pointer_ok(walk, 8))
		return step_interpreter_entry(hs, walk);
	if (walk->top && walk->regs.r[REG_FP] - walk->regs.r[REG_SP] < 8 * -SLOT_LOWEST)
		return step_interpreter_unfinished(hs, walk);
	uint64_t address = walk->regs.r[REG_FP] + (uint64_t)(8LL * SLOT_LOWEST);
	if (memory_read(walk->memory, address, slots, sizeof(slots)) < 0)
		return hs_failure(hs, walk);
	struct hs_method *method = hs_method_get(hs->methods, walk->memory, fp[SLOT_METHOD], &fresh);
	if (!method)
		return walk->top ? step_interpreter_entry(hs, walk) : hs_failure(hs, walk);
	hs_cache_rely_on_method(hs->cache, &hs->layout, method);

	name_interpreted(&named, method);
	if (!method->native) {
		uint64_t slot = fp[hs->layout.major >= 9 ? SLOT_BCP : SLOT_BCP_8];
		int32_t bci = interpreter_bci(walk, method, slot, &named);
		named.line = bci < 0 ? 0 : hs_method_line(&hs->layout, method, bci);
	}
	uint64_t sp = walk->regs.r[REG_SP], sender = fp[SLOT_SENDER_SP];
	if (sender <= sp || sender - sp > MAX_SENDER_DISTANCE)
		return RUNTIME_FAILED;
	hs_add_frame(walk, walk->regs.r[REG_PC], &named);
	hs_set_caller(walk, fp[SLOT_RETURN], sender, fp[SLOT_CALLER_FP]);
	return RUNTIME_STEPPED;
}
