/* The kernel session: one loaded object with its programs attached, its ring buffer, counters and target maps. */
#ifndef RILLE_RUN_KERNEL_H
#define RILLE_RUN_KERNEL_H

#include "bpf-templates/record.h"
#include "engine/base/err.h"
#include "engine/base/log.h"
#include "engine/probe/gen.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kernel;

struct kernel_options {
	const struct logger *log;
	const struct spec *spec;       /* for mapping a verifier's complaint to the script's line */
	const struct gen_result *plan; /* probes and parameter slots; borrowed for the kernel's life */
	uint64_t ring_bytes;           /* power of two × page; 0 = chosen by what the probes send */
	const pid_t *pids;
	size_t npids;
	const int *cgroups; /* directories of cgroups of version 2, whose tasks are targets */
	size_t ncgroups;    /* 0 = any */
	const char *comm;   /* NULL = any */
	int64_t uid;        /* -1 = any */
	uint64_t limit;     /* records to let through, 0 = no limit */
	bool follow;        /* the children of `pids`, too */
	bool portable;      /* the object was generated with gen_options.portable */
};

/* Creates maps, sets .rodata (parameters, targets), loads the programs. Attaches nothing. A refusal by the verifier
 * comes back with tag verifier-rejected at the script's line, the log's relevant lines in the message. Missing
 * privileges: -EPERM naming the capability (tag no-permission). No BPF: tag no-bpf, class ERR_KERNEL. */
int kernel_load(
        struct kernel **ret, const void *object, size_t len, const struct kernel_options *options, struct err *err);
/* All or nothing. */
int kernel_attach(struct kernel *kernel, struct err *err);
/* Adds a process to the targets after loading (the child of `-- CMD`, or a host's choice). */
int kernel_add_pid(struct kernel *kernel, pid_t pid, struct err *err);

/* The ring's descriptor: readable when the kernel side rang. See ring.h for when that is. */
int kernel_fd(const struct kernel *kernel);

/* Called for each record. `record` is valid during the call. Return non-zero to stop the round. */
typedef int (*record_fn)(void *user, const struct rille_record *record, size_t size);

/* Handles what the ring holds now, at most `max` records and `budget_ns` of time (0 = no bound): the count, or a
 * negative errno from fn. Records that are shorter than their schema or have an unknown probe are counted as corrupt
 * and skipped. */
int kernel_consume(struct kernel *kernel, record_fn fn, void *user, uint32_t max, uint64_t budget_ns);

/* Whether the last round ended because nothing was left, not by its bounds. */
bool kernel_emptied(const struct kernel *kernel);

/* How to sleep after a round. kernel_delay_ms() ≥ 0: events come fast; come back after that time, without arming: a
 * wake-up for each event costs the traced process several times the event. -1: call kernel_arm(), which asks the kernel
 * side to ring at the next record, and sleep until the descriptor is readable; but if it returns true there is
 * something to consume already. */
int kernel_delay_ms(const struct kernel *kernel);
bool kernel_arm(struct kernel *kernel);

/* Whether a target process is left (true without rille_pids: every process is one). */
bool kernel_has_targets(const struct kernel *kernel);
/* Children that are not traced since the set of targets was full; records that were not understood. Both 0, or a bug.
 */
uint64_t kernel_lost_targets(const struct kernel *kernel);
uint64_t kernel_corrupt(const struct kernel *kernel);
/* Counters of probe i, summed over the CPUs. Works until kernel_free(), also after kernel_detach(). */
int kernel_stats(const struct kernel *kernel, size_t i, struct rille_stats *ret);
/* For rows.h. */
struct bpf_object;
const struct bpf_object *kernel_object(const struct kernel *kernel);
/* The thread → JavaFrameAnchor map for HotSpot (key u32 tid, value u64 address); -1 if no probe has user stacks. */
int kernel_anchor_map(const struct kernel *kernel);
/* One line a mechanism: "syscall:socket: raw_tracepoint sys_exit". For -v. Borrowed. */
const char *kernel_mechanisms(const struct kernel *kernel);
/* Bytes of the ring, and the fullest it was seen. */
void kernel_ring_usage(const struct kernel *kernel, uint64_t *ret_size, uint64_t *ret_peak);

void kernel_detach(struct kernel *kernel);
void kernel_free(struct kernel *kernel);

#endif
