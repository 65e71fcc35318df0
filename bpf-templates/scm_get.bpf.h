/* scm_fds() and scm_count(): begin the walk. */
INLINE void scm_begin(struct scm_walk *walk, u64 message, s64 n, s32 *to)
{
	UNKNOWN_ZEROS(*walk);
	walk->messages += n > 0 ? (u64)n : 0;
	walk->message = message;
	walk->to = to;
	scm_run(walk);
}

INLINE u64 scm_fds(bool *ok, void *to, u64 message, s64 n)
{
	struct scm_walk walk;
	scm_begin(&walk, message, n, to);
	if (!walk.got)
		*ok = false;
	return walk.got >= SCM_ROOM ? (1ull << SCM_ROOM) - 1 : (1ull << walk.got) - 1;
}

INLINE s64 scm_count(u64 message, s64 n)
{
	struct scm_walk walk;
	scm_begin(&walk, message, n, NULL);
	return walk.count;
}
