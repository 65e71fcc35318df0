/* The walk from one thread's registers to its root. */
#ifndef RILLE_STACK_UNWIND_H
#define RILLE_STACK_UNWIND_H

#include "engine/stack/runtimes.h"

struct unwind {
	struct walk walk;              /* filled by the caller */
	struct runtimes *runtimes;     /* NULL: none */
	uint64_t copy_start, copy_end; /* of the stack, as it was in the call */
	uint64_t stamp;                /* the event's number */
	bool lines;
	const char *debug_root;

	/* The walk's own. */
	uint64_t previous_sp;
	unsigned equal_sps;
	bool jumped;        /* the stack pointer may go anywhere, once */
	bool live;          /* what was found last was read from the stack as it is now */
	enum frame_how how; /* of the next frame */
	bool generated;     /* there was code that is in no file, and that no runtime claimed */
};

/* Fills walk.stack: frames, end and site. */
void unwind_stack(struct unwind *unwind);

#endif
