/* Where a record is put together before it is copied to the ring, when its size is not known beforehand (stacks) or when
 * text is needed on the way: one room a CPU for the program of the system calls, one for those of the tracepoints. Two
 * records never meet in one room: programs run without being preempted, the kernel does not start a tracepoint's program
 * inside another one, nor a raw tracepoint's inside itself. It is not a per-CPU map, whose elements end at 32 KiB. */
struct {
	MAP_NUMBER(type, MAP_ARRAY);
	MAP_NUMBER(max_entries, 2 * RILLE_CPUS);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct rille_scratch);
} rille_scratch SEC(".maps");

enum { SCRATCH_SYSCALL = 0, SCRATCH_TRACEPOINT = 1 };

INLINE void *scratch(u32 which)
{
	u32 i = 2 * bpf_get_smp_processor_id() + which;
	return bpf_map_lookup_elem(&rille_scratch, &i);
}
