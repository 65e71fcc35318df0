/* Reading numbers in the running task, which comes as a typed pointer (5.11 and later), as the helpers for its registers,
 * mappings and storage ask for: a plain load, checked by the verifier against the kernel's types. */
#define LOAD(place) (place)

INLINE struct task_struct *current_task(void)
{
	return bpf_get_current_task_btf();
}
