/* The many probes of a program share the code that copies the stack, and the verifier looks at it once: it does so with
 * functions that are not static, of which it takes nothing for granted. So pointers cannot be handed over; which room of
 * the scratch, and where in it, can. */
__attribute__((noinline)) u32 rille_copy_stack(u32 which, u64 offset, u32 room)
{
	struct task_struct *task = current_task();
	char *all = scratch(which);
	HIDE(offset);
	if (!all || offset > sizeof(struct rille_scratch) - sizeof(struct rille_ustack) - STACK_ROOM - 8)
		return 0;
	struct rille_ustack *to = (struct rille_ustack *)(all + offset);
	return copy_stack(to, (char *)(to + 1), task, user_regs(task), bpf_get_current_pid_tgid(), room);
}

#define COPY_STACK(rec, which, room)                                                                                    \
	({                                                                                                              \
		u64 got_ = rille_copy_stack(which, __builtin_offsetof(typeof(*(rec)), ustack), room);                   \
		AT_MOST(got_, STACK_ROOM);                                                                              \
		(u32) got_;                                                                                             \
	})
