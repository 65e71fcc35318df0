/* Stops a process, or runs a program up to a system call, and prints the stack that the engine makes of its registers
 * and its copied stack: the unwinder without the kernel side, to be compared with eu-stack, gdb and strace on the same
 * process.
 *
 *     stackdump [-b BYTES] [-l] [-r N] PID      of each of its threads
 *     stackdump [-b BYTES] [-l] [-g] -s NR CMD… at each entry of system call NR
 *     stackdump [-b BYTES] -x N,ROUNDS,SEED PID many times over, with one of N reads of its memory corrupted
 *
 * -b: bytes of stack copied (default 32768), the rest is read live; -l: source lines; -r: what a stack takes when
 * it is resolved again, the mean of N times;
 * -g: the stack is resolved when the process is really gone. A line a frame:
 * "#N 0xADDRESS NAME+0xOFFSET MODULE FILE:LINE HOW", then "end REASON". */
#include "engine/stack/resolve.h"

#include "engine/stack/module.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct corruption {
	unsigned one_of; /* 0 = none */
	unsigned rounds, seed;
	unsigned long reads, corrupted;
};

struct dump {
	struct corruption corruption;
	struct proc_table *procs;
	struct resolver *resolver;
	struct stack stack;
	size_t bytes;
	unsigned again;
	bool lines, gone;
};

static uint64_t now_nsecs(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void take_registers(const struct user_regs_struct *from, struct rille_ustack *to)
{
	const uint64_t regs[] = {from->rax, from->rdx, from->rcx, from->rbx, from->rsi, from->rdi, from->rbp, from->rsp,
	        from->r8, from->r9, from->r10, from->r11, from->r12, from->r13, from->r14, from->r15, from->rip};
	memcpy(to->regs, regs, sizeof(regs));
	to->tls = from->fs_base;
}

/* What the kernel side would send: NULL if the thread cannot be read. */
static struct rille_ustack *capture(pid_t tid, size_t bytes)
{
	struct user_regs_struct regs;
	struct rille_ustack *ustack = calloc(1, sizeof(*ustack) + bytes);
	if (!ustack || ptrace(PTRACE_GETREGS, tid, NULL, &regs)) {
		free(ustack);
		return NULL;
	}
	take_registers(&regs, ustack);
	uint64_t sp = regs.rsp;
	while (ustack->got < bytes) {
		size_t n = 4096 - (sp + ustack->got) % 4096;
		if (n > bytes - ustack->got)
			n = bytes - ustack->got;
		struct iovec here = {(uint8_t *)(ustack + 1) + ustack->got, n};
		struct iovec there = {(void *)(uintptr_t)(sp + ustack->got), n};
		if (process_vm_readv(tid, &here, 1, &there, 1, 0) != (ssize_t)n)
			break;
		ustack->got += n;
	}
	ustack->room = bytes;
	return ustack;
}

static void print_frame(size_t i, const struct frame *frame)
{
	const char *how = frame_how_name(frame->how);
	printf("#%zu 0x%llx ", i, (unsigned long long)frame->ip);
	if (frame->name)
		printf("%s+0x%llx", frame->name, (unsigned long long)frame->offset);
	else
		printf("?+0x%llx", (unsigned long long)frame->offset);
	printf("\t%s\t", frame->module ? frame->module : "-");
	if (frame->file)
		printf("%s:%d", frame->file, frame->line);
	printf("\t%s\t%s\n", frame_kind_name(frame->kind), how ? how : "cfi");
}

static void print_stack(struct dump *dump, pid_t pid, pid_t tid, const struct rille_ustack *ustack)
{
	struct rille_record record = {.pid = pid, .tid = tid, .nsecs = now_nsecs()};
	uint64_t began = now_nsecs();
	resolve_user(dump->resolver, &record, ustack, ustack->got, 0, &dump->stack);
	uint64_t first = now_nsecs() - began;
	began = now_nsecs();
	for (unsigned i = 0; i < dump->again; i++)
		resolve_user(dump->resolver, &record, ustack, ustack->got, 0, &dump->stack);
	uint64_t again = (now_nsecs() - began) / dump->again;
	printf("thread %d\n", (int)tid);
	for (size_t i = 0; i < dump->stack.nframes; i++)
		print_frame(i, &dump->stack.frames[i]);
	printf("end %s\n", stack_end_name(dump->stack.end));
	fprintf(stderr, "tid %d: %zu frames, first %llu ns, again %llu ns, site %llx\n", (int)tid, dump->stack.nframes,
	        (unsigned long long)first, (unsigned long long)again, (unsigned long long)dump->stack.site);
	fflush(stdout);
}

/* What a hostile process could have there instead: any bits, zeros, a huge number, a pointer to itself. */
static void corrupt(struct corruption *c, uint64_t address, uint8_t *buffer, size_t len)
{
	size_t at = (size_t)rand_r(&c->seed) % len, n = len - at < 8 ? len - at : 8;
	uint64_t value =
	        (uint64_t)rand_r(&c->seed) << 33 ^ (uint64_t)rand_r(&c->seed) << 11 ^ (uint64_t)rand_r(&c->seed);
	switch (rand_r(&c->seed) % 5) {
	case 0:
		value = 0;
		break;
	case 1:
		value = UINT64_MAX >> rand_r(&c->seed) % 64;
		break;
	case 2:
		value = address + at;
		break;
	case 3:
		n = 1;
		break;
	}
	c->corrupted++;
	memcpy(buffer + at, &value, n);
}

static ssize_t corrupting_read(void *user, pid_t pid, uint64_t address, void *buffer, size_t len)
{
	struct corruption *c = user;
	struct iovec here = {buffer, len}, there = {(void *)(uintptr_t)address, len};
	ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);
	c->reads++;
	if (n > 0 && rand_r(&c->seed) % c->one_of == 0)
		corrupt(c, address, buffer, (size_t)n);
	return n;
}

/* Only that it ends, and within its budget, is asked for: what is printed are the ends and how often each came. */
static void storm(struct dump *dump, pid_t pid, pid_t tid, const struct rille_ustack *ustack)
{
	unsigned ends[STACK_NO_MEMORY + 1] = {0};
	uint64_t slowest = 0;
	for (unsigned i = 0; i < dump->corruption.rounds; i++) {
		struct rille_record record = {.pid = pid, .tid = tid, .nsecs = now_nsecs() + i * 1000000000ULL};
		uint64_t began = now_nsecs();
		resolve_user(dump->resolver, &record, ustack, ustack->got, 0, &dump->stack);
		uint64_t took = now_nsecs() - began;
		slowest = took > slowest ? took : slowest;
		ends[dump->stack.end]++;
	}
	printf("thread %d slowest %llu", (int)tid, (unsigned long long)slowest);
	for (int end = 0; end <= STACK_NO_MEMORY; end++)
		if (ends[end])
			printf(" %s %u", stack_end_name(end), ends[end]);
	printf("\n");
}

static void dump_stopped(struct dump *dump, pid_t pid, pid_t tid)
{
	struct rille_ustack *ustack = capture(tid, dump->bytes);
	if (ustack && dump->corruption.one_of)
		storm(dump, pid, tid, ustack);
	else if (ustack)
		print_stack(dump, pid, tid, ustack);
	free(ustack);
}

static int dump_threads(struct dump *dump, pid_t pid)
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(name);
	struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);
		int status;
		if (tid <= 0 || ptrace(PTRACE_SEIZE, tid, NULL, NULL) || ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) ||
		        waitpid(tid, &status, __WALL) != tid)
			continue;
		dump_stopped(dump, pid, tid);
		ptrace(PTRACE_DETACH, tid, NULL, NULL);
	}
	if (dir)
		closedir(dir);
	return dir ? 0 : 1;
}

/* The process is killed with its captured stack in hand. */
static void dump_after_death(struct dump *dump, pid_t pid)
{
	struct rille_ustack *ustack = capture(pid, dump->bytes);
	int status;
	proc_table_advance(dump->procs, UINT64_MAX);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (ustack)
		print_stack(dump, pid, pid, ustack);
	free(ustack);
}

static int dump_calls(struct dump *dump, long nr, char **argv)
{
	pid_t pid = fork();
	int status;
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC);
	bool entry = true, started = false;
	for (int signal = 0; !ptrace(PTRACE_SYSCALL, pid, NULL, signal) && waitpid(pid, &status, 0) == pid;) {
		struct user_regs_struct regs;
		signal = 0;
		if (WIFEXITED(status) || WIFSIGNALED(status))
			break;
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) {
			started = true;
			entry = true;
			ptrace(PTRACE_SYSCALL, pid, NULL, 0); /* the exit of execve */
			waitpid(pid, &status, 0);
			continue;
		}
		if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			signal = WSTOPSIG(status);
			continue;
		}
		if (entry && started && !ptrace(PTRACE_GETREGS, pid, NULL, &regs) && (long)regs.orig_rax == nr) {
			if (dump->gone) {
				dump_after_death(dump, pid);
				return 0;
			}
			dump_stopped(dump, pid, pid);
		}
		entry = !entry;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct dump dump = {.bytes = 32768, .again = 1};
	long nr = -1;
	int option;
	struct err err = {0};
	while ((option = getopt(argc, argv, "+b:lgr:s:x:")) != -1) {
		if (option == 'b')
			dump.bytes = strtoul(optarg, NULL, 0);
		else if (option == 'l')
			dump.lines = true;
		else if (option == 'g')
			dump.gone = true;
		else if (option == 'r')
			dump.again = atoi(optarg) > 0 ? (unsigned)atoi(optarg) : 1;
		else if (option == 's')
			nr = atol(optarg);
		else if (option == 'x' && sscanf(optarg, "%u,%u,%u", &dump.corruption.one_of, &dump.corruption.rounds,
		                                  &dump.corruption.seed) != 3)
			return 2;
	}
	struct proc_options procs = {.free_module = module_free, .free_runtime = resolver_free_runtime};
	if (optind == argc || proc_table_open(&dump.procs, &procs, &err)) {
		fprintf(stderr, "stackdump: %s\n", err.message);
		return 2;
	}
	struct resolve_options options = {.procs = dump.procs, .lines = dump.lines, .anchor_map = -1};
	dump.resolver = resolver_new(&options);
	if (dump.corruption.one_of)
		resolver_set_reader(dump.resolver, corrupting_read, &dump.corruption);
	fprintf(stderr, "%s\n", proc_table_mechanism(dump.procs));
	int r = nr >= 0 ? dump_calls(&dump, nr, argv + optind) : dump_threads(&dump, atoi(argv[optind]));
	if (dump.corruption.one_of)
		printf("reads %lu corrupted %lu\n", dump.corruption.reads, dump.corruption.corrupted);
	proc_table_close(dump.procs);
	resolver_free(dump.resolver);
	stack_fini(&dump.stack);
	return r;
}
