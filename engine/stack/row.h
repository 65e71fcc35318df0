/* One row of call frame information: how to get the caller's registers at one address. */
#ifndef RILLE_STACK_ROW_H
#define RILLE_STACK_ROW_H

#include "engine/stack/arena.h"
#include "engine/stack/fde.h"
#include "engine/stack/memory.h"
#include "engine/stack/regs.h"

enum cfa_kind { CFA_NONE, CFA_REGISTER, CFA_EXPRESSION };
enum rule_kind {
	RULE_NONE,          /* nothing said: as the ABI has it */
	RULE_SAME,          /* not changed */
	RULE_UNDEFINED,     /* lost; of the return address: there is no caller */
	RULE_AT_CFA,        /* saved at CFA + value */
	RULE_IS_CFA,        /* is CFA + value */
	RULE_REGISTER,      /* in register `value` */
	RULE_AT_EXPRESSION, /* saved where the expression says */
	RULE_IS_EXPRESSION, /* is what the expression says */
};

struct row_rule {
	uint8_t reg, kind;
	uint16_t expression_len;
	int32_t value; /* for expressions: where in the row's expressions */
};

/* Allocated with its rules and the expressions' bytes behind it. Registers without a rule are RULE_NONE. */
struct row {
	uint8_t cfa_kind, cfa_register;
	bool signal;
	uint8_t return_register, nrules;
	uint16_t expression_len; /* of the CFA's */
	int32_t cfa_value;       /* offset, or where in the expressions */
	const uint8_t *expressions;
	struct row_rule rules[];
};

/* The row at va, made in the arena. 0, -EINVAL (it makes no sense), -ENOMEM. */
int row_make(const struct fde *fde, uint64_t va, struct arena *arena, const struct row **ret);

enum row_result { ROW_OK, ROW_ROOT, ROW_FAILED, ROW_UNREADABLE };
/* Moves regs to the caller. ROW_FAILED: a register that is needed is not known. regs are changed on ROW_OK only. */
enum row_result row_apply(const struct row *row, struct memory *memory, struct regs *regs);

#endif
