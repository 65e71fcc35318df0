/* A snapshot of the user side: registers and the used part of the stack, for unwinding in user space.
 *
 * Only the bytes from the stack pointer to the stack's end are copied. Asking the kernel for the mapping costs more than
 * most copies and fails when its lock is taken, so the usual two stacks are recognised first: the process's first stack
 * ends where the kernel put argc, and the C libraries keep a thread's control block, to which the thread pointer points,
 * just above its stack. Whatever else (coroutines, alternate signal stacks) is looked up. A guess that is wrong copies
 * other memory of the same process, no more than the room: the unwinder follows the stack pointer, not the end. */
struct {
	MAP_NUMBER(type, MAP_HASH);
	MAP_NUMBER(map_flags, MAP_NO_PREALLOC);
	MAP_NUMBER(max_entries, 65536);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u64);
} rille_anchors SEC(".maps");

enum { PF_KTHREAD = 0x200000, PF_IO_WORKER = 0x10, ABOVE_FIRST_FRAME = 64 };

INLINE bool is_above(u64 end, u64 sp, u64 room)
{
	return end > sp && end - sp <= room;
}

INLINE u64 stack_end(struct task_struct *task, u64 sp, u64 tls, u64 room)
{
	u64 mm = FETCH(AT(u64, task, OFF_task_struct__mm));
	u64 first = FETCH(AT(u64, mm, OFF_mm_struct__start_stack)) + ABOVE_FIRST_FRAME;
	if (is_above(first, sp, room))
		return first;
	if (is_above(tls, sp, room))
		return tls;
	u64 end = mapping_end(task, sp);
	if (is_above(first, sp, end - sp))
		return first;
	return is_above(tls, sp, end - sp) ? tls : end;
}

INLINE void copy_registers(u64 *to, struct pt_regs *regs)
{
	struct pt_regs r;
	bpf_probe_read_kernel(&r, sizeof(r), regs);
	to[0] = r.ax, to[1] = r.dx, to[2] = r.cx, to[3] = r.bx, to[4] = r.si, to[5] = r.di, to[6] = r.bp, to[7] = r.sp;
	to[8] = r.r8, to[9] = r.r9, to[10] = r.r10, to[11] = r.r11, to[12] = r.r12, to[13] = r.r13, to[14] = r.r14;
	to[15] = r.r15, to[16] = r.ip;
}

INLINE void copy_anchor(u64 *to, u32 tid)
{
	u64 *anchor = bpf_map_lookup_elem(&rille_anchors, &tid);
	to[0] = to[1] = to[2] = 0;
	if (anchor && bpf_probe_read_user(to, 3 * sizeof(*to), (const void *)*anchor))
		to[0] = to[1] = to[2] = 0;
}

/* Fills `to` and the stack's bytes behind it: how many bytes follow. */
INLINE u32 copy_stack(struct rille_ustack *to, char *bytes, struct task_struct *task, struct pt_regs *regs, u64 id,
        u32 room)
{
	copy_registers(to->regs, regs);
	copy_anchor(to->anchor, (u32)id);
	u64 sp = to->regs[7];
	to->tls = LOAD(AT(u64, task, OFF_task_struct__thread + OFF_thread_struct__fsbase));
	to->end = stack_end(task, sp, to->tls, room);
	u64 used = to->end > sp ? to->end - sp : room;
	u64 want = used < room ? used : room;
	AT_MOST(want, STACK_ROOM);
	to->holes = 0;
	/* A part of the stack has never been touched, as a caller's big buffer may be, or is swapped out. */
	if (unlikely(bpf_probe_read_user(bytes, (u32)want, (const void *)sp))) {
		want = copy_pieces(bytes, sp, (u32)want, &to->holes);
		AT_MOST(want, STACK_ROOM);
	}
	to->got = (u32)want;
	to->room = (u32)(want + 7) & ~7u;
	return to->room;
}

/* What keeps a task's user side from being unwound, as a flag of the record; 0 = nothing. io_uring's workers are threads of
 * the process that never were in user space. */
INLINE u32 without_user_side(struct task_struct *task, struct pt_regs *regs)
{
	if (LOAD(AT(u32, task, OFF_task_struct__flags)) & (PF_KTHREAD | PF_IO_WORKER))
		return RILLE_REC_KTHREAD;
	return LOAD_REG(regs->cs) == USER32_CS ? RILLE_REC_COMPAT : 0;
}
