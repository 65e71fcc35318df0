/* Where every descriptor has to be verified: no more than scm_steps.bpf.h finds. */
enum { EACH_FEW = 8 };

INLINE void each_run(struct each *each)
{
	for (u32 i = 0; i < EACH_FEW; i++)
		each_step(i, each);
}
