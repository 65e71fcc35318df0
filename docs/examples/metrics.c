/* A daemon that counts the sockets which programs open, by process and by the place in the program that opens them, and
 * serves the counts as OpenMetrics on the loopback interface, for Prometheus and whoever else reads them.
 *
 *     cc -o metrics metrics.c $(pkg-config --cflags --libs rille libmicrohttpd)
 *     sudo ./metrics 9464               # the whole machine
 *     sudo ./metrics 9464 COMMAND…      # a command and its children
 *     curl http://127.0.0.1:9464/metrics
 *
 * One thread and one epoll descriptor: Rille's events, HTTP, signals and the end of the command. Sites are bounded; what finds
 * no room is counted as site="other", so that the counts add up. Events are also written to the standard output, as text. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <rille.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_SITES = 1024 };

struct site {
	char comm[16];
	uint32_t pid;
	char call[16];
	char place[200];
	uint64_t opened;
};

struct daemon {
	rille *r;
	struct MHD_Daemon *http;
	struct site sites[MOST_SITES]; /* the first is `other` */
	size_t nsites;
	int loop, signals;
};

/* --- counting --- */

/* The function that called into libc, which is what people look for. */
static void place_of(const struct rille_stack *stack, char *ret, size_t room)
{
	for (size_t i = 0; i < stack->nframes; i++) {
		const struct rille_frame *frame = &stack->frames[i];
		const char *module = frame->module ? strrchr(frame->module, '/') : NULL;
		if (!frame->name || (module && strncmp(module, "/libc.", 6) == 0))
			continue;
		snprintf(ret, room, "%s+0x%llx%s%s", frame->name, (unsigned long long)frame->offset, module ? " " : "",
		        module ? module + 1 : "");
		return;
	}
	snprintf(ret, room, "unknown");
}

static struct site *find_site(struct daemon *daemon, const struct site *wanted)
{
	for (size_t i = 1; i < daemon->nsites; i++) {
		struct site *site = &daemon->sites[i];
		if (site->pid == wanted->pid && strcmp(site->place, wanted->place) == 0 &&
		        strcmp(site->call, wanted->call) == 0 && strcmp(site->comm, wanted->comm) == 0)
			return site;
	}
	if (daemon->nsites == MOST_SITES)
		return &daemon->sites[0];
	daemon->sites[daemon->nsites] = *wanted;
	return &daemon->sites[daemon->nsites++];
}

static int count(void *user, const rille_event *event)
{
	struct daemon *daemon = user;
	struct rille_head head = {.size = sizeof(head)};
	struct rille_stack stack = {.size = sizeof(stack)};
	struct site site = {0};
	if (rille_event_head(event, &head) || rille_event_stack(event, RILLE_USER, &stack))
		return -1;
	memcpy(site.comm, head.comm, sizeof(site.comm));
	site.pid = head.pid;
	snprintf(site.call, sizeof(site.call), "%s", strchr(head.probe_name, ':') + 1);
	place_of(&stack, site.place, sizeof(site.place));
	find_site(daemon, &site)->opened += strcmp(site.call, "socketpair") == 0 ? 2 : 1;
	return 0;
}

/* --- serving --- */

/* What a label's value must not have bare: the names come from traced programs. */
static void label(FILE *out, const char *name, const char *value, const char *separator)
{
	fprintf(out, "%s%s=\"", separator, name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else
			fputc((unsigned char)*value < 0x80 ? *value : '?', out);
	}
	fputc('"', out);
}

static void write_sites(const struct daemon *daemon, FILE *out)
{
	fputs("# TYPE rille_sockets_opened counter\n# HELP rille_sockets_opened Sockets that a process opened.\n", out);
	for (size_t i = 0; i < daemon->nsites; i++) {
		const struct site *site = &daemon->sites[i];
		char pid[16];
		snprintf(pid, sizeof(pid), "%u", site->pid);
		fputs("rille_sockets_opened_total", out);
		label(out, "comm", site->comm, "{");
		label(out, "pid", pid, ",");
		label(out, "call", site->call, ",");
		label(out, "site", site->place, ",");
		fprintf(out, "} %llu\n", (unsigned long long)site->opened);
	}
}

/* A tracer that hides its losses is not to be trusted. */
static void write_losses(const struct daemon *daemon, FILE *out)
{
	fputs("# TYPE rille_events_lost counter\n# HELP rille_events_lost Events that found no room.\n", out);
	for (size_t i = 0; i < rille_probe_count(daemon->r); i++) {
		struct rille_totals totals = {.size = sizeof(totals)};
		if (rille_probe_stats(daemon->r, i, &totals))
			continue;
		fputs("rille_events_lost_total", out);
		label(out, "probe", totals.probe, "{");
		fprintf(out, "} %llu\n", (unsigned long long)(totals.lost_ring + totals.lost_entry));
	}
}

static struct MHD_Response *metrics(const struct daemon *daemon)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	write_sites(daemon, out);
	write_losses(daemon, out);
	fputs("# EOF\n", out);
	if (fclose(out))
		return NULL;
	struct MHD_Response *response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	MHD_add_response_header(response, "Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8");
	return response;
}

static enum MHD_Result answer(void *user, struct MHD_Connection *connection, const char *url, const char *method,
        const char *version, const char *upload, size_t *upload_size, void **state)
{
	static char not_found[] = "Try /metrics.\n";
	(void)version, (void)upload, (void)upload_size, (void)state;
	bool found = strcmp(url, "/metrics") == 0 && strcmp(method, "GET") == 0;
	struct MHD_Response *response =
	        found ? metrics(user)
	              : MHD_create_response_from_buffer(sizeof(not_found) - 1, not_found, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result =
	        response ? MHD_queue_response(connection, found ? MHD_HTTP_OK : MHD_HTTP_NOT_FOUND, response) : MHD_NO;
	if (response)
		MHD_destroy_response(response);
	return result;
}

/* --- starting --- */

static bool watch(struct daemon *daemon, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	return fd >= 0 && epoll_ctl(daemon->loop, EPOLL_CTL_ADD, fd, &event) == 0;
}

static int serve(struct daemon *daemon, uint16_t port)
{
	struct sockaddr_in address = {
	        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	daemon->http = MHD_start_daemon(MHD_USE_EPOLL, port, NULL, NULL, answer, daemon, MHD_OPTION_SOCK_ADDR, &address,
	        MHD_OPTION_CONNECTION_LIMIT, 16u, MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_END);
	if (!daemon->http)
		return -1;
	const union MHD_DaemonInfo *loop = MHD_get_daemon_info(daemon->http, MHD_DAEMON_INFO_EPOLL_FD);
	const union MHD_DaemonInfo *bound = MHD_get_daemon_info(daemon->http, MHD_DAEMON_INFO_BIND_PORT);
	printf("http://127.0.0.1:%u/metrics\n", bound ? bound->port : port);
	fflush(stdout);
	return loop && watch(daemon, loop->epoll_fd) ? 0 : -1;
}

/* SIGINT and SIGTERM end the daemon; they come through a descriptor, like everything else. */
static int take_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static pid_t start(char **argv, int *ret_go)
{
	char byte;
	int gate[2];
	sigset_t none;
	if (pipe2(gate, O_CLOEXEC))
		return -1;
	pid_t child = fork();
	if (child == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		close(gate[1]);
		if (read(gate[0], &byte, 1) == 1)
			execvp(argv[0], argv);
		_exit(127);
	}
	close(gate[0]);
	*ret_go = gate[1];
	return child;
}

static const struct rille_probe probes[] = {
        {.size = sizeof(*probes), .on = "syscall:socket", .where = "ret >= 0", .stack = "user"},
        {.size = sizeof(*probes), .on = "syscall:socketpair", .where = "ret == 0", .stack = "user"},
};
static const struct rille_field pair_fields[] = {
        {.name = "fds", .expr = "s32(usockvec, 2)"}, {.name = "inodes", .expr = "fd_inode(fds)"}};

static int attach(struct daemon *daemon, pid_t child)
{
	rille *r = daemon->r = rille_new(NULL);
	struct rille_probe pairs = probes[1];
	pairs.fields = pair_fields;
	pairs.nfields = sizeof(pair_fields) / sizeof(*pair_fields);
	if (!r || rille_add_probe(r, &probes[0]) < 0 || rille_add_probe(r, &pairs) < 0 ||
	        (child && rille_target_pid(r, child)) || rille_add_output(r, "text", NULL, STDOUT_FILENO) ||
	        rille_on_event(r, count, daemon) || rille_attach(r))
		return -1;
	return watch(daemon, rille_fd(r)) ? 0 : -1;
}

/* The command's end is the end of the trace, not of the daemon: its counts are still to be read. */
static void run(struct daemon *daemon)
{
	struct epoll_event event = {0};
	bool tracing = true;
	while (event.data.fd != daemon->signals) {
		MHD_run(daemon->http);
		if (tracing && rille_dispatch(daemon->r, 0, 0) < 0) {
			epoll_ctl(daemon->loop, EPOLL_CTL_DEL, rille_fd(daemon->r), NULL);
			rille_stop(daemon->r, NULL);
			tracing = false;
		}
		unsigned long long timeout;
		bool due = MHD_get_timeout(daemon->http, &timeout) == MHD_YES;
		epoll_wait(daemon->loop, &event, 1, due ? (int)timeout : -1);
	}
}

int main(int argc, char **argv)
{
	static struct daemon daemon = {.nsites = 1, .sites[0] = {.comm = "other", .call = "other", .place = "other"}};
	int go = -1;
	if (argc < 2)
		return 2;
	daemon.loop = epoll_create1(EPOLL_CLOEXEC);
	daemon.signals = take_signals();
	pid_t child = argc > 2 ? start(argv + 2, &go) : 0;
	if (child < 0 || attach(&daemon, child)) {
		fputs(rille_last_error(daemon.r)->formatted, stderr);
		return 1;
	}
	if (!watch(&daemon, daemon.signals) || serve(&daemon, (uint16_t)atoi(argv[1])))
		return 1;
	if (child && write(go, "g", 1) != 1)
		return 1;
	run(&daemon);
	MHD_stop_daemon(daemon.http);
	rille_free(daemon.r);
	if (child)
		waitpid(child, NULL, WNOHANG);
	return 0;
}
