/* Registers by DWARF number, with a validity bit each: what unwinding a frame could not restore is unknown, never
 * stale. */
#ifndef RILLE_STACK_REGS_H
#define RILLE_STACK_REGS_H

#include "bpf-templates/record.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	X86_RAX,
	X86_RDX,
	X86_RCX,
	X86_RBX,
	X86_RSI,
	X86_RDI,
	X86_RBP,
	X86_RSP,
	X86_R8,
	X86_R9,
	X86_R10,
	X86_R11,
	X86_R12,
	X86_R13,
	X86_R14,
	X86_R15,
	X86_RIP,
	X86_NREGS
};
enum { ARM64_FP = 29, ARM64_LR = 30, ARM64_SP = 31, ARM64_PC = 32, ARM64_NREGS };

#if defined(__aarch64__)
enum { REG_PC = ARM64_PC, REG_SP = ARM64_SP, REG_FP = ARM64_FP, NREGS = ARM64_NREGS };
#else
enum { REG_PC = X86_RIP, REG_SP = X86_RSP, REG_FP = X86_RBP, NREGS = X86_NREGS };
#endif

struct regs {
	uint64_t r[RILLE_NREGS];
	uint64_t valid; /* bit i: r[i] is known */
};

static inline bool regs_known(const struct regs *regs, unsigned i)
{
	return i < RILLE_NREGS && (regs->valid >> i & 1);
}
static inline void regs_set(struct regs *regs, unsigned i, uint64_t value)
{
	regs->r[i] = value;
	regs->valid |= 1ULL << i;
}
static inline void regs_forget(struct regs *regs, unsigned i)
{
	regs->valid &= ~(1ULL << i);
}

#endif
