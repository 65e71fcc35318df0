/* Why the kernel said no: a refused bpf() or perf_event_open() turned into a sentence that names what is missing. */
#ifndef RILLE_RUN_PRIVILEGE_H
#define RILLE_RUN_PRIVILEGE_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* What decides whether this process may use BPF, as /proc/self says. */
struct privilege {
	uint64_t effective;  /* capabilities, a bit each */
	bool user_namespace; /* not the initial one: capabilities count for nothing in the kernel's eyes */
	bool seccomp;        /* a filter is installed, which may refuse bpf() */
	bool lockdown_confidentiality;
};
void privilege_read(struct privilege *ret);
/* CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, in the initial user namespace. */
bool privilege_suffices(const struct privilege *privilege);
/* CAP_SYS_PTRACE: may read the memory of processes of any user. */
bool privilege_reads_others(const struct privilege *privilege);

/* Whether process ids here are those that programs see: in the initial pid namespace. */
bool privilege_has_initial_pids(void);

/* Fills `err` for a call `what` that failed with `code` (negative errno) and returns `code`: tag no-permission, class
 * ERR_PERMISSION, naming the capability; or tag no-bpf, class ERR_KERNEL, if it is not a matter of privileges. */
int privilege_explain(int code, const char *what, struct err *err);

#endif
