/* A language runtime inside a traced process: who steps through its code and names its frames.
 *
 * unwind.c asks for each program counter: does a runtime of this process claim it? If so the runtime appends one or
 * more frames (inlined methods first, innermost first) and moves the registers to the caller's physical frame. */
#ifndef RILLE_STACK_RUNTIME_H
#define RILLE_STACK_RUNTIME_H

#include "engine/proc/proc.h"
#include "engine/stack/frame.h"
#include "engine/stack/memory.h"
#include "engine/stack/module.h"
#include "engine/stack/regs.h"

struct intern; /* engine/stack/intern.h: strings that live as long as the resolver */

/* What a step works on. Frames are appended with frames_add() (unwind.c). */
struct walk {
	struct process *process;
	struct memory *memory;
	struct intern *names;
	struct regs regs;
	bool top; /* the first physical frame: pc is exact, not a return address */
	/* JavaFrameAnchor sp, pc, fp of the next Java frame that was left for native code; NULL or zeros = none. At first as
	 * captured; HotSpot moves it on as it comes to frames that were called from such code. */
	const uint64_t *anchor;
	uint32_t tid;
	uint64_t nsecs; /* when the event was, CLOCK_MONOTONIC */
	struct stack *stack;
	size_t depth;    /* most frames */
	bool signatures; /* frames carry the signatures of methods */
};

/* A zeroed frame at the end of the stack, or NULL (depth reached or out of memory: stop with what is there). */
struct frame *walk_add(struct walk *walk);

enum runtime_result {
	RUNTIME_STEPPED,  /* frames added (or a marker), registers are the caller's */
	RUNTIME_NOT_MINE, /* try the next runtime, then CFI */
	RUNTIME_FAILED, /* mine, but the tables make no sense: the driver tries anchor, frame pointer, scan, else stops
	                 */
	RUNTIME_NAMED,  /* mine, and its frame is added; the way to the caller is not known: the driver's fallbacks */
	RUNTIME_GONE,   /* mine, but the process has exited and nothing was cached */
};

struct runtime {
	const char *name; /* "hotspot" */
	/* Looks for the runtime in the process's mappings. Returns its state, NULL if it is not there, or sets
	 * *ret_retry: it is there but still starting, ask again at a later event (back-off is the caller's). */
	void *(*attach)(struct process *process, struct memory *memory, struct intern *names, bool *ret_retry);
	void (*detach)(void *state);
	/* Cheap: may this pc be mine? `mapping` may be NULL, `module` too. */
	bool (*claims)(void *state, uint64_t pc, const struct mapping *mapping, struct module *module);
	enum runtime_result (*step)(void *state, struct walk *walk);
	/* After the last frame: re-reads what cached facts depend on (in one system call). False: the caches were stale
	 * and have been dropped, walk again. May be NULL. */
	bool (*validate)(void *state, struct walk *walk);
	/* Threads whose anchors the kernel side should capture: calls set(tid, address of the anchor) for each. May be
	 * NULL. */
	void (*threads)(
	        void *state, struct memory *memory, void (*set)(void *user, uint32_t tid, uint64_t anchor), void *user);
};

extern const struct runtime runtime_hotspot, runtime_v8, runtime_jitdump, runtime_perfmap;

#endif
