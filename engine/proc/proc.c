/* The table of processes.
 *
 * With perf records (records.h) the table is a replay: every record up to an event's time is applied before the event
 * is looked at, so that an exec that came after it has not yet wiped the mappings it needs. A process that was there
 * before us, or whose parent was not followed, is read from /proc/PID/maps when it is first needed; records older than
 * that reading are then part of it already (`known_since`).
 *
 * Without perf records /proc is all there is. Mappings are then read when a process is first seen and again when they
 * are older than PROC_ONLY_NSECS, and what has exited has no names; proc_table_mechanism() says so.
 *
 * A pid is used again sooner or later. The start time tells: nanoseconds in a record of ours, clock ticks in /proc,
 * compared at the coarser of the two. */
#include "engine/proc/proc.h"

#include "engine/proc/maps.h"
#include "engine/proc/process.h"
#include "engine/proc/records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MANY_MAPPINGS = 2048, MAX_MAPPINGS = 131072 };
enum { GRACE_NSECS = 2000000000, PROC_ONLY_NSECS = 1000000, NSECS = 1000000000 };

struct proc_table {
	struct proc_options options;
	struct process *processes;
	struct files *files;
	struct records *records; /* NULL: /proc alone */
	uint64_t lost;
	uint64_t ticks_per_second;
	char mechanism[160];
};

static uint64_t now_nsecs(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSECS + now.tv_nsec;
}

int proc_table_open(struct proc_table **ret, const struct proc_options *options, struct err *err)
{
	struct proc_table *table = calloc(1, sizeof(*table));
	if (!table)
		return err_nomem(err);
	table->options = *options;
	table->ticks_per_second = sysconf(_SC_CLK_TCK);
	table->files = files_new();
	if (!table->files) {
		proc_table_close(table);
		return err_nomem(err);
	}
	struct err why = {0};
	if (records_open(&table->records, &why) < 0)
		snprintf(table->mechanism, sizeof(table->mechanism), "/proc only (%.100s)", why.message);
	else
		snprintf(table->mechanism, sizeof(table->mechanism), "perf records%s",
		        records_have_build_ids(table->records) ? " with build ids" : "");
	log_debug(options->log, "mappings: %s", table->mechanism);
	*ret = table;
	return 0;
}

static void process_drop(struct process *process)
{
	struct proc_table *table = process->table;
	HASH_DEL(table->processes, process);
	if (process->runtime && table->options.free_runtime)
		table->options.free_runtime(process->runtime);
	mappings_fini(&process->mappings);
	free(process);
}

void proc_table_close(struct proc_table *table)
{
	if (!table)
		return;
	struct process *process, *next;
	HASH_ITER (hh, table->processes, process, next) {
		process_drop(process);
	}
	files_free(table->files, table->options.free_module);
	records_close(table->records);
	free(table);
}

int proc_table_fd(const struct proc_table *table)
{
	return table->records ? records_fd(table->records) : -1;
}

const char *proc_table_mechanism(const struct proc_table *table)
{
	return table->mechanism;
}

uint64_t proc_table_lost(const struct proc_table *table)
{
	return table->lost;
}

static struct process *find(struct proc_table *table, pid_t pid)
{
	struct process *process;
	HASH_FIND_INT(table->processes, &pid, process);
	return process;
}

static struct process *add(struct proc_table *table, pid_t pid)
{
	struct process *process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->pid = pid;
	process->table = table;
	HASH_ADD_INT(table->processes, pid, process);
	if (process->hh.tbl)
		return process;
	free(process); /* out of memory */
	return NULL;
}

/* The process of a record, asked about once. NULL: not followed, or out of memory. */
static struct process *followed(struct proc_table *table, pid_t pid, pid_t parent)
{
	struct process *process = find(table, pid);
	if (!process) {
		process = add(table, pid);
		if (!process)
			return NULL;
		process->wanted = !table->options.wanted || table->options.wanted(table->options.user, pid, parent);
	}
	return process->wanted ? process : NULL;
}

static void runtime_drop(struct process *process)
{
	if (process->runtime && process->table->options.free_runtime)
		process->table->options.free_runtime(process->runtime);
	process->runtime = NULL;
}

static void apply_fork(struct proc_table *table, const struct record *record)
{
	if (record->pid == record->parent)
		return; /* a thread */
	struct process *stale = find(table, record->pid);
	if (stale && stale->known_since > record->time)
		return;
	if (stale)
		process_drop(stale);
	struct process *child = followed(table, record->pid, record->parent);
	struct process *parent = find(table, record->parent);
	if (!child || !parent || !parent->wanted || !parent->complete)
		return;
	child->complete = !mappings_copy(&child->mappings, &parent->mappings);
	child->generation++;
}

static void apply_exec(struct proc_table *table, const struct record *record)
{
	struct process *process = followed(table, record->pid, 0);
	if (!process)
		return;
	if (record->time >= process->known_since) {
		mappings_clear(&process->mappings);
		runtime_drop(process);
		process->complete = true;
		process->ns_pid = 0;
		process->generation++;
	}
	if (table->options.on_exec)
		table->options.on_exec(table->options.user, process, record->comm);
}

/* The end of a process is the end of its first thread. Others may live on; their events keep it from being dropped. */
static void apply_exit(struct proc_table *table, const struct record *record)
{
	struct process *process = record->pid == record->tid ? find(table, record->pid) : NULL;
	if (!process || process->exited)
		return;
	if (!process->wanted) {
		process_drop(process);
		return;
	}
	process->exited = true;
	process->last_used = record->time;
	if (table->options.on_exit)
		table->options.on_exit(table->options.user, process);
}

static void apply_mmap(struct proc_table *table, const struct record *record)
{
	struct process *process = followed(table, record->pid, 0);
	if (!process || record->time < process->known_since)
		return;
	struct mapping mapping = {
	        .start = record->start, .end = record->end, .offset = record->offset, .flags = record->flags};
	mapping.file = files_get(table->files, &record->file);
	if (!mapping.file || mappings_add(&process->mappings, &mapping)) {
		process->complete = false;
		return;
	}
	process->generation++;
	/* Nobody tells what was unmapped: code that is generated and dropped for days would fill the table. */
	if (process->mappings.n > (process->stale_at ? process->stale_at : MANY_MAPPINGS))
		process->complete = false;
	if (process->mappings.n > MAX_MAPPINGS)
		mappings_clear(&process->mappings);
	if (table->options.on_exec_mapping)
		table->options.on_exec_mapping(
		        table->options.user, process, mappings_find(&process->mappings, mapping.start));
}

/* What was lost may have been anything of anybody: everything is read anew when next needed. */
static void apply_lost(struct proc_table *table, const struct record *record)
{
	table->lost += record->lost;
	for (struct process *process = table->processes; process; process = process->hh.next)
		process->complete = false;
}

void proc_table_advance(struct proc_table *table, uint64_t nsecs)
{
	static void (*const apply[])(struct proc_table *, const struct record *) = {
	        [RECORD_MMAP] = apply_mmap,
	        [RECORD_FORK] = apply_fork,
	        [RECORD_EXEC] = apply_exec,
	        [RECORD_EXIT] = apply_exit,
	        [RECORD_LOST] = apply_lost,
	};
	struct record record;
	while (table->records && records_next(table->records, nsecs, &record))
		apply[record.type](table, &record);
}

void proc_table_reap(struct proc_table *table, uint64_t nsecs)
{
	struct process *process, *next;
	HASH_ITER (hh, table->processes, process, next) {
		if (process->exited && nsecs > process->last_used && nsecs - process->last_used > GRACE_NSECS)
			process_drop(process);
	}
}

/* Reads /proc/PID/maps. What records told of a process that is gone by now is kept. */
static bool scan(struct process *process)
{
	struct mappings fresh = {0};
	uint64_t now = now_nsecs();
	uint64_t ticks = proc_start_ticks(process->pid);
	bool same = ticks && (!process->start_ticks || process->start_ticks == ticks);
	if (!same || maps_scan(process->pid, process->table->files, &fresh) ||
	        proc_start_ticks(process->pid) != ticks) {
		mappings_fini(&fresh);
		return false;
	}
	mappings_fini(&process->mappings);
	process->mappings = fresh;
	process->stale_at = fresh.n * 2 > MANY_MAPPINGS ? fresh.n * 2 : MANY_MAPPINGS;
	process->start_ticks = ticks;
	process->known_since = now;
	process->complete = true;
	process->generation++;
	return true;
}

static uint64_t ticks_of(const struct proc_table *table, uint64_t start_time)
{
	return start_time / (NSECS / table->ticks_per_second);
}

/* Whether the process in the table is the one that started then. */
static bool same_process(struct process *process, uint64_t start_time)
{
	if (!start_time)
		return true;
	if (process->start_time)
		return process->start_time == start_time;
	if (process->start_ticks && process->start_ticks != ticks_of(process->table, start_time))
		return false;
	process->start_time = start_time;
	return true;
}

/* Whether /proc still shows this very process. */
static bool still_there(const struct process *process)
{
	uint64_t ticks = proc_start_ticks(process->pid);
	return ticks && (!process->start_ticks || process->start_ticks == ticks);
}

static void first_reading(struct process *process)
{
	process->complete = true;
	if (process->start_time && !process->start_ticks)
		process->start_ticks = ticks_of(process->table, process->start_time);
	if (!scan(process) && !process->exited && !still_there(process)) {
		process->exited = true;
		process->last_used = now_nsecs();
	}
}

struct process *proc_table_get(struct proc_table *table, pid_t pid, uint64_t start_time)
{
	struct process *process = find(table, pid);
	if (process && !same_process(process, start_time)) {
		process_drop(process);
		process = NULL;
	}
	if (!process)
		process = add(table, pid);
	if (!process)
		return NULL;
	process->wanted = true;
	process->start_time = start_time ? start_time : process->start_time;
	if (!process->complete)
		first_reading(process);
	if (process->exited)
		process->last_used = now_nsecs();
	else if (!table->records && now_nsecs() - process->known_since > PROC_ONLY_NSECS && !scan(process))
		process->exited = true;
	return process;
}

pid_t process_pid(const struct process *process)
{
	return process->pid;
}

bool process_alive(const struct process *process)
{
	return !process->exited;
}

pid_t process_ns_pid(struct process *process)
{
	if (!process->ns_pid)
		process->ns_pid = proc_innermost_pid(process->pid);
	return process->ns_pid;
}

struct mapping *process_find(struct process *process, uint64_t address)
{
	return mappings_find(&process->mappings, address);
}

bool process_refresh(struct process *process, uint64_t stamp)
{
	if (process->exited || process->refresh_stamp == stamp)
		return false;
	process->refresh_stamp = stamp;
	return scan(process);
}

const struct mapping *process_mappings(struct process *process, size_t *ret_n)
{
	*ret_n = process->mappings.n;
	return process->mappings.items;
}

uint32_t process_generation(const struct process *process)
{
	return process->generation;
}

void **process_runtime(struct process *process)
{
	return &process->runtime;
}
