/* Where a stack ends if neither the process's first stack nor the thread's own is near: the mapping's end. The kernel can
 * refuse (its lock is taken), then nobody knows. 5.17 and later. */
static long note_vma_end(struct task_struct *task, struct vm_area_struct *vma, u64 *end)
{
	*end = LOAD(AT(u64, vma, OFF_vm_area_struct__vm_end));
	return 0;
}

INLINE u64 mapping_end(struct task_struct *task, u64 sp)
{
	u64 end = 0;
	bpf_find_vma(task, sp, note_vma_end, &end, 0);
	return end;
}

struct pieces {
	char *to;
	u64 from, holes;
	u32 want, at, got;
};

static long copy_piece(u32 i, struct pieces *pieces)
{
	u32 at = pieces->at;
	u64 from = pieces->from + at;
	u32 size = RILLE_STACK_PIECE - (from & (RILLE_STACK_PIECE - 1));
	if (i >= 64 || at >= pieces->want || at > STACK_ROOM - RILLE_STACK_PIECE)
		return 1;
	pieces->at = at + size;
	if (bpf_probe_read_user(pieces->to + at, size, (const void *)from))
		pieces->holes |= 1ULL << i;
	else
		pieces->got = at + size;
	return 0;
}

/* Such kernels loop, too: the verifier looks at one piece, not at all of them for each place that copies a stack. Pieces end
 * at multiples of their size, so that none lies in a page that is there and one that is not. */
static __attribute__((noinline)) u32 copy_pieces(char *to, u64 from, u32 want, u64 *holes)
{
	struct pieces pieces;
	UNKNOWN_ZEROS(pieces);
	pieces.to = to;
	pieces.from = from;
	pieces.want = want;
	bpf_loop(STACK_ROOM / RILLE_STACK_PIECE + 1, copy_piece, &pieces, 0);
	*holes = pieces.holes;
	return pieces.got < want ? pieces.got : want;
}
