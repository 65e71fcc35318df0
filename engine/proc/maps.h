/* /proc/PID/maps and /proc/PID/stat, read line by line. */
#ifndef RILLE_PROC_MAPS_H
#define RILLE_PROC_MAPS_H

#include "engine/proc/files.h"
#include "engine/proc/mappings.h"

#include <sys/types.h>

struct maps_line {
	uint64_t start, end, offset;
	uint32_t flags; /* enum mapping_flags */
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	char *path; /* in the line, unescaped, without " (deleted)" */
};

/* Takes one line apart, in place. False if it is none. */
bool maps_parse_line(char *line, struct maps_line *ret);
/* Adds the executable mappings of a process. 0; -ESRCH if it is gone or has no memory of its own; -ENOMEM. */
int maps_scan(pid_t pid, struct files *files, struct mappings *mappings);

/* Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat); 0 = gone. */
uint64_t proc_start_ticks(pid_t pid);
/* Its pid in its innermost namespace (NSpid in /proc/PID/status); the pid itself if that is not to be had. */
pid_t proc_innermost_pid(pid_t pid);
/* " (deleted)" at the end of a path says that the file is gone; what was mapped keeps its name. */
void path_strip_deleted(char *path);

#endif
