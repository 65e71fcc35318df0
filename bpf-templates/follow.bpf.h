/* Children of the traced are traced, from before their first instruction. */
SEC("raw_tp/sched_process_fork") int rille_fork(u64 *ctx)
{
	u32 parent = probe_u32(ctx[0] + OFF_task_struct__tgid), child = probe_u32(ctx[1] + OFF_task_struct__tgid), one = 1;
	if (parent == child || !is_target_pid(parent))
		return 0;
	if (bpf_map_update_elem(&rille_pids, &child, &one, 0)) {
		struct rille_ctl *ctl = control();
		if (ctl)
			__sync_fetch_and_add(&ctl->lost_targets, 1);
	}
	return 0;
}
