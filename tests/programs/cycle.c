/* A host that makes, uses and frees engines again and again, and tells what that leaves behind. It knows rille.h alone.
 *
 *     cycle probe|cold|script|FILE.o COUNT   COUNT rounds: declare, attach, three events, stop, free; `cold` is `probe`
 *                                            without a cache: each round compiles
 *     cycle probe|cold|script|FILE.o COUNT exhaust [FIRST]
 *                                            the same with allocations failing (failing.so is preloaded): COUNT of them,
 *                                            evenly spread over a round; 0: each; from the one behind it
 *
 * A first round is not counted: libraries keep things for themselves. Then lines of
 *
 *     before|middle|after descriptors=N threads=N blocks=N kilobytes=N
 *     round N: fine | CODE TAG               of the call that failed
 *
 * close(-1001) and close(-1002) stand around declaring and attaching, for those who watch the system calls. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <rille.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS = 3, PROTOCOL = 250 };

static const char script[] = "local seen = {}\n"
                             "return { params = { { 'wanted', 'u32[]', default = { 250 } } },\n"
                             "  probes = { { 'syscall:socket', where = 'protocol in $wanted', stack = 'user',\n"
                             "    fields = { { 'family', as = 'AF_' }, { 'kind', 'type & 0xf', as = 'SOCK_' } },\n"
                             "    count = { by = { 'comm', 'type' } }, hist = { 'elapsed', by = { 'tid' } },\n"
                             "    on_event = function(ev, out) seen[#seen + 1] = ev:copy(); out:emit(ev) end } },\n"
                             "  on_start = function() rille.clear(1, 'count') end,\n"
                             "  on_end = function(out) out:row { n = #seen }\n"
                             "    for by, n in rille.pairs(1, 'count') do out:row { comm = by.comm, n = n } end\n"
                             "  end }\n";

/* Of failing.so; NULL without it. */
static long (*live_blocks)(void), (*calls_so_far)(void);
static void (*fail_at)(long n);

static int entries(const char *path)
{
	int n = 0;
	DIR *dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static long kilobytes(void)
{
	char line[256];
	long n = 0;
	FILE *file = fopen("/proc/self/status", "re");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "VmRSS: %ld", &n);
	if (file)
		fclose(file);
	return n;
}

static void print_state(const char *when)
{
	long blocks = live_blocks ? live_blocks() : 0;
	printf("%s descriptors=%d threads=%d blocks=%ld kilobytes=%ld\n", when, entries("/proc/self/fd"),
	        entries("/proc/self/task"), blocks, kilobytes());
	fflush(stdout);
}

/* Makes a socket for each byte that it is sent, and ends with the pipe. */
static pid_t start_child(int *ret_go)
{
	int go[2];
	char byte;
	if (pipe2(go, O_CLOEXEC))
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(go[1]);
		while (read(go[0], &byte, 1) == 1)
			close(socket(AF_INET, SOCK_DGRAM, PROTOCOL));
		_exit(0);
	}
	close(go[0]);
	*ret_go = go[1];
	return pid;
}

static int on_event(void *user, const rille_event *event)
{
	struct rille_stack stack = {.size = sizeof(stack)};
	const char *text;
	size_t len;
	rille_event_stack(event, RILLE_USER, &stack);
	rille_event_json(event, &text, &len);
	rille_event_show(event, 0, &text, &len);
	++*(int *)user;
	return 0;
}

static int declare(rille *r, const char *what)
{
	static const struct rille_field fields[] = {
	        {.name = "family", .as = "AF_"}, {.name = "kind", .expr = "type & 0xf"}};
	static const struct rille_probe probe = {.size = sizeof(probe),
	        .on = "syscall:socket",
	        .where = "protocol == 250",
	        .fields = fields,
	        .nfields = 2,
	        .stack = "user"};
	if (strcmp(what, "probe") == 0 || strcmp(what, "cold") == 0) {
		int e = rille_add_probe(r, &probe);
		return e < 0 ? e : 0;
	}
	if (strcmp(what, "script") == 0)
		return rille_load_string(r, script, sizeof(script) - 1, "script");
	return rille_load_file(r, what);
}

struct host {
	const char *what;
	pid_t child;
	int go, null;
	char told[128]; /* what the first call that failed says: "-12 out-of-memory" */
};

static int keep(struct host *host, const rille *r, int e)
{
	if (e < 0 && !host->told[0])
		snprintf(host->told, sizeof(host->told), "%d %s", e, rille_last_error(r)->tag);
	return e;
}

static int prepare(struct host *host, rille *r, int *seen)
{
	int e = declare(r, host->what);
	if (e == 0)
		e = rille_target_pid(r, host->child);
	if (e == 0)
		e = rille_add_output(r, "jsonl", NULL, host->null);
	if (e == 0)
		e = rille_on_event(r, on_event, seen);
	return e == 0 ? rille_attach(r) : e;
}

static void play(struct host *host)
{
	int seen = 0;
	host->told[0] = '\0';
	close(-1001);
	const struct rille_options options = {
	        .size = sizeof(options), .cache_dir = strcmp(host->what, "cold") == 0 ? "" : NULL};
	rille *r = rille_new(&options);
	if (!r) {
		snprintf(host->told, sizeof(host->told), "%d no-handle", -errno);
		close(-1002);
		return;
	}
	int e = keep(host, r, prepare(host, r, &seen));
	close(-1002);
	struct rille_origin origin = {.size = sizeof(origin)};
	if (e == 0 && rille_origin(r, NULL, 0, "/etc/nothing", &origin) != -ENODATA)
		e = keep(host, r, rille_last_error(r)->code);
	if (e == 0 && write(host->go, "abc", EVENTS) != EVENTS)
		e = -errno;
	for (int i = 0; e == 0 && seen < EVENTS && i < 200; i++)
		e = keep(host, r, rille_dispatch(r, 100, 0)) < 0 ? -1 : 0;
	keep(host, r, rille_stop(r, NULL));
	if (!host->told[0] && seen < EVENTS)
		snprintf(host->told, sizeof(host->told), "only %d events", seen);
	rille_free(r);
}

static void tell(const struct host *host, long round)
{
	printf("round %ld: %s\n", round, host->told[0] ? host->told : "fine");
	fflush(stdout);
}

/* One failing allocation a round. What a round left behind is told at once, so that it is known which. */
static void exhaust(struct host *host, long first, long count)
{
	long before = calls_so_far();
	play(host);
	long all = calls_so_far() - before, step = count ? all / count + 1 : 1;
	print_state("before");
	long blocks = live_blocks();
	for (long n = first; n <= all; n += step) {
		fail_at(n);
		play(host);
		fail_at(0);
		tell(host, n);
		if (live_blocks() != blocks)
			printf("left: %ld blocks\n", live_blocks() - blocks);
		blocks = live_blocks();
	}
	play(host);
	tell(host, 0);
}

static void *do_nothing(void *user)
{
	return user;
}

/* The library starts a thread if an address on an unwound stack may be in a page that blocks, which is a matter of chance.
 * The C library keeps the memory of a thread that has ended for the next one: so it has some from the beginning. */
static void start_thread_once(void)
{
	pthread_t thread;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	if (pthread_create(&thread, &attr, do_nothing, NULL) == 0)
		pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
}

int main(int argc, char **argv)
{
	struct host host = {.what = argv[1]};
	if (argc < 3)
		return 2;
	long count = atol(argv[2]);
	live_blocks = (long (*)(void))dlsym(RTLD_DEFAULT, "failing_live");
	calls_so_far = (long (*)(void))dlsym(RTLD_DEFAULT, "failing_calls");
	fail_at = (void (*)(long))dlsym(RTLD_DEFAULT, "failing_at");
	signal(SIGPIPE, SIG_IGN);
	host.null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	host.child = start_child(&host.go);
	start_thread_once();
	play(&host);
	tell(&host, 0);
	print_state("first");
	if (argc > 3) {
		exhaust(&host, argc > 4 ? atol(argv[4]) : 1, count);
	} else {
		print_state("before");
		for (long i = 1; i <= count; i++) {
			play(&host);
			tell(&host, i);
			if (i == count / 2)
				print_state("middle");
		}
	}
	print_state("after");
	close(host.go);
	waitpid(host.child, NULL, 0);
	if (waitpid(-1, NULL, 0) != -1 || errno != ECHILD)
		puts("a child was left");
	return 0;
}
