/* The names that a generated program and its loader agree on, shared by both sides like record.h.
 *
 * Programs (the loader finds them by section and name, and attaches them; nothing is attached by libbpf itself):
 *
 *     section                     program          attach with                         there when
 *     raw_tp/sys_exit             rille_sys_exit   bpf_raw_tracepoint_open("sys_exit")  any syscall: probe
 *     raw_tp/sys_enter            rille_sys_enter  … "sys_enter"                        a probe fires at the entry or needs it
 *     raw_tp/sched_process_fork   rille_fork       … "sched_process_fork"               gen_options.follow
 *     raw_tp/sched_process_exit   rille_exit       … "sched_process_exit"               gen_options.target_pids
 *     tp/CATEGORY/EVENT           rille_tp_INDEX   perf event of type tracepoint,       each tracepoint: probe;
 *                                                  config = probe_schema.number         INDEX = probe_schema.index
 *
 * One rille_sys_exit serves all syscall: probes: it switches on the call's number. rille_sys_exit has to be attached after
 * rille_sys_enter (an exit without its entry is an event without its entry's values), rille_fork before
 * both, and rille_exit last: a tracepoint calls its programs in order, and a probe on a process's end is about a target.
 *
 * Maps (each is there only if it is used; rille_ring, rille_ctl and rille_stats always are):
 *
 *     rille_ring     ring buffer; the loader sets its size
 *     rille_ctl      array of one struct rille_ctl, BPF_F_MMAPABLE: wake-ups and the limit
 *     rille_stats    per-CPU array of struct rille_stats, one element a probe (key: probe_schema.index)
 *     rille_pids     hash, u32 thread group id → u32 (1): who is traced, if gen_options.target_pids
 *     rille_cgroups  cgroup array: whose tasks are traced, if gen_options.target_cgroups
 *     rille_anchors  hash, u32 thread id → u64 address of HotSpot's JavaFrameAnchor, if a probe has user stacks
 *     rille_entries  task storage (or a hash by thread id): the entry's values until the exit. The loader leaves it alone
 *     rille_rows_N   per-CPU hash, key → struct rille_row: what is counted, N = aggregate_schema.index
 *     rille_uncounted per-CPU array of struct rille_uncounted, one element an aggregate_schema
 *     rille_scratch  array: where records with a stack or long text are put together; two elements a CPU. Of a
 *                    portable object the loader sets how many
 *
 * Variables in .rodata (set before loading; those that are not there are not needed):
 *
 *     rille_self       u32: the tracer's own thread group, which is never traced (if gen_options.self)
 *     rille_comm       char[RILLE_COMM]: only tasks of that name (if gen_options.target_comm); NUL-padded to its end
 *     rille_uid        u32: only tasks of that user (if gen_options.target_uid)
 *     rille_by_pid     u32, only in portable objects, which have all of the above: 1 = only those in rille_pids
 *     rille_by_uid     u32, the same for rille_uid. (There rille_self 0 is nobody, and rille_comm "" everybody)
 *     rille_ncgroups   u32: how many of rille_cgroups are set (if gen_options.target_cgroups)
 *     rille_limit      u64: records to let through, all probes together; 0 = no limit. Always there
 *     rille_param_*    gen_result.params says which and how wide: a scalar is one element; a list has `room` elements of
 *                      `width` bytes and its length in the u32 rille_param_NAME_n; a string is `room` bytes with its NUL
 */
#ifndef RILLE_NAMES_H
#define RILLE_NAMES_H

#include "bpf-templates/record.h"

enum { RILLE_CGROUPS = 8 }; /* containers that can be traced together */

#define RILLE_PROG_SYS_EXIT "rille_sys_exit"
#define RILLE_PROG_SYS_ENTER "rille_sys_enter"
#define RILLE_PROG_FORK "rille_fork"
#define RILLE_PROG_EXIT "rille_exit"
#define RILLE_PROG_TRACEPOINT "rille_tp_" /* followed by the probe's index in decimal */

#define RILLE_MAP_RING "rille_ring"
#define RILLE_MAP_CTL "rille_ctl"
#define RILLE_MAP_STATS "rille_stats"
#define RILLE_MAP_PIDS "rille_pids"
#define RILLE_MAP_SCRATCH "rille_scratch"
#define RILLE_MAP_CGROUPS "rille_cgroups"
#define RILLE_MAP_ANCHORS "rille_anchors"
#define RILLE_MAP_ROWS "rille_rows_" /* followed by the index in decimal */
#define RILLE_MAP_UNCOUNTED "rille_uncounted"

/* When the producer wakes the reader. Records are always submitted without a wake-up; afterwards the producer looks here,
 * and rings by discarding an empty record with BPF_RB_FORCE_WAKEUP (the reader's library skips it). Because it looks
 * *after* its record is in the ring, a reader that arms and then finds the ring empty can sleep: whoever writes next sees
 * that it is armed. The reader sets RILLE_RING_WHEN_FULL when it starts to consume. */
enum rille_armed {
	RILLE_RING_WHEN_FULL = 0, /* ring once when `wake_bytes` are waiting */
	RILLE_RING_NEXT = 1,      /* ring at the next record: the reader sleeps without a timeout */
	RILLE_RING_RUNG = 2,      /* the producer has rung; nothing more until the reader consumes */
};

struct rille_ctl {
	rille_u32 armed; /* enum rille_armed; both sides write it */
	rille_u32 pad;
	rille_u64 wake_bytes;   /* set by the loader, e.g. a quarter of the ring; 0 = never for fullness */
	rille_u64 lost_targets; /* children that did not fit into rille_pids: they are not traced */
	rille_u64 pad2[5]; /* the counter below is written by every event if there is a limit: its own cache line */
	rille_u64 passed;  /* records let through so far, counted only if rille_limit is set */
	rille_u64 pad3[7];
};

#endif
