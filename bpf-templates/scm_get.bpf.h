/* scm_fds() and scm_count(): begin the walk. The count begins as what a read of nothing gives, which is 0: a 0 that the
 * verifier knows of would make every number of descriptors a case of its own. */
INLINE void scm_begin(struct scm_walk *walk)
{
	bpf_probe_read_kernel(&walk->count, sizeof(walk->count), NULL);
	scm_run(walk);
}

INLINE u64 scm_fds(bool *ok, void *to, u64 message, s64 n)
{
	struct scm_walk walk = {.message = message, .messages = n > 0 ? (u64)n : 0, .to = to};
	scm_begin(&walk);
	if (!walk.count)
		*ok = false;
	return walk.count >= SCM_ROOM ? (1ull << SCM_ROOM) - 1 : (1ull << walk.count) - 1;
}

INLINE s64 scm_count(u64 message, s64 n)
{
	struct scm_walk walk = {.message = message, .messages = n > 0 ? (u64)n : 0};
	scm_begin(&walk);
	return walk.count;
}
