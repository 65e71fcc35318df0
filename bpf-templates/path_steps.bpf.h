/* Going up a path where every step has to be verified: only few. A deeper file has no path. */
enum { PATH_STEPS = 6 };

INLINE void walk_up(struct path_walk *walk)
{
	for (u32 i = 0; i < PATH_STEPS && walk->more > 0; i++)
		walk->more = step_up(walk);
}
