/* DWARF expressions as call frame information uses them. */
#ifndef RILLE_STACK_EXPRESSION_H
#define RILLE_STACK_EXPRESSION_H

#include "engine/stack/memory.h"
#include "engine/stack/regs.h"

/* Evaluates with `initial` on the stack if it is not NULL. 0; -EFAULT: memory could not be read; -EINVAL: it makes no
 * sense, needs an unknown register, or is not one that CFI may have. */
int expression_evaluate(const uint8_t *code, size_t len, const struct regs *regs, struct memory *memory,
        const uint64_t *initial, uint64_t *ret);

#endif
