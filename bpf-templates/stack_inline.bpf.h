/* The few probes of a program copy the stack each with code of their own. */
#define COPY_STACK(rec, which, room) copy_stack(&(rec)->ustack, (rec)->stack, task, regs, id, room)
