/* Kernels that cannot say which mapping an address is in. */
INLINE u64 mapping_end(struct task_struct *task, u64 sp)
{
	return 0;
}

/* Pieces end at multiples of their size, so that none lies in a page that is there and one that is not. */
static __attribute__((noinline)) u32 copy_pieces(char *to, u64 from, u32 want, u64 *holes)
{
	u32 at = 0, got = 0;
	for (u32 i = 0; i < STACK_ROOM / RILLE_STACK_PIECE && at < want && at <= STACK_ROOM - RILLE_STACK_PIECE; i++) {
		u32 size = RILLE_STACK_PIECE - ((from + at) & (RILLE_STACK_PIECE - 1));
		if (bpf_probe_read_user(to + at, size, (const void *)(from + at)))
			*holes |= 1ULL << i;
		else
			got = at + size;
		at += size;
	}
	return got < want ? got : want;
}
