/* The registers that a task had in user space, as the kernel keeps them at the top of its stack (x86-64). */
struct pt_regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip;
	u16 cs;
	u64 flags, sp, ss;
};

enum { USER32_CS = 0x23, TS_COMPAT = 2 };

/* A system call by 32-bit code: another table of numbers, and other registers. */
INLINE bool is_compat_call(struct task_struct *task)
{
	return LOAD(AT(u32, task, OFF_task_struct__thread_info + OFF_thread_info__status)) & TS_COMPAT;
}
