/* The process's number as it sees itself: in the innermost of its pid namespaces. */
INLINE s64 ns_pid(bool *ok, struct task_struct *task)
{
	enum { UPID_SIZE = 16 };
	u64 leader = FETCH(AT(u64, task, OFF_task_struct__group_leader));
	u64 pid = FETCH(AT(u64, leader, OFF_task_struct__thread_pid));
	u32 level = pid ? FETCH(AT(u32, pid, OFF_pid__level)) : 0, number = 0;
	u64 from = pid + OFF_pid__numbers + level * UPID_SIZE + OFF_upid__nr;
	if (!pid || bpf_probe_read_kernel(&number, sizeof(number), (const void *)from))
		*ok = false;
	return number;
}
