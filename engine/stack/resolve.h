/* From a record's stack to named frames: the stack layer's face to the rest of the engine. */
#ifndef RILLE_STACK_RESOLVE_H
#define RILLE_STACK_RESOLVE_H

#include "bpf-templates/record.h"
#include "engine/base/err.h"
#include "engine/base/log.h"
#include "engine/proc/proc.h"
#include "engine/stack/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct resolver;

struct resolve_options {
	const struct logger *log;
	struct proc_table *procs;
	bool lines;             /* look up native source lines (DWARF) */
	bool signatures;        /* Java signatures */
	int anchor_map;         /* kernel_anchor_map(), -1 = none */
	const char *debug_root; /* "/usr/lib/debug"; NULL = that */
};

struct resolver *resolver_new(const struct resolve_options *options); /* NULL: out of memory */
void resolver_free(struct resolver *resolver);
void resolver_set_anchor_map(struct resolver *resolver, int fd);
/* Test hook: how the target's live memory is read (memory.h). */
void resolver_set_reader(struct resolver *resolver,
        ssize_t (*fn)(void *user, pid_t pid, uint64_t address, void *buffer, size_t len), void *user);

/* Looks for language runtimes in a process that events will come from: with the first event it may be too late for what
 * moves. */
void resolver_prepare(struct resolver *resolver, pid_t pid);
/* The user stack of a record. `ustack` points into the record, `bytes` behind it are readable. Fills *ret (reused from
 * event to event; the caller zeroes it once and frees it with stack_fini). Never fails: what goes wrong is ret->end. */
void resolve_user(struct resolver *resolver, const struct rille_record *record, const struct rille_ustack *ustack,
        size_t bytes, uint32_t depth, struct stack *ret);
/* Kernel addresses through kallsyms (read once; without permission frames have addresses only). */
void resolve_kernel(struct resolver *resolver, const uint64_t *addresses, size_t n, struct stack *ret);
void stack_fini(struct stack *stack);
/* For proc_options.free_runtime: what the resolver keeps at process_runtime(). The process table is closed before the
 * resolver, so that names are still there. */
void resolver_free_runtime(void *runtime);

#endif
