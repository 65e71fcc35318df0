/* Walking a message's control data where every step has to be verified: few of them, so many descriptors are not all
 * seen. */
enum { SCM_STEPS = 10 };

INLINE void scm_run(struct scm_walk *walk)
{
	for (u32 i = 0; i < SCM_STEPS; i++) {
		if (!scm_step(walk))
			break;
	}
}
