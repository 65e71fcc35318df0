/* A program that embeds the library the way a user would: it knows rille.h, pkg-config and nothing else. It traces a child
 * that makes a pair of sockets, and prints what is left of the library in this process before and after:
 *
 *     host OUTPUT.jsonl      → "before …", "after …", "sent=1 lost=0" */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <rille.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* What the library promises to leave as it was. */
static void print_state(const char *when)
{
	int handlers = 0;
	for (int i = 1; i < SIGRTMAX; i++) {
		struct sigaction action;
		handlers += !sigaction(i, NULL, &action) && action.sa_handler != SIG_DFL;
	}
	sigset_t blocked;
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	mode_t mask = umask(0);
	umask(mask);
	char directory[4096];
	if (!getcwd(directory, sizeof(directory)))
		directory[0] = '\0';
	int blocked_some = 0;
	for (int i = 1; i < SIGRTMAX; i++)
		blocked_some += sigismember(&blocked, i) == 1;
	printf("%s descriptors=%d threads=%d handlers=%d blocked=%d umask=%o directory=%s dumpable=%d\n", when,
	        entries("/proc/self/fd"), entries("/proc/self/task"), handlers, blocked_some, (unsigned)mask, directory,
	        prctl(PR_GET_DUMPABLE));
}

static int die(rille *r, const char *what)
{
	const struct rille_error *error = rille_last_error(r);
	fprintf(stderr, "%s: %s\n", what, error ? error->formatted : "no error");
	return 1;
}

static pid_t start_child(int *ret_go)
{
	int go[2];
	if (pipe(go))
		return -1;
	pid_t pid = fork();
	if (!pid) {
		char byte;
		int pair[2];
		close(go[1]);
		if (read(go[0], &byte, 1) != 1 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
			_exit(1);
		_exit(0);
	}
	close(go[0]);
	*ret_go = go[1];
	return pid;
}

static int trace(rille *r, pid_t child, int go, const char *output)
{
	static const char probe[] = "{ \"syscall:socketpair\", fields = { \"fds = s32(usockvec, 2)\" } }";
	if (rille_load_table(r, probe, "host") || rille_target_pid(r, child) ||
	        rille_add_output(r, "jsonl", output, -1) || rille_set(r, "limit", "1") || rille_attach(r))
		return die(r, "attach");
	if (write(go, "g", 1) != 1)
		return 1;
	int n = 0;
	while (n >= 0)
		n = rille_dispatch(r, 5000, 0);
	if (n != -ESHUTDOWN || rille_stop(r, NULL))
		return die(r, "dispatch");
	struct rille_totals totals = {.size = sizeof(totals)};
	if (rille_probe_stats(r, 0, &totals))
		return die(r, "stats");
	printf("sent=%llu lost=%llu reason=%s\n", (unsigned long long)totals.sent, (unsigned long long)totals.lost_ring,
	        rille_over_reason(r));
	return 0;
}

int main(int argc, char **argv)
{
	int go = -1, status = 1;
	pid_t child = argc == 2 ? start_child(&go) : -1;
	if (child < 0)
		return 2;
	print_state("before");
	struct rille_options options = {.size = sizeof(options)};
	rille *r = rille_new(&options);
	int failed = !r || trace(r, child, go, argv[1]);
	rille_free(r);
	print_state("after");
	close(go);
	waitpid(child, &status, 0);
	if (waitpid(-1, NULL, 0) != -1 || errno != ECHILD) {
		fprintf(stderr, "a child was left\n");
		return 1;
	}
	return failed || status ? 1 : 0;
}
