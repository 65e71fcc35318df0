/* Who is traced, and the end of those who were: a process leaves the map when its last thread exits, so that its number
 * can be used again by another. */
struct {
	MAP_NUMBER(type, MAP_HASH);
	MAP_NUMBER(map_flags, MAP_NO_PREALLOC);
	MAP_NUMBER(max_entries, 65536);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u32);
} rille_pids SEC(".maps");

INLINE bool is_target_pid(u32 pid)
{
	return bpf_map_lookup_elem(&rille_pids, &pid) != NULL;
}

/* A place in a task that is not the running one. */
INLINE u32 probe_u32(u64 from)
{
	u32 value = 0;
	bpf_probe_read_kernel(&value, sizeof(value), (const void *)from);
	return value;
}

SEC("raw_tp/sched_process_exit") int rille_exit(u64 *ctx)
{
	u64 task = ctx[0], signal = 0;
	u32 pid = probe_u32(task + OFF_task_struct__tgid);
	bpf_probe_read_kernel(&signal, sizeof(signal), (const void *)(task + OFF_task_struct__signal));
	if (probe_u32(signal + OFF_signal_struct__live) == 0)
		bpf_map_delete_elem(&rille_pids, &pid);
	return 0;
}
