/* scm_fds() and scm_count(): begin the walk. */
INLINE u32 scm_walk(u64 message, s64 n, s32 *to)
{
	struct scm_walk walk;
	UNKNOWN_ZEROS(walk);
	walk.messages += n > 0 ? (u64)n : 0;
	walk.message = message;
	walk.to = to;
	scm_run(&walk);
	return walk.count;
}

INLINE u64 scm_fds(bool *ok, void *to, u64 message, s64 n)
{
	u32 count = scm_walk(message, n, to);
	if (!count)
		*ok = false;
	return count >= SCM_ROOM ? (1ull << SCM_ROOM) - 1 : (1ull << count) - 1;
}

INLINE s64 scm_count(u64 message, s64 n)
{
	return scm_walk(message, n, NULL);
}
