/* Where the registers are: at the end of the kernel stack, whose size is the same in all kernels that need this. */
#define LOAD_REG(place) FETCH(place)
#define RELOAD_REG(place) FETCH(place)

INLINE struct pt_regs *user_regs(struct task_struct *task)
{
	return (struct pt_regs *)(FETCH(AT(u64, task, OFF_task_struct__stack)) + 16384) - 1;
}
