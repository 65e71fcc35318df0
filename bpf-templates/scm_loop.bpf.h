/* Walking a message's control data where the kernel can loop (5.17 and later). */
enum { SCM_STEPS = 1024 };

static long scm_loop(u32 i, struct scm_walk *walk)
{
	return !scm_step(walk);
}

INLINE void scm_run(struct scm_walk *walk)
{
	bpf_loop(SCM_STEPS, scm_loop, walk, 0);
}
