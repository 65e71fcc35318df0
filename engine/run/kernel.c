/* The kernel session: a loaded object, its attached programs, its ring buffer and the maps that both sides use.
 *
 * When the kernel side rings (bpf-templates/names.h, enum rille_armed). A wake-up costs the traced process several
 * times what the event costs, so the reader asks for one only when it is about to sleep with nothing to do. An event
 * that comes within BUSY_NS of the last wake-up makes the session busy: then the reader comes back by itself after 1 to
 * 5 ms, and the kernel side rings only if the ring gets a quarter full in the meantime. A round that finds nothing ends
 * that.
 *
 * Arming and looking race with a writer on another CPU. The writer puts its record into the ring before it looks
 * whether it has to ring; the reader arms before it looks whether there is a record. So one of them sees the other. */
#include "engine/run/kernel.h"
#include "engine/run/attach.h"
#include "engine/run/object.h"
#include "engine/run/privilege.h"
#include "engine/run/ring.h"
#include "engine/base/text.h"
#include "bpf-templates/names.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	RING_MOST = 1 << 30,
	RING_PLAIN = 1 << 20,  /* records of some 100 bytes: 10,000 of them */
	RING_STACKS = 8 << 20, /* records of some 4 KB: 2,000 of them, 20 ms of a producer at full speed */
	DELAY_MIN = 1,
	DELAY_MAX = 5, /* ms */
	BUSY_NS = 10000000,
};

struct kernel {
	const struct logger *log;
	const struct gen_result *plan;
	struct bpf_object *object;
	struct ring *ring;
	int ring_fd, stats_fd, pids_fd, anchors_fd;
	uint64_t ring_bytes, ring_peak;
	struct rille_ctl *ctl;
	int *links; /* what close() detaches, in order of attaching */
	size_t nlinks;
	struct rille_stats *percpu; /* room for one element of the per-CPU array */
	int ncpus;
	bool emptied; /* by the last round */
	bool busy;
	uint64_t woken;       /* when the last record after a pause came */
	uint64_t round_began; /* start of the last round, and what it took out of the ring */
	uint64_t rate;        /* bytes a ms */
	uint64_t corrupt;
	struct text mechanisms;
};

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t largest_record(const struct gen_result *plan)
{
	uint64_t largest = 0;
	for (size_t i = 0; i < plan->nprobes; i++) {
		const struct probe_schema *probe = &plan->probes[i];
		uint64_t size = probe->size;
		if (probe->ustack_offset)
			size += probe->max_bytes ? probe->max_bytes : 64 << 10;
		if (size > largest)
			largest = size;
	}
	return largest;
}

static uint64_t choose_ring(const struct kernel_options *options)
{
	uint64_t want = RING_PLAIN, largest = largest_record(options->plan);
	for (size_t i = 0; i < options->plan->nprobes; i++)
		if (options->plan->probes[i].ustack_offset)
			want = RING_STACKS;
	if (options->ring_bytes)
		want = options->ring_bytes < RING_MOST ? options->ring_bytes : RING_MOST;
	uint64_t bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	while (bytes < want || bytes < 2 * largest)
		bytes *= 2;
	return bytes;
}

static int open_ctl(struct kernel *kernel, struct err *err)
{
	int fd = object_map(kernel->object, RILLE_MAP_CTL);
	if (fd < 0)
		return err_set(
		        err, -EINVAL, ERR_RUNTIME, "bad-object", "the compiled object has no map %s", RILLE_MAP_CTL);
	void *p = mmap(NULL, sizeof(*kernel->ctl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_set(
		        err, -errno, ERR_RUNTIME, "ring-map", "cannot map %s: %s", RILLE_MAP_CTL, strerror(errno));
	kernel->ctl = p;
	kernel->ctl->wake_bytes = kernel->ring_bytes / 4;
	return 0;
}

static int open_maps(struct kernel *kernel, const struct kernel_options *options, struct err *err)
{
	kernel->ring_fd = object_map(kernel->object, RILLE_MAP_RING);
	kernel->stats_fd = object_map(kernel->object, RILLE_MAP_STATS);
	kernel->pids_fd = options->portable && !options->npids ? -1 : object_map(kernel->object, RILLE_MAP_PIDS);
	kernel->anchors_fd = object_map(kernel->object, RILLE_MAP_ANCHORS);
	kernel->ncpus = libbpf_num_possible_cpus();
	if (kernel->ncpus < 1 || kernel->stats_fd < 0)
		return err_set(err, -EINVAL, ERR_RUNTIME, "bad-object", "the compiled object has no counters");
	kernel->percpu = calloc((size_t)kernel->ncpus, sizeof(*kernel->percpu));
	if (!kernel->percpu)
		return err_nomem(err);
	int r = open_ctl(kernel, err);
	if (r < 0)
		return r;
	return ring_open(&kernel->ring, kernel->ring_fd, kernel->ring_bytes, largest_record(kernel->plan), err);
}

static int set_cgroups(struct kernel *kernel, const struct kernel_options *options, struct err *err)
{
	int map = options->ncgroups ? object_map(kernel->object, RILLE_MAP_CGROUPS) : -1;
	if (options->ncgroups && map < 0)
		return err_set(err, -EOPNOTSUPP, ERR_SCRIPT, "bad-object",
		        "an object that was made elsewhere cannot choose containers");
	for (uint32_t i = 0; i < options->ncgroups; i++)
		if (bpf_map_update_elem(map, &i, &options->cgroups[i], BPF_ANY) < 0)
			return err_set(err, -errno, ERR_KERNEL, "no-cgroup",
			        "the container's cgroup cannot be watched: %s", strerror(errno));
	return 0;
}

static void describe(struct kernel *kernel)
{
	for (size_t i = 0; i < kernel->plan->nprobes; i++) {
		const struct probe_schema *probe = &kernel->plan->probes[i];
		if (probe->kind == PROBE_SYSCALL)
			text_printf(&kernel->mechanisms, "%s: %s %s\n", probe->name, mechanism_raw_tracepoint.name,
			        probe->at_entry      ? "sys_enter"
			        : probe->needs_entry ? "sys_enter + sys_exit"
			                             : "sys_exit");
		else
			text_printf(&kernel->mechanisms, "%s: %s id %lld\n", probe->name, mechanism_tracepoint.name,
			        (long long)probe->number);
	}
	text_printf(&kernel->mechanisms, "ring buffer: %llu KiB\n", (unsigned long long)kernel->ring_bytes >> 10);
}

/* Programs see the ids of the initial pid namespace; in another one the same number is another process. */
static int check_pids(const struct kernel_options *options, struct err *err)
{
	if (privilege_has_initial_pids())
		return 0;
	if (!options->npids) {
		log_warn(options->log,
		        "in a pid namespace: process ids are those of the machine, and stacks have few names");
		return 0;
	}
	err_set(err, -EOPNOTSUPP, ERR_KERNEL, "pid-namespace",
	        "processes cannot be named in a pid namespace: the kernel's programs see other ids");
	err_hint(err, "run it in the initial pid namespace, in a container with --pid=host; -n and -u work here");
	return -EOPNOTSUPP;
}

int kernel_load(
        struct kernel **ret, const void *object, size_t len, const struct kernel_options *options, struct err *err)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	if (!kernel)
		return err_nomem(err);
	kernel->log = options->log;
	kernel->plan = options->plan;
	kernel->ring_bytes = choose_ring(options);
	int r = check_pids(options, err);
	if (r == 0)
		r = object_load(&kernel->object, object, len, options, kernel->ring_bytes, err);
	if (r == 0)
		r = open_maps(kernel, options, err);
	if (r == 0)
		r = set_cgroups(kernel, options, err);
	for (size_t i = 0; r == 0 && i < options->npids; i++)
		r = kernel_add_pid(kernel, options->pids[i], err);
	if (r < 0) {
		kernel_free(kernel);
		return r;
	}
	describe(kernel);
	if (text_failed(&kernel->mechanisms)) {
		kernel_free(kernel);
		return err_nomem(err);
	}
	*ret = kernel;
	return 0;
}

int kernel_add_pid(struct kernel *kernel, pid_t pid, struct err *err)
{
	uint32_t key = (uint32_t)pid, value = 1;
	if (kernel->pids_fd < 0)
		return err_set(err, -EINVAL, ERR_RUNTIME, "wrong-state",
		        "the programs were loaded to trace every process; name one target before attaching");
	if (bpf_map_update_elem(kernel->pids_fd, &key, &value, BPF_ANY) < 0)
		return err_set(err, -errno, ERR_RUNTIME, "too-many-targets", "cannot trace process %d: %s", (int)pid,
		        strerror(errno));
	return 0;
}

bool kernel_has_targets(const struct kernel *kernel)
{
	uint32_t key;
	return kernel->pids_fd < 0 || bpf_map_get_next_key(kernel->pids_fd, NULL, &key) == 0;
}

/* The order that names.h asks for: children, entries, what sends events, and last what forgets a process. */
static int rank(const char *program)
{
	static const char *const order[] = {RILLE_PROG_FORK, RILLE_PROG_SYS_ENTER, NULL, RILLE_PROG_EXIT};
	enum { SENDERS = 2 };
	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (order[i] && !strcmp(program, order[i]))
			return (int)i;
	return SENDERS;
}

static const struct probe_schema *probe_of(const struct kernel *kernel, const char *program)
{
	size_t len = strlen(RILLE_PROG_TRACEPOINT);
	if (strncmp(program, RILLE_PROG_TRACEPOINT, len) != 0)
		return NULL;
	unsigned long i = strtoul(program + len, NULL, 10);
	return i < kernel->plan->nprobes ? &kernel->plan->probes[i] : NULL;
}

static int attach_program(struct kernel *kernel, struct bpf_program *program, struct err *err)
{
	static const struct mechanism *const mechanisms[] = {&mechanism_raw_tracepoint, &mechanism_tracepoint};
	const char *section = bpf_program__section_name(program);
	const struct probe_schema *probe = probe_of(kernel, bpf_program__name(program));
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(*mechanisms); i++) {
		size_t len = strlen(mechanisms[i]->section);
		if (strncmp(section, mechanisms[i]->section, len) != 0)
			continue;
		int fd = mechanisms[i]->attach(bpf_program__fd(program), section + len, probe, err);
		if (fd < 0)
			return fd;
		kernel->links[kernel->nlinks++] = fd;
		return 0;
	}
	return err_set(err, -EINVAL, ERR_RUNTIME, "bad-object", "no way to attach section %s", section);
}

int kernel_attach(struct kernel *kernel, struct err *err)
{
	size_t n = 0;
	struct bpf_program *program;
	bpf_object__for_each_program(program, kernel->object) n++;
	kernel->links = calloc(n, sizeof(*kernel->links));
	if (!kernel->links)
		return err_nomem(err);
	for (int turn = 0; turn <= 3; turn++) {
		bpf_object__for_each_program(program, kernel->object)
		{
			bool now = rank(bpf_program__name(program)) == turn && bpf_program__fd(program) >= 0;
			int r = now ? attach_program(kernel, program, err) : 0;
			if (r < 0) {
				kernel_detach(kernel);
				return r;
			}
		}
	}
	return 0;
}

int kernel_fd(const struct kernel *kernel)
{
	return kernel->ring_fd;
}

/* The kernel wrote it, but from a program that we generated: a bug there must not become one here. */
static bool is_sound(const struct kernel *kernel, const struct rille_record *record, size_t size)
{
	if (size < sizeof(*record) || record->probe >= kernel->plan->nprobes)
		return false;
	const struct probe_schema *probe = &kernel->plan->probes[record->probe];
	/* A kernel thread or a 32-bit task has no snapshot, though its probe asks for one: the record ends before it. */
	bool snapshot = record->flags & RILLE_REC_USTACK;
	if (size < (probe->ustack_offset && !snapshot ? probe->ustack_offset : probe->size))
		return false;
	if (!probe->ustack_offset || !snapshot)
		return true;
	const struct rille_ustack *ustack = (const void *)((const char *)record + probe->ustack_offset);
	if (size < probe->ustack_offset + sizeof(*ustack))
		return false;
	return ustack->got <= ustack->room && ustack->room <= size - probe->ustack_offset - sizeof(*ustack);
}

static void begin_round(struct kernel *kernel, uint64_t time)
{
	uint64_t pending = ring_pending(kernel->ring);
	if (kernel->ctl->armed != RILLE_RING_WHEN_FULL)
		__atomic_store_n(&kernel->ctl->armed, RILLE_RING_WHEN_FULL, __ATOMIC_RELAXED);
	if (pending > kernel->ring_peak)
		kernel->ring_peak = pending;
	uint64_t ms = (time - kernel->round_began) / 1000000 + 1;
	kernel->rate = pending / ms;
	kernel->round_began = time;
}

static void end_round(struct kernel *kernel, int n, uint64_t time)
{
	ring_release(kernel->ring);
	if (n > 0 && !kernel->busy) {
		kernel->busy = time - kernel->woken < BUSY_NS;
		kernel->woken = time;
	} else if (n == 0) {
		kernel->busy = false;
	}
}

int kernel_consume(struct kernel *kernel, record_fn fn, void *user, uint32_t max, uint64_t budget_ns)
{
	uint64_t began = now();
	int n = 0, error = 0, r = 0;
	begin_round(kernel, began);
	kernel->emptied = false;
	while (r == 0 && (!max || (uint32_t)n < max)) {
		size_t size;
		const struct rille_record *record = ring_next(kernel->ring, &size, &error);
		kernel->emptied = !record;
		if (!record)
			break;
		n++;
		if (is_sound(kernel, record, size))
			r = fn(user, record, size);
		else
			kernel->corrupt++;
		/* Looking at the clock for every record would be a tenth of its cost. */
		if (budget_ns && n % 16 == 0 && now() - began > budget_ns)
			break;
	}
	end_round(kernel, n, began);
	if (error)
		return error;
	return r < 0 ? r : n;
}

bool kernel_emptied(const struct kernel *kernel)
{
	return kernel->emptied;
}

bool kernel_arm(struct kernel *kernel)
{
	__atomic_store_n(&kernel->ctl->armed, RILLE_RING_NEXT, __ATOMIC_SEQ_CST);
	return ring_pending(kernel->ring) > 0;
}

int kernel_delay_ms(const struct kernel *kernel)
{
	/* A round that was cut short by its budget left much behind. */
	if (ring_pending(kernel->ring) > kernel->ring_bytes / 16)
		return 0;
	if (!kernel->busy)
		return -1;
	uint64_t ms = kernel->rate ? kernel->ring_bytes / 8 / kernel->rate : DELAY_MAX;
	return ms < DELAY_MIN ? DELAY_MIN : ms > DELAY_MAX ? DELAY_MAX : (int)ms;
}

int kernel_stats(const struct kernel *kernel, size_t i, struct rille_stats *ret)
{
	uint32_t key = (uint32_t)i;
	memset(ret, 0, sizeof(*ret));
	if (bpf_map_lookup_elem(kernel->stats_fd, &key, kernel->percpu) < 0)
		return -errno;
	for (int cpu = 0; cpu < kernel->ncpus; cpu++) {
		const struct rille_stats *one = &kernel->percpu[cpu];
		ret->seen += one->seen;
		ret->target += one->target;
		ret->passed += one->passed;
		ret->sent += one->sent;
		ret->lost_ring += one->lost_ring;
		ret->lost_entry += one->lost_entry;
		ret->lost_compat += one->lost_compat;
		ret->lost_limit += one->lost_limit;
		ret->lost_full += one->lost_full;
	}
	return 0;
}

const struct bpf_object *kernel_object(const struct kernel *kernel)
{
	return kernel->object;
}

int kernel_anchor_map(const struct kernel *kernel)
{
	return kernel->anchors_fd < 0 ? -1 : kernel->anchors_fd;
}

const char *kernel_mechanisms(const struct kernel *kernel)
{
	return text_str(&kernel->mechanisms);
}

void kernel_ring_usage(const struct kernel *kernel, uint64_t *ret_size, uint64_t *ret_peak)
{
	*ret_size = kernel->ring_bytes;
	*ret_peak = kernel->ring_peak;
}

uint64_t kernel_lost_targets(const struct kernel *kernel)
{
	return kernel->ctl->lost_targets;
}

uint64_t kernel_corrupt(const struct kernel *kernel)
{
	return kernel->corrupt;
}

void kernel_detach(struct kernel *kernel)
{
	if (!kernel)
		return;
	while (kernel->nlinks)
		close(kernel->links[--kernel->nlinks]);
}

void kernel_free(struct kernel *kernel)
{
	if (!kernel)
		return;
	kernel_detach(kernel);
	ring_close(kernel->ring);
	if (kernel->ctl)
		munmap(kernel->ctl, sizeof(*kernel->ctl));
	object_close(kernel->object);
	text_fini(&kernel->mechanisms);
	free(kernel->percpu);
	free(kernel->links);
	free(kernel);
}
