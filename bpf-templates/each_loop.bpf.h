/* Many descriptors where the kernel can loop (5.17 and later). */
static long each_loop(u32 i, struct each *each)
{
	each_step(i, each);
	return 0;
}

INLINE void each_run(struct each *each)
{
	bpf_loop(EACH_MOST, each_loop, each, 0);
}
