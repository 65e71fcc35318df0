/* What an event costs that a host hears of: by hand with libbpf, through Rille's C callback, and through a script's on_event.
 * All three are attached to one child, which makes the events while nobody reads; then each empties its ring, in turns.
 *
 *     callback OBJECT EVENTS ROUNDS
 *
 * prints two lines for each round, nanoseconds an event: what the kernel says that the programs of each ran for, and the
 * CPU time of each reader:
 *
 *     kernel hand=NS c=NS lua=NS
 *     reader hand=NS c=NS lua=NS
 *
 * The programs on sys_exit run for every call of every process, so the machine should be quiet. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <rille.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "callback.h"

enum { HAND, C, LUA, READERS, RING = 16 << 20, MOST_PROGRAMS = 16 };

static const char *object_path;
static const struct rille_options options = {.size = sizeof(options), .ring_bytes = RING};

struct reader {
	struct bpf_object *object;
	struct ring_buffer *ring;
	rille *r;
	int programs[MOST_PROGRAMS], nprograms; /* descriptors */
	long events, sum;
};

static int fail(const char *what, const rille *r)
{
	fprintf(stderr, "callback: %s: %s\n", what, r ? rille_last_error(r)->formatted : "failed");
	return 1;
}

/* The four numbers are looked at, so that none of the ways gets by without them. */
static int by_hand(void *user, void *data, size_t size)
{
	struct reader *reader = user;
	const struct callback_event *event = data;
	if (size < sizeof(*event))
		return 0;
	reader->events++;
	reader->sum += event->family + event->type + event->protocol + event->ret;
	return 0;
}

static int in_c(void *user, const rille_event *event)
{
	struct reader *reader = user;
	int64_t family, type, protocol, ret;
	if (rille_event_i64(event, 0, &family) || rille_event_i64(event, 1, &type) ||
	        rille_event_i64(event, 2, &protocol) || rille_event_i64(event, 3, &ret))
		return -1;
	reader->events++;
	reader->sum += family + type + protocol + ret;
	return 0;
}

static int open_hand(struct reader *reader, pid_t pid)
{
	struct bpf_program *program;
	unsigned wanted = (unsigned)pid;
	reader->object = bpf_object__open_file(object_path, NULL);
	struct bpf_map *rodata = reader->object ? bpf_object__find_map_by_name(reader->object, ".rodata") : NULL;
	if (!rodata || bpf_map__set_initial_value(rodata, &wanted, sizeof(wanted)) || bpf_object__load(reader->object))
		return fail("load", NULL);
	bpf_object__for_each_program(program, reader->object) if (!bpf_program__attach(program)) return fail(
	        "attach", NULL);
	int fd = bpf_object__find_map_fd_by_name(reader->object, "ring");
	reader->ring = ring_buffer__new(fd, by_hand, reader, NULL);
	return reader->ring ? 0 : fail("ring", NULL);
}

static int attach(struct reader *reader, pid_t pid)
{
	return rille_target_pid(reader->r, pid) || rille_attach(reader->r) ? fail("attach", reader->r) : 0;
}

static int open_c(struct reader *reader, pid_t pid)
{
	static const struct rille_field fields[] = {
	        {.name = "family"}, {.name = "type"}, {.name = "protocol"}, {.name = "fd = ret"}};
	static const struct rille_probe probe = {
	        .size = sizeof(probe), .on = "syscall:socket", .fields = fields, .nfields = 4};
	reader->r = rille_new(&options);
	if (!reader->r || rille_add_probe(reader->r, &probe) < 0 || rille_on_event(reader->r, in_c, reader))
		return fail("declare", reader->r);
	return attach(reader, pid);
}

static int open_lua(struct reader *reader, pid_t pid)
{
	static const char script[] =
	        "local sum = 0\nreturn { probes = { { 'syscall:socket',\n"
	        "  fields = { 'family', 'type', 'protocol', 'fd = ret' },\n"
	        "  on_event = function(ev) sum = sum + ev.family + ev.type + ev.protocol + ev.fd end } } }";
	reader->r = rille_new(&options);
	if (!reader->r || rille_load_string(reader->r, script, sizeof(script) - 1, "bench"))
		return fail("declare", reader->r);
	return attach(reader, pid);
}

static long long cpu_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Empties the ring; CPU time an event. */
static double empty(struct reader *reader, long wanted)
{
	long got = 0;
	long long before = cpu_now();
	while (got < wanted) {
		int n = reader->ring ? ring_buffer__consume(reader->ring) : rille_dispatch(reader->r, 0, 0);
		if (n < 0)
			return -1;
		got += n;
	}
	return (double)(cpu_now() - before) / (double)got;
}

/* The time that BPF programs behind these descriptors ran for (BPF_ENABLE_STATS). */
static long long run_time(const int *fds, int n)
{
	long long total = 0, one;
	char line[256];
	for (int i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", fds[i]);
		FILE *info = fopen(line, "r");
		while (info && fgets(line, sizeof(line), info))
			if (sscanf(line, "run_time_ns: %lld", &one) == 1)
				total += one;
		if (info)
			fclose(info);
	}
	return total;
}

/* The descriptors of BPF programs that are there and are not in `known`. */
static int find_programs(const struct reader *known, int nknown, int *ret)
{
	char path[64], target[64];
	int n = 0;
	for (int fd = 3; fd < 256 && n < MOST_PROGRAMS; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t len = readlink(path, target, sizeof(target) - 1);
		bool old = len <= 0 || strncmp(target, "anon_inode:bpf-prog", (size_t)len) != 0;
		for (int i = 0; i < nknown; i++)
			for (int k = 0; k < known[i].nprograms; k++)
				old |= known[i].programs[k] == fd;
		if (!old)
			ret[n++] = fd;
	}
	return n;
}

static int open_readers(struct reader readers[READERS], pid_t pid)
{
	static int (*const ways[READERS])(struct reader *, pid_t) = {open_hand, open_c, open_lua};
	for (int i = 0; i < READERS; i++) {
		if (ways[i](&readers[i], pid))
			return 1;
		readers[i].nprograms = find_programs(readers, i, readers[i].programs);
	}
	return 0;
}

static void close_reader(struct reader *reader)
{
	ring_buffer__free(reader->ring);
	bpf_object__close(reader->object);
	rille_free(reader->r);
}

struct child {
	pid_t pid;
	int go, done;
};

/* Makes as many sockets as it is told, and answers. */
static int start_child(struct child *child)
{
	int go[2], done[2];
	long n;
	if (pipe(go) || pipe(done))
		return -1;
	child->pid = fork();
	if (child->pid == 0) {
		close(go[1]);
		while (read(go[0], &n, sizeof(n)) == sizeof(n)) {
			for (long i = 0; i < n; i++)
				close(socket(AF_UNIX, SOCK_STREAM, 0));
			if (write(done[1], &n, sizeof(n)) != sizeof(n))
				break;
		}
		_exit(0);
	}
	close(go[0]);
	close(done[1]);
	child->go = go[1];
	child->done = done[0];
	return child->pid < 0 ? -1 : 0;
}

static int produce(const struct child *child, long n)
{
	return write(child->go, &n, sizeof(n)) != sizeof(n) || read(child->done, &n, sizeof(n)) != sizeof(n);
}

static int one_round(struct reader readers[READERS], const struct child *child, long events, int first)
{
	double kernel[READERS], reading[READERS];
	for (int i = 0; i < READERS; i++)
		kernel[i] = -(double)run_time(readers[i].programs, readers[i].nprograms);
	if (produce(child, events))
		return fail("child", NULL);
	for (int i = 0; i < READERS; i++)
		kernel[i] += (double)run_time(readers[i].programs, readers[i].nprograms);
	for (int i = 0; i < READERS; i++) {
		int turn = (first + i) % READERS;
		reading[turn] = empty(&readers[turn], events);
		if (reading[turn] < 0)
			return fail("read", readers[turn].r);
	}
	double n = (double)events;
	printf("kernel hand=%.1f c=%.1f lua=%.1f\n", kernel[HAND] / n, kernel[C] / n, kernel[LUA] / n);
	printf("reader hand=%.1f c=%.1f lua=%.1f\n", reading[HAND], reading[C], reading[LUA]);
	return 0;
}

int main(int argc, char **argv)
{
	struct child child;
	struct reader readers[READERS];
	memset(readers, 0, sizeof(readers));
	if (argc != 4 || start_child(&child) < 0)
		return 2;
	object_path = argv[1];
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	int status = stats < 0 || open_readers(readers, child.pid);
	for (int round = 0; !status && round < atoi(argv[3]); round++)
		status = one_round(readers, &child, atol(argv[2]), round);
	if (!status && (readers[HAND].events != readers[C].events || readers[HAND].sum != readers[C].sum))
		status = fail("the readers have not seen the same", NULL);
	for (int i = 0; i < READERS; i++)
		close_reader(&readers[i]);
	close(stats);
	close(child.go);
	waitpid(child.pid, NULL, 0);
	return status;
}
