/* Kernels that cannot say which mapping an address is in. */
INLINE u64 mapping_end(struct task_struct *task, u64 sp)
{
	return 0;
}

/* Pieces end at multiples of their size, so that none lies in a page that is there and one that is not. Where a piece is
 * follows from its number alone: what one turn of the loop finds out does not make the next one another case. */
static __attribute__((noinline)) u32 copy_pieces(char *to, u64 from, u32 want, u64 *holes)
{
	u32 into = from & (RILLE_STACK_PIECE - 1), got = 0;
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < STACK_ROOM / RILLE_STACK_PIECE; i++) {
		u32 size = i ? RILLE_STACK_PIECE : RILLE_STACK_PIECE - into;
		u64 at = i ? i * RILLE_STACK_PIECE - into : 0;
		HIDE(at); /* the last is true anyway, and older verifiers have to see it */
		if (at >= want || at > STACK_ROOM - RILLE_STACK_PIECE)
			break;
		if (bpf_probe_read_user(to + at, size, (const void *)(from + at)))
			*holes |= 1ULL << i;
		else
			got = (u32)at + size;
	}
	return got < want ? got : want;
}
