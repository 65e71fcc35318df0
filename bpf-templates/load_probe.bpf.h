/* Reading kernel structures where there is no typed pointer to the running task: by probing memory. */
#define LOAD(place) FETCH(place)

INLINE struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}
