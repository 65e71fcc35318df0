/* Holding a child so that it is traced from its first instruction, and from nothing before it.
 *
 * A child that waits in a system call (read() on a pipe, as is usual) would be seen to return from it once the probes
 * are attached: an event of a program that the user did not start. So ours waits in user space: it spins on a word that
 * both share, is stopped there with SIGSTOP, which costs no CPU while the probes are prepared, and its next system call
 * after SIGCONT is execve(). Everything else it needs (identity, signals, the search through $PATH) has been done
 * before.
 *
 * Should this process die meanwhile, the child is killed with it (PR_SET_PDEATHSIG, set last because changing identity
 * clears it). That stays so until the child ends, as with strace: a traced command does not outlive its tracer
 * unnoticed. */
#include "engine/cli/child.h"
#include "engine/cli/cli.h"
#include "engine/cli/identity.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Shared between both processes. */
struct child_gate {
	atomic_int ready; /* the child spins now */
	atomic_int go;
	atomic_int error; /* errno of what failed in the child */
	atomic_int stage; /* what it was doing */
};

enum { GRACE_MS = 5000 };

enum { STAGE_IDENTITY, STAGE_SEARCH, STAGE_EXEC };

static void rest(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Errno is set as execve() would set it. */
static bool is_executable(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0 || access(path, X_OK) < 0)
		return false;
	errno = EACCES;
	return S_ISREG(st.st_mode);
}

/* The next folder of $PATH with the name behind it; an empty one is the current folder. NULL: out of memory. */
static char *candidate_in(const char *folder, size_t len, const char *name)
{
	char *path = NULL;
	return asprintf(&path, "%.*s%s%s", (int)len, folder, len ? "/" : "", name) < 0 ? NULL : path;
}

/* What execvp() would run, found before the probes are attached so that its failed attempts are not events. NULL with errno as
 * execvp() sets it: EACCES if something of that name was there. */
static char *search_path(const char *name)
{
	const char *path = getenv("PATH");
	int error = ENOENT;
	if (strchr(name, '/'))
		return is_executable(name) ? strdup(name) : NULL;
	if (!path)
		path = "/bin:/usr/bin";
	while (*name) {
		size_t len = strcspn(path, ":");
		char *candidate = candidate_in(path, len, name);
		if (!candidate || is_executable(candidate))
			return candidate;
		if (errno == EACCES)
			error = EACCES;
		free(candidate);
		if (!path[len])
			break;
		path += len + 1;
	}
	errno = error;
	return NULL;
}

static int status_of(int error)
{
	return error == ENOENT || error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE;
}

static void child_fails(struct child_gate *gate, int stage, int error)
{
	atomic_store(&gate->stage, stage);
	atomic_store(&gate->error, error);
	_exit(stage == STAGE_IDENTITY ? EXIT_CANNOT_START : status_of(error));
}

static void reset_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The child's whole life until it is the user's program. */
static void child_main(struct child_gate *gate, char **argv, const struct identity *identity, pid_t parent)
{
	if (identity_become(identity) < 0)
		child_fails(gate, STAGE_IDENTITY, errno);
	char *path = search_path(argv[0]);
	if (!path)
		child_fails(gate, STAGE_SEARCH, errno);
	reset_signals();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_CANNOT_START);
	atomic_store(&gate->ready, 1);
	while (!atomic_load_explicit(&gate->go, memory_order_relaxed))
		rest();
	execvp(path, argv);
	child_fails(gate, STAGE_EXEC, errno);
}

static void nap(long microseconds)
{
	nanosleep(&(struct timespec){0, microseconds * 1000}, NULL);
}

/* Waits until the child spins, then stops it. False if it ended instead. */
static bool hold(struct child *child)
{
	siginfo_t info;
	while (!atomic_load(&child->gate->ready)) {
		if (child_poll(child))
			return false;
		nap(50);
	}
	kill(child->pid, SIGSTOP);
	while (waitid(P_PID, (id_t)child->pid, &info, WSTOPPED | WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	return !child_poll(child);
}

static void say_failure(const struct child *child)
{
	int error = atomic_load(&child->gate->error);
	if (!error)
		return;
	if (atomic_load(&child->gate->stage) == STAGE_IDENTITY)
		say("cannot become the invoking user: %s", strerror(error));
	else
		say("cannot run '%s': %s", child->name, strerror(error));
}

static int cannot_start(const char *what)
{
	say("cannot start the command: %s: %s", what, strerror(errno));
	return EXIT_CANNOT_START;
}

int child_start(struct child *child, char **argv)
{
	struct identity identity;
	pid_t parent = getpid();
	memset(child, 0, sizeof(*child));
	child->name = argv[0];
	child->gate = mmap(NULL, sizeof(*child->gate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (child->gate == MAP_FAILED) {
		child->gate = NULL;
		return cannot_start("mmap");
	}
	if (identity_find(&identity) < 0)
		return EXIT_CANNOT_START;
	child->pid = fork();
	if (child->pid == 0)
		child_main(child->gate, argv, &identity, parent);
	identity_fini(&identity);
	if (child->pid < 0) {
		child->pid = 0;
		return cannot_start("fork");
	}
	if (hold(child))
		return 0;
	say_failure(child);
	return child->status ? child->status : EXIT_CANNOT_START;
}

void child_go(struct child *child)
{
	atomic_store(&child->gate->go, 1);
	kill(child->pid, SIGCONT);
}

bool child_poll(struct child *child)
{
	int status;
	if (!child->pid)
		return child->ended;
	pid_t r = waitpid(child->pid, &status, WNOHANG);
	if (r == 0 || (r < 0 && errno != ECHILD))
		return false;
	if (r < 0) /* someone else reaped it: SIGCHLD was ignored when we were started */
		status = 0;
	child->pid = 0;
	child->ended = true;
	child->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	if (atomic_load(&child->gate->go))
		say_failure(child);
	return true;
}

static bool ends_within(struct child *child, int milliseconds)
{
	for (int i = 0; i <= milliseconds; i += 10) {
		if (child_poll(child))
			return true;
		nap(10000);
	}
	return false;
}

void child_end(struct child *child, bool asked)
{
	if (!child->pid || (asked && ends_within(child, GRACE_MS)))
		return;
	kill(child->pid, SIGTERM);
	kill(child->pid, SIGCONT);
	if (ends_within(child, GRACE_MS))
		return;
	say("%s did not end on SIGTERM; killing it", child->name);
	kill(child->pid, SIGKILL);
	while (!child_poll(child))
		nap(1000);
}

void child_fini(struct child *child)
{
	if (child->pid) {
		kill(child->pid, SIGKILL);
		while (!child_poll(child))
			nap(100);
	}
	if (child->gate)
		munmap(child->gate, sizeof(*child->gate));
	child->gate = NULL;
}
