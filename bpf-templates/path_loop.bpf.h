/* Going up a path where the kernel can loop (5.17 and later): the verifier looks at one step, however many there are. */
enum { PATH_STEPS = 64 };

static long path_step(u32 i, struct path_walk *walk)
{
	walk->more = step_up(walk);
	return walk->more <= 0;
}

INLINE void walk_up(struct path_walk *walk)
{
	bpf_loop(PATH_STEPS, path_step, walk, 0);
}
