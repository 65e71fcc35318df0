/* What a process is inside this folder. */
#ifndef RILLE_PROC_PROCESS_H
#define RILLE_PROC_PROCESS_H

#include "engine/proc/files.h"
#include "engine/proc/mappings.h"

#include <uthash.h>

struct process {
	pid_t pid, ns_pid; /* ns_pid 0 = not asked for yet */
	struct proc_table *table;
	uint64_t start_time;  /* ns, as a record told it; 0 = not known */
	uint64_t start_ticks; /* as /proc told it; 0 = not known */
	bool wanted;
	bool complete; /* its mappings are all known: read from /proc, or it was seen from its exec on */
	bool exited;
	uint64_t known_since; /* records older than this are in what /proc said already */
	uint64_t last_used;   /* the latest of its exit and its events */
	uint64_t refresh_stamp;
	uint32_t generation;
	struct mappings mappings;
	size_t stale_at; /* so many mappings may be mostly stale: read them anew */
	void *runtime;
	UT_hash_handle hh; /* by pid */
};

#endif
