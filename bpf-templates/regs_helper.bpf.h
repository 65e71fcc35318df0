/* Where the registers are: the kernel says, with a typed pointer (5.15 and later). */
#define LOAD_REG(place) (place)
#define RELOAD_REG(place) (*(volatile typeof(place) *)&(place))

INLINE struct pt_regs *user_regs(struct task_struct *task)
{
	return bpf_task_pt_regs(task);
}
