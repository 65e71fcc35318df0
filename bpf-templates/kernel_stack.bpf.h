/* The kernel's side of a stack: addresses only. */
INLINE u32 copy_kernel_stack(void *ctx, struct rille_kstack *to, u64 *frames, u32 room)
{
	long n = bpf_get_stack(ctx, frames, room, 0);
	to->nframes = n > 0 ? (u32)n / 8 : 0;
	to->pad = 0;
	return RILLE_REC_KSTACK;
}
