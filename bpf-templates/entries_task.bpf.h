/* What is kept from a call's entry to its exit, in the task itself (5.12 and later): a thread that is killed inside a call
 * leaves nothing behind. */
struct {
	MAP_NUMBER(type, MAP_TASK_STORAGE);
	MAP_NUMBER(map_flags, MAP_NO_PREALLOC);
	MAP_TYPE(key, int);
	MAP_TYPE(value, struct rille_entry);
} rille_entries SEC(".maps");

INLINE struct rille_entry *entry_of(struct task_struct *task)
{
	return bpf_task_storage_get(&rille_entries, task, NULL, 0);
}

INLINE struct rille_entry *new_entry(struct task_struct *task)
{
	return bpf_task_storage_get(&rille_entries, task, NULL, 1);
}
