/* Stepping through HotSpot's frames: from the registers in one to the registers in its caller.
 *
 *     compiled method, sized stub   return address and caller's rbp are the top two words of a frame of known size
 *     interpreter                   a chain of rbp; Method* and bytecode pointer are at fixed slots. The caller's stack
 *                                   pointer is saved (sender_sp), as adapters extend the caller's frame by the
 *                                   arguments they move
 *     call_stub, upcall stubs       an ordinary rbp frame; call_stub also keeps what C++ expects preserved
 *     continuation stubs            the bottom of a mounted virtual thread. Its older frames are in the heap, moved by
 *                                   the collector, and no call leads there: a marker stands for them, and the walk goes
 *                                   on in the carrier
 *     freed code                    nothing is known; if rbp leads to a believable caller, that is taken and marked
 *
 * Java code preserves no register but the stack and frame pointer, so all others are unknown after a step.
 *
 * Stubs: src/hotspot/cpu/{x86,aarch64}/stubGenerator_*.cpp of OpenJDK. */
#include "engine/stack/hotspot.h"

#include "engine/stack/intern.h"

#include <errno.h>

enum {
	MAX_INTERPRETER_FRAME = 0x10000,
	MAX_ENTRY_WORDS = 64, /* of Continuation.enterSpecial's frame */
	ENTRY_SEARCH_WORDS = 16,
	CALL_STUB_SAVED = 5,
	ANCHOR_SLACK = 16, /* the interpreter calls the JVM through a call of its own */
};

#if !defined(__aarch64__)
enum { SLOT_CALL_STUB_SAVED = -7 }; /* rbx, r12 … r15, downwards; in words from the frame pointer */
#endif

static const char freed_code[] = "<freed code>";
static const char frozen_frames[] = "<virtual thread: older frames are in the heap>";

struct frame *hs_add_frame(struct walk *walk, uint64_t ip, const struct hs_named *named)
{
	struct frame *frame = walk_add(walk);
	if (!frame)
		return NULL;
	frame->ip = ip;
	frame->kind = named->kind;
	frame->tier = named->tier;
	frame->inlined = named->inlined;
	frame->name = named->name;
	frame->signature = walk->signatures ? named->signature : NULL;
	frame->file = named->file;
	frame->line = named->line;
	if (named->how != HOW_CFI)
		frame->how = named->how;
	return frame;
}

void hs_add_frames(struct walk *walk, const struct hs_pc *at, enum frame_how how)
{
	for (uint32_t i = 0; i < at->nframes; i++) {
		struct frame *frame = hs_add_frame(walk, walk->regs.r[REG_PC], &at->frames[i]);
		if (!frame)
			return;
		if (how != HOW_CFI)
			frame->how = how;
	}
}

void hs_set_caller(struct walk *walk, uint64_t pc, uint64_t sp, uint64_t fp)
{
	walk->regs.valid = 0;
	regs_set(&walk->regs, REG_PC, pc);
	regs_set(&walk->regs, REG_SP, sp);
	regs_set(&walk->regs, REG_FP, fp);
}

/* Whether the frame pointer can be one of a frame on top of the stack pointer. */
bool hs_frame_pointer_ok(const struct walk *walk, uint64_t slack)
{
	uint64_t fp = walk->regs.r[REG_FP], sp = walk->regs.r[REG_SP];
	return regs_known(&walk->regs, REG_FP) && fp % 8 == 0 && fp + slack >= sp &&
	       fp - sp + slack <= MAX_INTERPRETER_FRAME;
}

/* A failed read means one of two things: a process that is gone, or tables that lead nowhere. */
enum runtime_result hs_failure(const struct hotspot *hs, const struct walk *walk)
{
	bool failed = false;
	if (!memory_alive(walk->memory))
		return RUNTIME_GONE;
	if (memory_exhausted(walk->memory))
		return RUNTIME_FAILED;
	memory_u64(
	        walk->memory, hs->layout.at.code_heaps ? hs->layout.at.code_heaps : hs->layout.at.code_heap, &failed);
	return failed ? RUNTIME_GONE : RUNTIME_FAILED;
}

bool hs_can_return_to(struct hotspot *hs, const struct walk *walk, uint64_t pc)
{
	int error;
	if (hs_code_contains(&hs->code, pc))
		return hs_pc_get(hs, walk->memory, pc, &error);
	const struct mapping *mapping = process_find(walk->process, pc);
	return mapping && mapping->flags & MAPPING_EXEC && !(mapping->flags & MAPPING_ANON);
}

/* The top two words of a frame of `words` words. */
static enum runtime_result step_sized(struct hotspot *hs, struct walk *walk, const struct hs_blob *blob)
{
	uint64_t top[2] = {walk->regs.r[REG_FP], 0};
	uint64_t sp = walk->regs.r[REG_SP] + 8ULL * blob->frame_words;
	size_t words = blob->frame_words >= 2 ? 2 : 1;
	if (blob->frame_words == 0)
		return RUNTIME_FAILED;
	if (memory_read(walk->memory, sp - 8 * words, &top[2 - words], 8 * words) < 0)
		return hs_failure(hs, walk);
	hs_set_caller(walk, top[1], sp, top[0]);
	return RUNTIME_STEPPED;
}

/* A frame that was deoptimised while its callee ran: where it was is kept in the frame itself. */
static enum runtime_result step_deoptimised(struct hotspot *hs, struct walk *walk, const struct hs_pc *at)
{
	struct hs_blob blob = at->blob;
	bool failed = false;
	int error;
	uint64_t pc = memory_u64(walk->memory, walk->regs.r[REG_SP] + (uint64_t)at->orig_pc_offset, &failed);
	if (failed)
		return hs_failure(hs, walk);
	if (pc < blob.start || pc - blob.start >= blob.size)
		return RUNTIME_FAILED;
	const struct hs_pc *original = hs_pc_get(hs, walk->memory, pc, &error);
	if (!original)
		return hs_failure(hs, walk);
	if (original->blob.start != blob.start || original->deoptimised)
		return RUNTIME_FAILED;
	hs_add_frames(walk, original, HOW_DEOPT);
	return step_sized(hs, walk, &blob);
}

static enum runtime_result step_compiled(struct hotspot *hs, struct walk *walk, const struct hs_pc *at)
{
	if (at->deoptimised)
		return step_deoptimised(hs, walk, at);
	hs_add_frames(walk, at, HOW_CFI);
	if (walk->top && hs_leaf_step(walk, &at->blob))
		return RUNTIME_STEPPED;
	return at->blob.frame_words < 2 ? RUNTIME_FAILED : step_sized(hs, walk, &at->blob);
}

/* Caller's frame pointer, return address, and where the caller's stack begins. The stub that compiled methods enter
 * through while the collector needs to see them has a cookie of all ones between the two. */
static bool read_frame_link(struct walk *walk, uint64_t *ret_fp, uint64_t *ret_pc, uint64_t *ret_sp)
{
	static const uint64_t cookie = UINT64_MAX;
	uint64_t link[3], fp = walk->regs.r[REG_FP];
	if (memory_read(walk->memory, fp, link, sizeof(link)) < 0)
		return false;
	unsigned at = link[1] == cookie ? 2 : 1;
	*ret_fp = link[0];
	*ret_pc = link[at];
	*ret_sp = fp + 8 * (at + 1);
	return true;
}

/* call_stub preserves what C++ expects to be preserved, so unwinding can go on below it with these registers. */
static void restore_call_stub(struct walk *walk, uint64_t fp)
{
#if defined(__x86_64__)
	static const uint8_t saved[CALL_STUB_SAVED] = {X86_RBX, X86_R12, X86_R13, X86_R14, X86_R15};
	uint64_t words[CALL_STUB_SAVED];
	uint64_t lowest = fp + (uint64_t)(8LL * (SLOT_CALL_STUB_SAVED - (CALL_STUB_SAVED - 1)));
	if (memory_read(walk->memory, lowest, words, sizeof(words)) < 0)
		return;
	for (int i = 0; i < CALL_STUB_SAVED; i++)
		regs_set(&walk->regs, saved[i], words[CALL_STUB_SAVED - 1 - i]);
#endif
}

/* Java called from native code that Java called: while the inner Java ran, JavaCalls kept the outer Java frame's anchor
 * in a JavaCallWrapper on the stack. */
static void take_outer_anchor(struct hotspot *hs, struct walk *walk, uint64_t fp)
{
	const struct hs_offsets *off = &hs->layout.off;
	bool failed = false;
	if (hs->layout.call_wrapper_slot == 0 || off->wrapper_anchor == HS_ABSENT || off->anchor_sp == HS_ABSENT ||
	        off->anchor_pc == HS_ABSENT || off->anchor_fp == HS_ABSENT)
		return;
	uint64_t wrapper = memory_u64(walk->memory, fp + (uint64_t)(8LL * hs->layout.call_wrapper_slot), &failed);
	uint64_t anchor = wrapper + (uint32_t)off->wrapper_anchor;
	hs->anchor[0] = memory_u64(walk->memory, anchor + (uint32_t)off->anchor_sp, &failed);
	hs->anchor[1] = memory_u64(walk->memory, anchor + (uint32_t)off->anchor_pc, &failed);
	hs->anchor[2] = memory_u64(walk->memory, anchor + (uint32_t)off->anchor_fp, &failed);
	if (!failed && hs->anchor[0] > fp)
		walk->anchor = hs->anchor;
}

static enum runtime_result step_framed(struct hotspot *hs, struct walk *walk, const struct hs_pc *at)
{
	uint64_t fp = walk->regs.r[REG_FP], caller_fp, pc, sp;
	bool call_stub = walk->regs.r[REG_PC] == hs->code.call_stub_return;
	if (!hs_frame_pointer_ok(walk, 0))
		return RUNTIME_FAILED;
	if (!read_frame_link(walk, &caller_fp, &pc, &sp))
		return hs_failure(hs, walk);
	hs_add_frames(walk, at, HOW_CFI);
	hs_set_caller(walk, pc, sp, caller_fp);
	if (call_stub) {
		restore_call_stub(walk, fp);
		take_outer_anchor(hs, walk, fp);
	}
	return RUNTIME_STEPPED;
}

/* The frame of Continuation.enterSpecial, which called the virtual thread's first mounted frame, lies a few words up:
 * at the first place from where its return address leads into live code. JavaThread::_cont_entry is of no use, as the
 * thread has moved on since the event. */
static bool find_enter_special(struct hotspot *hs, struct walk *walk, uint64_t *ret_sp)
{
	int error;
	uint64_t sp = walk->regs.r[REG_SP];
	const struct hs_pc *enter = hs_pc_get(hs, walk->memory, hs->code.continuation_return, &error);
	if (!enter || enter->blob.frame_words < 2 || enter->blob.frame_words >= MAX_ENTRY_WORDS)
		return false;
	uint64_t words = enter->blob.frame_words; /* the entry may be replaced by those looked up next */
	for (uint64_t k = 0; k < ENTRY_SEARCH_WORDS; k++) {
		bool failed = false;
		uint64_t pc = memory_u64(walk->memory, sp + 8 * (k + words) - 8, &failed);
		if (failed)
			return false;
		if (!hs_code_contains(&hs->code, pc) || !hs_pc_get(hs, walk->memory, pc, &error))
			continue;
		*ret_sp = sp + 8 * k;
		return true;
	}
	return false;
}

static enum runtime_result step_continuation(struct hotspot *hs, struct walk *walk)
{
	struct hs_named named = {.kind = FRAME_MARKER};
	uint64_t sp;
	if (!hs->code.continuation_return || !find_enter_special(hs, walk, &sp))
		return RUNTIME_FAILED;
	named.name = intern_text(hs->names, frozen_frames);
	hs_add_frame(walk, walk->regs.r[REG_PC], &named);
	hs_set_caller(walk, hs->code.continuation_return, sp, 0);
	regs_forget(&walk->regs, REG_FP);
	return RUNTIME_STEPPED;
}

static enum runtime_result step_freed(struct hotspot *hs, struct walk *walk)
{
	struct hs_named named = {.kind = FRAME_UNKNOWN, .how = HOW_FP};
	uint64_t caller_fp, pc, sp;
	if (!hs_frame_pointer_ok(walk, 0) || !read_frame_link(walk, &caller_fp, &pc, &sp) ||
	        !hs_can_return_to(hs, walk, pc))
		return RUNTIME_FAILED;
	named.name = intern_text(hs->names, freed_code);
	hs_add_frame(walk, walk->regs.r[REG_PC], &named);
	hs_set_caller(walk, pc, sp, caller_fp);
	return RUNTIME_STEPPED;
}

static enum runtime_result step_stub(struct hotspot *hs, struct walk *walk, const struct hs_pc *at)
{
	hs_add_frames(walk, at, HOW_CFI);
	if (walk->top && hs_leaf_step(walk, &at->blob))
		return RUNTIME_STEPPED;
	return step_sized(hs, walk, &at->blob);
}

static enum runtime_result step(struct hotspot *hs, struct walk *walk)
{
	int error = 0;
	const struct hs_pc *at = hs_pc_get(hs, walk->memory, walk->regs.r[REG_PC], &error);
	if (!at && error == -ENOENT)
		return step_freed(hs, walk);
	if (!at)
		return hs_failure(hs, walk);
	switch (at->blob.kind) {
	case HS_INTERPRETER:
		return hs_step_interpreter(hs, walk);
	case HS_NMETHOD:
	case HS_NATIVE:
		return step_compiled(hs, walk, at);
	case HS_CONTINUATION:
		return step_continuation(hs, walk);
	case HS_FRAMED:
		return step_framed(hs, walk, at);
	default:
		return step_stub(hs, walk, at);
	}
}

/* Unwinding and the thread's own anchor must lead to the same place, give or take what a call into the JVM pushes. */
static bool anchor_agrees(const struct walk *walk)
{
	uint64_t sp = walk->regs.r[REG_SP];
	if (!walk->anchor || !walk->anchor[0])
		return true;
	return walk->anchor[0] >= sp && walk->anchor[0] - sp <= ANCHOR_SLACK;
}

static void mark_doubtful(struct stack *stack, size_t first)
{
	for (size_t i = first; i < stack->nframes; i++)
		if (stack->frames[i].how == HOW_CFI)
			stack->frames[i].how = HOW_APPROX;
}

/* A thread that was interrupted while a frame was built or left: the return address is one of the words on top. */
static bool leave_unfinished_frame(struct hotspot *hs, struct walk *walk, const struct regs *regs)
{
	uint64_t words[2], sp = regs->r[REG_SP];
	if (memory_read(walk->memory, sp, words, sizeof(words)) < 0)
		return false;
	unsigned n = hs_can_return_to(hs, walk, words[0]) ? 0 : 1;
	if (n == 1 && !hs_can_return_to(hs, walk, words[1]))
		return false;
	hs_set_caller(walk, words[n], sp + 8 * (n + 1), n == 1 ? words[0] : regs->r[REG_FP]);
	if (n == 0 && !regs_known(regs, REG_FP))
		regs_forget(&walk->regs, REG_FP);
	return true;
}

/* The innermost frame of a thread that was interrupted anywhere. The rules hold almost everywhere; where they do not,
 * they lead to what is no code. */
static enum runtime_result step_top(struct hotspot *hs, struct walk *walk, size_t first)
{
	static const struct hs_named unknown = {.kind = FRAME_UNKNOWN};
	struct regs regs = walk->regs;
	enum runtime_result result = step(hs, walk);
	if (result == RUNTIME_GONE || (result == RUNTIME_STEPPED && hs_can_return_to(hs, walk, walk->regs.r[REG_PC])))
		return result;
	if (!leave_unfinished_frame(hs, walk, &regs))
		return result;
	if (walk->stack->nframes == first)
		hs_add_frame(walk, regs.r[REG_PC], &unknown);
	mark_doubtful(walk->stack, first);
	return RUNTIME_STEPPED;
}

enum runtime_result hs_step(struct hotspot *hs, struct walk *walk)
{
	static const struct hs_named unknown = {.kind = FRAME_UNKNOWN};
	size_t first = walk->stack->nframes;
	uint64_t pc = walk->regs.r[REG_PC];
	bool doubtful = !hs->entered && !anchor_agrees(walk);
	hs->entered = true;
	enum runtime_result result = walk->top ? step_top(hs, walk, first) : step(hs, walk);
	if (doubtful)
		mark_doubtful(walk->stack, first);
	if (result != RUNTIME_STEPPED && walk->stack->nframes == first)
		hs_add_frame(walk, pc, &unknown);
	return result;
}
