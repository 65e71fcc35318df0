/* The resolver owns what outlives an event: the reader of memory, the strings, the kernel's symbols. Everything about
 * one process hangs on its struct process, everything about one file on its struct mapped_file. */
#include "engine/stack/resolve.h"

#include "engine/stack/intern.h"
#include "engine/stack/kallsyms.h"
#include "engine/stack/memory.h"
#include "engine/stack/runtimes.h"
#include "engine/stack/unwind.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_DEPTH = 1024, WALKS = 3 };

struct resolver {
	struct resolve_options options;
	struct memory *memory;
	struct intern *names;
	struct kallsyms *kallsyms;
	bool kallsyms_tried;
	bool denied_told;
	uint64_t events;
};

struct resolver *resolver_new(const struct resolve_options *options)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	if (!resolver)
		return NULL;
	resolver->options = *options;
	resolver->memory = memory_new();
	resolver->names = intern_new();
	if (resolver->memory && resolver->names)
		return resolver;
	resolver_free(resolver);
	return NULL;
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	memory_free(resolver->memory);
	intern_free(resolver->names);
	kallsyms_free(resolver->kallsyms);
	free(resolver);
}

void resolver_set_anchor_map(struct resolver *resolver, int fd)
{
	resolver->options.anchor_map = fd;
}

void resolver_set_reader(struct resolver *resolver, memory_read_fn fn, void *user)
{
	memory_set_reader(resolver->memory, fn, user);
}

void resolver_free_runtime(void *runtime)
{
	runtimes_free(runtime);
}

static bool no_user_stack(
        const struct rille_record *record, const struct rille_ustack *ustack, size_t bytes, struct stack *ret)
{
	ret->nframes = 0;
	ret->site = 0;
	ret->end = record->flags & RILLE_REC_COMPAT    ? STACK_COMPAT
	           : record->flags & RILLE_REC_KTHREAD ? STACK_NO_USER
	           : !ustack || bytes < ustack->got    ? STACK_UNREADABLE
	                                               : STACK_ROOT;
	return ret->end != STACK_ROOT;
}

static void take_registers(const struct rille_ustack *ustack, struct regs *regs)
{
	memcpy(regs->r, ustack->regs, sizeof(regs->r));
	regs->valid = (1ULL << NREGS) - 1;
}

/* Walks, and walks again where what a runtime had cached turned out to be stale. */
static void walk(struct unwind *unwind, const struct rille_ustack *ustack)
{
	for (int i = 0; i < WALKS; i++) {
		take_registers(ustack, &unwind->walk.regs);
		unwind->walk.anchor = ustack->anchor[0] ? ustack->anchor : NULL;
		unwind_stack(unwind);
		if (!unwind->runtimes || runtimes_validate(unwind->runtimes, &unwind->walk))
			return;
	}
	unwind->walk.stack->end = STACK_RUNTIME;
}

/* Whom to read the memory from: the first thread of a process may end before the others, and has none then. 0 =
 * nobody. */
static pid_t readable_task(const struct process *process, const struct rille_record *record)
{
	if (process_alive(process))
		return (pid_t)record->pid;
	if (record->tid != record->pid && !tgkill((pid_t)record->pid, (pid_t)record->tid, 0))
		return (pid_t)record->tid;
	return 0;
}

/* A stack that ends early looks like a fault of the unwinder; that it is for want of a capability has to be said. */
static void tell_denied(struct resolver *resolver)
{
	pid_t pid = memory_denied(resolver->memory);
	if (!pid || resolver->denied_told)
		return;
	resolver->denied_told = true;
	log_warn(resolver->options.log,
	        "the memory of process %d cannot be read: not permitted; deep stacks and those of Java and Node.js of "
	        "other "
	        "users' processes need CAP_SYS_PTRACE",
	        (int)pid);
}

/* The search for runtimes has a budget of its own. */
static void begin_search(struct resolver *resolver, pid_t reader, bool readable)
{
	memory_begin(resolver->memory, reader, readable, NULL, 0, 0, 0);
}

static void begin_walk(struct resolver *resolver, pid_t reader, bool readable, const struct rille_ustack *ustack)
{
	memory_begin(resolver->memory, reader, readable, ustack + 1, ustack->regs[REG_SP], ustack->got, ustack->end);
	memory_set_holes(resolver->memory, ustack->holes);
}

void resolve_user(struct resolver *resolver, const struct rille_record *record, const struct rille_ustack *ustack,
        size_t bytes, uint32_t depth, struct stack *ret)
{
	if (no_user_stack(record, ustack, bytes, ret))
		return;
	struct process *process = proc_table_get(resolver->options.procs, record->pid, record->start_time);
	if (!process) {
		ret->end = STACK_NO_MEMORY;
		return;
	}
	pid_t readable = readable_task(process, record), reader = readable ? readable : (pid_t)record->pid;
	begin_search(resolver, reader, readable);
	struct runtimes *runtimes = runtimes_of(process, resolver->memory, resolver->names, record->nsecs);
	begin_walk(resolver, reader, readable, ustack);
	struct unwind unwind = {
	        .walk = {.process = process,
	                .memory = resolver->memory,
	                .names = resolver->names,
	                .tid = record->tid,
	                .nsecs = record->nsecs,
	                .stack = ret,
	                .depth = depth && depth < MAX_DEPTH ? depth : MAX_DEPTH,
	                .signatures = resolver->options.signatures},
	        .runtimes = runtimes,
	        .copy_start = ustack->regs[REG_SP],
	        .copy_end = ustack->regs[REG_SP] + ustack->got,
	        .stamp = ++resolver->events,
	        .lines = resolver->options.lines,
	        .debug_root = resolver->options.debug_root,
	};
	walk(&unwind, ustack);
	if (unwind.generated && runtimes && readable) {
		begin_search(resolver, reader, readable);
		bool ready = runtimes_ask_again(runtimes, process, resolver->memory, resolver->names, record->nsecs);
		begin_walk(resolver, reader, readable, ustack);
		if (ready)
			walk(&unwind, ustack);
	}
	if (!ustack->anchor[0] && runtimes && resolver->options.anchor_map >= 0)
		runtimes_sync_threads(runtimes, resolver->memory, record->nsecs, resolver->options.anchor_map);
	tell_denied(resolver);
}

void resolver_prepare(struct resolver *resolver, pid_t pid)
{
	struct timespec now;
	struct process *process = proc_table_get(resolver->options.procs, pid, 0);
	if (!process || !process_alive(process))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t nsecs = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	begin_search(resolver, pid, true);
	struct runtimes *runtimes = runtimes_of(process, resolver->memory, resolver->names, nsecs);
	if (runtimes && resolver->options.anchor_map >= 0)
		runtimes_sync_threads(runtimes, resolver->memory, nsecs, resolver->options.anchor_map);
}

static bool add_kernel_frame(const struct kallsyms *kallsyms, uint64_t address, bool top, struct stack *ret)
{
	struct walk adder = {.stack = ret, .depth = MAX_DEPTH};
	struct frame *frame = walk_add(&adder);
	uint64_t start;
	if (!frame)
		return false;
	frame->ip = address;
	frame->kind = FRAME_KERNEL;
	frame->name = kallsyms ? kallsyms_find(kallsyms, address - !top, &frame->module, &start) : NULL;
	frame->offset = frame->name ? address - start : 0;
	return true;
}

/* The frames of being traced: they stand on top of every stack and are not part of what happened. */
static bool is_tracing(const char *name)
{
	static const char *const ours[] = {"bpf_prog_", "bpf_trace_run", "__bpf_trace_", "__traceiter_",
	        "trace_call_bpf", "perf_trace_", "perf_syscall_", "bpf_get_stack", "__bpf_prog_run", "bpf_dispatcher_"};
	for (size_t i = 0; name && i < sizeof(ours) / sizeof(*ours); i++)
		if (!strncmp(name, ours[i], strlen(ours[i])))
			return true;
	return false;
}

static size_t skip_tracing(const struct kallsyms *kallsyms, const uint64_t *addresses, size_t n)
{
	const char *module;
	uint64_t start;
	size_t i = 0;
	while (kallsyms && i < n && is_tracing(kallsyms_find(kallsyms, addresses[i], &module, &start)))
		i++;
	return i < n ? i : 0;
}

void resolve_kernel(struct resolver *resolver, const uint64_t *addresses, size_t n, struct stack *ret)
{
	ret->nframes = 0;
	ret->site = 0;
	ret->end = STACK_ROOT;
	if (n && !resolver->kallsyms_tried) {
		resolver->kallsyms_tried = true;
		resolver->kallsyms = kallsyms_load();
	}
	for (size_t i = skip_tracing(resolver->kallsyms, addresses, n); i < n && addresses[i]; i++) {
		ret->site = (ret->site ^ addresses[i]) * 0x9E3779B97F4A7C15ULL; /* the kernel stays where it is */
		if (!add_kernel_frame(resolver->kallsyms, addresses[i], i == 0, ret))
			return;
	}
}
