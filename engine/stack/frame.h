/* A stack as a user sees it: frames with names, and why it ends. */
#ifndef RILLE_STACK_FRAME_H
#define RILLE_STACK_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_kind {
	FRAME_KERNEL,
	FRAME_NATIVE,
	FRAME_JAVA,
	FRAME_JS,
	FRAME_PYTHON,
	FRAME_LUA,
	FRAME_STUB,
	FRAME_MARKER,
	FRAME_UNKNOWN
};
enum frame_tier {
	TIER_NONE,
	TIER_INTERP,
	TIER_C1,
	TIER_C2,
	TIER_NATIVE /* Java native method */,
	TIER_BASELINE,
	TIER_MAGLEV,
	TIER_TURBOFAN
};
/* How the frame was found, where it was not by plain CFI or the runtime's own tables. */
enum frame_how { HOW_CFI, HOW_FP, HOW_ANCHOR, HOW_SCAN, HOW_LIVE, HOW_DEOPT, HOW_APPROX };

/* All strings are interned or owned by caches that live as long as the resolver; none is owned by the frame. NULL =
 * none. Names are as found in the target: hostile. Sinks clean them (text_add_clean, text_add_json). */
struct frame {
	uint64_t ip;
	uint8_t kind, tier, how;
	bool inlined;     /* into the next frame: no return address of its own */
	const char *name; /* "leaf", "sun.nio.fs.LinuxWatchService.<init>"; NULL: show module+offset, or the address */
	const char *signature;
	const char *module;   /* path of the mapped file; "[vdso]"; NULL for JIT code and the kernel's core */
	const char *build_id; /* hexadecimal */
	uint64_t offset;  /* in the named symbol if name, else in the module (as a virtual address of the ELF file) */
	const char *file; /* source file */
	int32_t line;     /* 0 = not known; -2 = Java native method */
};

/* Why a stack ended. Everything but STACK_ROOT makes it incomplete, and its name is printed. */
enum stack_end {
	STACK_ROOT,         /* reached the thread's start */
	STACK_TRUNCATED,    /* --depth */
	STACK_NO_CFI,       /* no unwind information and no fallback applied */
	STACK_BAD_PC,       /* a return address outside executable memory */
	STACK_SP_BACKWARDS, /* the stack pointer did not grow */
	STACK_SHORT_COPY,   /* the copied part ended and the live stack could not be read */
	STACK_UNREADABLE,   /* memory the unwinder needed could not be read */
	STACK_PROCESS_GONE, /* what names the frames was only in the memory of a process that has exited */
	STACK_BUDGET,       /* reads or steps used up */
	STACK_RUNTIME,      /* a runtime's tables made no sense */
	STACK_COMPAT,       /* 32-bit task */
	STACK_NO_USER,      /* kernel thread */
	STACK_NO_MEMORY,    /* ours */
};
enum { STACK_ENDS = STACK_NO_MEMORY + 1 };
const char *stack_end_name(enum stack_end end); /* "root", "no-cfi", … */
const char *frame_kind_name(enum frame_kind kind);
enum frame_kind frame_kind_find(const char *name); /* FRAME_UNKNOWN for other names and NULL */
const char *frame_tier_name(enum frame_tier tier); /* NULL for TIER_NONE */
const char *frame_how_name(enum frame_how how);    /* NULL for HOW_CFI */

struct stack {
	struct frame *frames; /* innermost first */
	size_t nframes, frames_cap;
	enum stack_end end;
	uint64_t site; /* equal for the same creation point, whatever tier ran it; 0 = empty */
};

#endif
