/* Many descriptors where every one has to be verified. */
INLINE void each_run(struct each *each)
{
	for (u32 i = 0; i < EACH_MOST; i++)
		each_step(i, each);
}
