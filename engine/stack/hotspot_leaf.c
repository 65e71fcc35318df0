/* The innermost frame of a thread that was interrupted between two instructions (a timer, a page fault) rather than in
 * a call.
 *
 * The frame size of compiled code holds from the end of its prologue to the start of its epilogue. Outside of that, the
 * return address is one or two words away from the stack pointer. Which of it applies is told by the instructions
 * around the pc:
 *
 *     entry:  mov %eax, -0x14000(%rsp)      return address at (%rsp): up to and with the push
 *             push %rbp
 *             sub $N, %rsp                  … at 8(%rsp): right after the push
 *             …                             the frame is complete
 *             add $N, %rsp
 *             pop %rbp                      … at 8(%rsp)
 *             cmp 0x…(%r15), %rsp; ja       … at (%rsp): safepoint poll, and the return
 *             ret
 *
 * Frames below the innermost are always in a call, where the frame is complete. */
#include "engine/stack/hotspot.h"

#include <string.h>

#if defined(__x86_64__)
enum {
	BEFORE = 8, /* bytes of code looked at before the pc … */
	AFTER = 8,  /* … and from it */
	PUSH_RBP = 0x55,
	POP_RBP = 0x5d,
	RET = 0xc3,
};

/* cmp N(%r15), %rsp: compiled code polls for a safepoint before it returns, its frame gone already (JDK 16 and later).
 * The jump after it, and test %eax, (%r10) or N(%rip) of older JDKs, follow a pop %rbp likewise. */
static bool is_return_poll(const uint8_t *pc)
{
	return pc[0] == 0x49 && pc[1] == 0x3b && pc[2] == 0xa7;
}

static bool after_pop(const uint8_t *pc)
{
	static const uint8_t jump_above[] = {0x0f, 0x87};
	bool polled = is_return_poll(pc - 7) && !memcmp(pc, jump_above, sizeof(jump_above));
	return pc[0] == RET || pc[-1] == POP_RBP || is_return_poll(pc) || polled;
}

/* How many words lie on top of the return address: 0, 1 (the caller's rbp), or -1: the frame is complete. */
static int words_above_return(const uint8_t *pc, uint64_t offset, const struct hs_blob *blob)
{
	bool prologue = blob->frame_complete > 0 && offset < (uint64_t)blob->frame_complete;
	if (prologue)
		return offset > 0 && pc[-1] == PUSH_RBP ? 1 : 0;
	if (pc[0] == POP_RBP && (pc[1] == RET || is_return_poll(pc + 1)))
		return 1;
	return after_pop(pc) ? 0 : -1;
}

bool hs_leaf_step(struct walk *walk, const struct hs_blob *blob)
{
	uint8_t code[BEFORE + AFTER];
	struct regs *regs = &walk->regs;
	uint64_t pc = regs->r[REG_PC], sp = regs->r[REG_SP], link[2];
	if (pc < blob->code || memory_read(walk->memory, pc - BEFORE, code, sizeof(code)) < 0)
		return false;
	int words = words_above_return(code + BEFORE, pc - blob->code, blob);
	if (blob->frame_words == 0)
		words = 0; /* a stub without a frame */
	if (words < 0 || memory_read(walk->memory, sp, link, sizeof(link)) < 0)
		return false;
	uint64_t fp = words ? link[0] : regs->r[REG_FP];
	uint64_t known = regs->valid >> REG_FP & 1;
	regs->valid = 0;
	regs_set(regs, REG_PC, link[words]);
	regs_set(regs, REG_SP, sp + 8 * (uint64_t)(words + 1));
	if (words || known)
		regs_set(regs, REG_FP, fp);
	return true;
}
#else
bool hs_leaf_step(struct walk *walk, const struct hs_blob *blob)
{
	return false;
}
#endif
