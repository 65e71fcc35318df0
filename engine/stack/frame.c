/* The words for what a frame is and why a stack ended; they are part of the output formats. */
#include "engine/stack/frame.h"

#include "engine/stack/resolve.h"

#include <stdlib.h>
#include <string.h>

const char *stack_end_name(enum stack_end end)
{
	static const char *const names[] = {
	        [STACK_ROOT] = "root",
	        [STACK_TRUNCATED] = "truncated",
	        [STACK_NO_CFI] = "no-cfi",
	        [STACK_BAD_PC] = "bad-pc",
	        [STACK_SP_BACKWARDS] = "sp-backwards",
	        [STACK_SHORT_COPY] = "short-copy",
	        [STACK_UNREADABLE] = "unreadable",
	        [STACK_PROCESS_GONE] = "process-gone",
	        [STACK_BUDGET] = "budget",
	        [STACK_RUNTIME] = "runtime",
	        [STACK_COMPAT] = "32-bit",
	        [STACK_NO_USER] = "no-user",
	        [STACK_NO_MEMORY] = "no-memory",
	};
	return (size_t)end < sizeof(names) / sizeof(*names) ? names[end] : "unknown";
}

const char *frame_kind_name(enum frame_kind kind)
{
	static const char *const names[] = {
	        [FRAME_KERNEL] = "kernel",
	        [FRAME_NATIVE] = "native",
	        [FRAME_JAVA] = "java",
	        [FRAME_JS] = "js",
	        [FRAME_PYTHON] = "python",
	        [FRAME_LUA] = "lua",
	        [FRAME_STUB] = "stub",
	        [FRAME_MARKER] = "marker",
	        [FRAME_UNKNOWN] = "unknown",
	};
	return (size_t)kind < sizeof(names) / sizeof(*names) ? names[kind] : "unknown";
}

enum frame_kind frame_kind_find(const char *name)
{
	int kind = name ? FRAME_KERNEL : FRAME_UNKNOWN;
	while (kind < FRAME_UNKNOWN && strcmp(name, frame_kind_name((enum frame_kind)kind)) != 0)
		kind++;
	return (enum frame_kind)kind;
}

const char *frame_tier_name(enum frame_tier tier)
{
	static const char *const names[] = {
	        [TIER_INTERP] = "interp",
	        [TIER_C1] = "c1",
	        [TIER_C2] = "c2",
	        [TIER_NATIVE] = "native",
	        [TIER_BASELINE] = "baseline",
	        [TIER_MAGLEV] = "maglev",
	        [TIER_TURBOFAN] = "turbofan",
	};
	return (size_t)tier < sizeof(names) / sizeof(*names) ? names[tier] : NULL;
}

const char *frame_how_name(enum frame_how how)
{
	static const char *const names[] = {
	        [HOW_FP] = "fp",
	        [HOW_ANCHOR] = "anchor",
	        [HOW_SCAN] = "scan",
	        [HOW_LIVE] = "live",
	        [HOW_DEOPT] = "deopt",
	        [HOW_APPROX] = "approx",
	};
	return (size_t)how < sizeof(names) / sizeof(*names) ? names[how] : NULL;
}

void stack_fini(struct stack *stack)
{
	free(stack->frames);
	memset(stack, 0, sizeof(*stack));
}
