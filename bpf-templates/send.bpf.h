/* The maps that are always there, how a record begins, and how the reader learns of it. */
struct {
	MAP_NUMBER(type, MAP_RINGBUF);
	MAP_NUMBER(max_entries, 4096);
} rille_ring SEC(".maps");

struct {
	MAP_NUMBER(type, MAP_ARRAY);
	MAP_NUMBER(map_flags, MAP_MMAPABLE);
	MAP_NUMBER(max_entries, 1);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct rille_ctl);
} rille_ctl SEC(".maps");

struct {
	MAP_NUMBER(type, MAP_PERCPU_ARRAY);
	MAP_NUMBER(max_entries, RILLE_PROBES);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct rille_stats);
} rille_stats SEC(".maps");

const volatile u64 rille_limit = 0;

INLINE struct rille_stats *stats_of(u32 probe)
{
	return bpf_map_lookup_elem(&rille_stats, &probe);
}

INLINE struct rille_ctl *control(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&rille_ctl, &zero);
}

/* Counts a record that is about to be sent; false if the limit has been reached. */
INLINE bool within_limit(void)
{
	if (!rille_limit)
		return true;
	struct rille_ctl *ctl = control();
	return ctl && __sync_fetch_and_add(&ctl->passed, 1) < rille_limit;
}

/* After a record is in the ring: wakes the reader if it asked for that. See names.h for why this comes afterwards. */
SHARED void ring_bell(void)
{
	struct rille_ctl *ctl = control();
	if (!ctl)
		return;
	u32 armed = *(volatile u32 *)&ctl->armed;
	if (armed == RILLE_RING_RUNG)
		return;
	if (armed == RILLE_RING_WHEN_FULL &&
	        (!ctl->wake_bytes || bpf_ringbuf_query(&rille_ring, RB_AVAIL_DATA) < ctl->wake_bytes))
		return;
	*(volatile u32 *)&ctl->armed = RILLE_RING_RUNG;
	void *empty = bpf_ringbuf_reserve(&rille_ring, 8, 0);
	if (empty)
		bpf_ringbuf_discard(empty, RB_FORCE_WAKEUP);
}

/* The part of a record that says who and when. */
SHARED void begin_record(struct rille_record *head, u32 probe, struct task_struct *task, u64 id)
{
	u64 parent = FETCH(AT(u64, task, OFF_task_struct__real_parent));
	head->probe = probe;
	head->flags = 0;
	head->nsecs = bpf_ktime_get_ns();
	head->pid = id >> 32;
	head->tid = (u32)id;
	head->ppid = FETCH(AT(u32, parent, OFF_task_struct__tgid));
	if (id >> 32 == (u32)id) {
		head->start_time = LOAD(AT(u64, task, OFF_task_struct__start_boottime));
	} else {
		u64 leader = FETCH(AT(u64, task, OFF_task_struct__group_leader));
		head->start_time = FETCH(AT(u64, leader, OFF_task_struct__start_boottime));
	}
	bpf_get_current_comm(head->comm, sizeof(head->comm));
}
