/* The system calls that are known without asking the running kernel. */
#ifndef RILLE_PROBE_SYSCALLS_H
#define RILLE_PROBE_SYSCALLS_H

#include "engine/probe/catalog.h"

#include <stddef.h>

struct syscall_entry {
	const char *name;        /* as in <sys/syscall.h> and the manual: "stat" */
	const char *kernel_name; /* as in tracefs: "newstat"; mostly the same */
	int number;              /* on this architecture; -1 = the call does not exist here */
	const char *arguments[6];
};

/* All entries in order of name, also those of other architectures. */
const struct syscall_entry *syscall_table(size_t *ret_n);
/* By either name; one that exists on this architecture is preferred. NULL if unknown. */
const struct syscall_entry *syscall_entry_find(const char *name);
/* Its format in one block, which the caller frees; NULL when out of memory. */
struct event_format *syscall_format(const struct syscall_entry *entry);

#endif
