/* What is kept from a call's entry to its exit, by thread id, on kernels without storage in the task. The oldest make room,
 * so threads that were killed inside a call do not fill it. */
struct {
	MAP_NUMBER(type, MAP_LRU_HASH);
	MAP_NUMBER(max_entries, 16384);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct rille_entry);
} rille_entries SEC(".maps");

static const volatile struct rille_entry no_entry;

INLINE struct rille_entry *entry_of(struct task_struct *task)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	return bpf_map_lookup_elem(&rille_entries, &tid);
}

INLINE struct rille_entry *new_entry(struct task_struct *task)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	struct rille_entry *entry = bpf_map_lookup_elem(&rille_entries, &tid);
	if (entry)
		return entry;
	bpf_map_update_elem(&rille_entries, &tid, (const void *)&no_entry, 1);
	return bpf_map_lookup_elem(&rille_entries, &tid);
}
