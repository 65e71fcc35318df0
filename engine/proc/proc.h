/* The processes being traced, and where their memory was mapped from at a time.
 *
 * The table is fed by MMAP2 (with build ids), FORK, COMM and EXIT records of a dummy software perf event a CPU, in
 * order of time, and by one scan of /proc/PID/maps when a process is first needed. So a mapping is known although its
 * process was gone before anybody asked. A process is (pid, start time): a reused pid is another process. After EXIT a
 * process is kept for a grace period, since its events may still be in the ring. */
#ifndef RILLE_PROC_PROC_H
#define RILLE_PROC_PROC_H

#include "engine/base/err.h"
#include "engine/base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_table;
struct process;

/* What is mapped, by identity. One struct file for all processes that map the same bytes; lives as long as the table.
 */
struct mapped_file {
	char *path; /* as the process sees it; "[vdso]", "//anon", "" */
	uint32_t dev_major, dev_minor;
	uint64_t inode, inode_generation;
	uint8_t build_id[20];
	uint8_t build_id_len; /* 0 = not known from the mapping */
	void *module;         /* stack/module.c's, NULL until first needed; freed through proc_table's hook */
};

enum mapping_flags { MAPPING_EXEC = 1, MAPPING_WRITE = 2, MAPPING_READ = 4, MAPPING_ANON = 8 };

struct mapping {
	uint64_t start, end; /* [start, end) */
	uint64_t offset;     /* in the file, bytes */
	uint32_t flags;
	struct mapped_file *file; /* never NULL */
};

struct proc_options {
	const struct logger *log;
	/* Follow these processes only (NULL fn: all). Asked once when a process is first seen in a perf record. */
	bool (*wanted)(void *user, pid_t pid, pid_t parent);
	void *user;
	void (*free_module)(void *module);
	void (*free_runtime)(void *runtime); /* process_runtime()'s */
	/* Told about exec and exit of known processes, in order with proc_table_advance(). May be NULL. */
	void (*on_exec)(void *user, struct process *process, const char *comm);
	void (*on_exit)(void *user, struct process *process);
	/* A module that will be needed was mapped by a process that may be gone soon: open it now. May be NULL. */
	void (*on_exec_mapping)(void *user, struct process *process, struct mapping *mapping);
};

int proc_table_open(struct proc_table **ret, const struct proc_options *options, struct err *err);
void proc_table_close(struct proc_table *table);
/* An epoll descriptor, readable when perf records wait; -1 where perf events are not allowed (then /proc alone is used,
 * and proc_table_mechanism() says so). */
int proc_table_fd(const struct proc_table *table);
/* Applies all perf records up to time `nsecs` (CLOCK_MONOTONIC; UINT64_MAX = all). */
void proc_table_advance(struct proc_table *table, uint64_t nsecs);
/* Drops processes that exited more than the grace period before `nsecs`. */
void proc_table_reap(struct proc_table *table, uint64_t nsecs);
const char *proc_table_mechanism(const struct proc_table *table);
/* Perf records lost (the kernel says how many): mappings may be unknown then, and are read anew. */
uint64_t proc_table_lost(const struct proc_table *table);

/* The process of an event, created by reading /proc if unknown. `start_time` as in struct rille_record (0 = do not
 * check). NULL only when out of memory. */
struct process *proc_table_get(struct proc_table *table, pid_t pid, uint64_t start_time);

pid_t process_pid(const struct process *process);
bool process_alive(const struct process *process);
/* The pid as the process's own namespace sees it, for /tmp/perf-N.map and attach files. */
pid_t process_ns_pid(struct process *process);
/* The mapping that holds an address, as of the records applied; NULL = none. */
struct mapping *process_find(struct process *process, uint64_t address);
/* Reads /proc/PID/maps anew, at most once per `stamp` (an event's number): for an address that is not known. */
bool process_refresh(struct process *process, uint64_t stamp);
/* All mappings in order of address; for runtime discovery. */
const struct mapping *process_mappings(struct process *process, size_t *ret_n);
/* Changes whenever a mapping is added or dropped. */
uint32_t process_generation(const struct process *process);
/* Opens what is mapped there for reading: /proc/PID/map_files/START-END, then /proc/PID/root/PATH, then PATH if its
 * device and inode or build id agree. Regular files only, O_NONBLOCK|O_NOFOLLOW where it matters; the caller closes.
 * Negative errno. */
int process_open_mapping(struct process *process, const struct mapping *mapping);
/* A place for the stack layer's runtimes (HotSpot, V8 …) of this process. */
void **process_runtime(struct process *process);

#endif
