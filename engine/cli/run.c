/* rille run and rille open: from the command line to the exit status.
 *
 *     options → script (options.c) → outputs → targets → attach → loop → report
 *
 * The loop waits for three things at once: the library's descriptor, signals, and the end of the time given with -d.
 * The library notices by itself when every target process is gone. Until the probes are attached signals have their
 * default effect, since there is nothing to report yet; a child that was held is killed with us (child.c). */
#include "engine/cli/child.h"
#include "engine/cli/help.h"
#include "engine/cli/options.h"
#include "engine/cli/outputs.h"
#include "engine/cli/report.h"
#include "engine/cli/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LEFT_BEHIND_NS 2000000000u

struct run {
	struct options options;
	struct child child;
	int signals;          /* descriptor */
	uint64_t child_ended; /* when; 0 = it runs, or we have said that its children still do */
	uint64_t deadline;    /* CLOCK_MONOTONIC, ns; 0 = none */
	uint64_t next_report; /* the same, of --every */
	const char *reason;   /* why the trace ends; NULL while it goes on */
	int status;           /* of a failure; 0 = none */
	int pidfds[MAX_PIDS]; /* of -p, to say when one ends */
	size_t npidfds;
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A thread's id is easily taken for a process's: top and ps -L show both. 0 if it is none. */
static pid_t process_of_thread(pid_t tid)
{
	char path[64], line[128];
	int tgid = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %d", &tgid) == 1)
			break;
	if (f)
		fclose(f);
	return tgid;
}

static int add_pid(struct run *run, pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	pid_t owner = process_of_thread(pid);
	if (owner && owner != pid) {
		if (fd >= 0)
			close(fd);
		return say_usage("run", "%d is a thread of process %d: use -p %d", (int)pid, (int)owner, (int)owner);
	}
	if (fd < 0 && errno == ESRCH) {
		say("there is no process %d", (int)pid);
		return EXIT_RUNTIME;
	}
	run->pidfds[run->npidfds++] = fd; /* -1 on kernels before 5.3: poll() passes over it */
	return rille_target_pid(run->options.r, pid) < 0 ? say_error(run->options.r) : 0;
}

static int prepare_targets(struct run *run)
{
	struct options *options = &run->options;
	int status = 0;
	for (size_t i = 0; i < options->npids && !status; i++)
		status = add_pid(run, options->pids[i]);
	if (status || !options->command_argv)
		return status;
	status = child_start(&run->child, options->command_argv);
	if (status)
		return status;
	return rille_target_pid(options->r, run->child.pid) < 0 ? say_error(options->r) : 0;
}

static int attach(struct run *run)
{
	struct options *options = &run->options;
	if (rille_attach(options->r) < 0)
		return say_error(options->r);
	run->signals = signals_open();
	if (options->duration_ns)
		run->deadline = now_ns() + options->duration_ns;
	if (options->every_ns)
		run->next_report = now_ns() + options->every_ns;
	if (options->talk.verbose)
		say_phases(options->r);
	return 0;
}

static int tell_ready(struct run *run)
{
	static const char line[] = "ready\n";
	int fd = run->options.ready_fd;
	if (fd >= 0 && write(fd, line, sizeof(line) - 1) < 0) {
		say("cannot write to descriptor %d: %s", fd, strerror(errno));
		return EXIT_RUNTIME;
	}
	if (fd > STDERR_FILENO)
		close(fd); /* who waits for its end gets it, too */
	return 0;
}

/* Somebody looking at a terminal where nothing happens yet. */
static void tell_started(const struct run *run)
{
	const struct options *options = &run->options;
	size_t n = rille_probe_count(options->r);
	if (options->talk.quiet || options->command_argv || !isatty(STDERR_FILENO))
		return;
	if (options->command == FOR_OPEN)
		say("watching what is opened; Ctrl-C tells what is open, SIGUSR1 as well");
	else
		say("tracing with %zu probe%s; Ctrl-C ends", n, n == 1 ? "" : "s");
}

/* Outputs that tell a state do so now. */
static void report(struct run *run, const char *why)
{
	int r = rille_report(run->options.r, why);
	if (r >= 0 || r == -EPIPE)
		return;
	run->status = say_error(run->options.r);
	run->reason = "error";
}

/* A terminal sends its signals to the child as well; what was sent to us alone is passed on. */
static void handle_signal(struct run *run, struct signal_seen seen)
{
	if (seen.number == SIGCHLD)
		return;
	if (seen.number == SIGUSR1) {
		report(run, "signal");
		return;
	}
	if (run->child.pid && !seen.from_terminal)
		kill(run->child.pid, seen.number);
	if (seen.number == SIGHUP && run->child.pid)
		return; /* the child decides: many reload their settings */
	run->reason = "interrupted";
}

static void handle_signals(struct run *run)
{
	struct signal_seen seen;
	while ((seen = signals_next(run->signals)).number)
		handle_signal(run, seen);
	if (!run->child.pid || !child_poll(&run->child))
		return;
	run->child_ended = now_ns();
	if (run->options.talk.verbose)
		say("%s has ended with status %d", run->child.name, run->child.status);
}

static void handle_ended(struct run *run, const struct pollfd *fds)
{
	for (size_t i = 0; i < run->npidfds; i++) {
		if (run->pidfds[i] < 0 || !fds[i].revents)
			continue;
		if (!run->options.talk.quiet)
			say("process %d has ended", (int)run->options.pids[i]);
		close(run->pidfds[i]);
		run->pidfds[i] = -1;
	}
}

/* The library says why the trace is over, or fails; a reader that went away is no failure to speak of. */
static void handle_events(struct run *run)
{
	int r = rille_dispatch(run->options.r, 0, 0);
	if (r >= 0 || r == -ESHUTDOWN) {
		run->reason = rille_over_reason(run->options.r);
		if (r < 0 && !run->reason)
			run->reason = "done";
	} else if (r == -EPIPE) {
		run->reason = "closed pipe";
	} else {
		run->status = say_error(run->options.r);
		run->reason = "error";
	}
}

/* A daemon that the command left behind keeps the trace going: the user should know why. */
static void tell_left_behind(struct run *run, uint64_t now)
{
	if (!run->child_ended || now < run->child_ended + LEFT_BEHIND_NS)
		return;
	run->child_ended = 0;
	if (!run->options.talk.quiet)
		say("%s has ended, processes that it started have not; Ctrl-C ends the trace", run->child.name);
}

/* Milliseconds to the next thing that is due by the clock; -1: none. */
static int time_left(const struct run *run, uint64_t now)
{
	uint64_t due = run->deadline ? run->deadline : UINT64_MAX;
	if (run->child_ended && run->child_ended + LEFT_BEHIND_NS < due)
		due = run->child_ended + LEFT_BEHIND_NS;
	if (run->next_report && run->next_report < due)
		due = run->next_report;
	if (due == UINT64_MAX)
		return -1;
	return now >= due ? 0 : (int)((due - now) / 1000000 + 1);
}

enum { SLOT_EVENTS, SLOT_SIGNALS, SLOT_PIDS };

static void loop(struct run *run)
{
	struct pollfd fds[SLOT_PIDS + MAX_PIDS] = {0};
	while (!run->reason) {
		fds[SLOT_EVENTS] = (struct pollfd){.fd = rille_fd(run->options.r), .events = POLLIN};
		fds[SLOT_SIGNALS] = (struct pollfd){.fd = run->signals, .events = POLLIN};
		for (size_t i = 0; i < run->npidfds; i++)
			fds[SLOT_PIDS + i] = (struct pollfd){.fd = run->pidfds[i], .events = POLLIN};
		if (poll(fds, SLOT_PIDS + run->npidfds, time_left(run, now_ns())) < 0 && errno != EINTR) {
			say("cannot wait: %s", strerror(errno));
			run->status = EXIT_RUNTIME;
			run->reason = "error";
			return;
		}
		if (fds[SLOT_SIGNALS].revents)
			handle_signals(run);
		handle_ended(run, fds + SLOT_PIDS);
		if (fds[SLOT_EVENTS].revents && !run->reason)
			handle_events(run);
		uint64_t now = now_ns();
		if (run->deadline && now >= run->deadline && !run->reason)
			run->reason = "duration";
		if (!run->reason && run->next_report && now >= run->next_report) {
			report(run, "every");
			while (run->next_report <= now) /* one that was missed is not made up for */
				run->next_report += run->options.every_ns;
		}
		if (!run->reason)
			tell_left_behind(run, now);
	}
}

static void stop(struct run *run)
{
	struct options *options = &run->options;
	signals_last_call();
	int r = rille_stop(options->r, run->reason);
	if (r < 0 && r != -EPIPE && !run->status)
		run->status = say_error(options->r);
	struct talk talk = options->talk;
	talk.quiet |= options->command == FOR_OPEN && !talk.verbose; /* the list is the report */
	say_totals(options->r, &talk);
}

/* A command that ended by itself gives its status; one that we ended because the trace was over does not. */
static int end_child(struct run *run)
{
	if (!run->options.command_argv)
		return run->status;
	bool interrupted = strcmp(run->reason, "interrupted") == 0;
	bool by_itself = child_poll(&run->child) || interrupted;
	child_end(&run->child, interrupted);
	if (run->status)
		return run->status;
	return by_itself ? run->child.status : EXIT_DONE;
}

static int trace(struct run *run)
{
	int status = outputs_add(&run->options);
	if (!status)
		status = prepare_targets(run);
	if (!status)
		status = attach(run);
	if (!status)
		status = tell_ready(run);
	if (status)
		return status;
	tell_started(run);
	if (run->child.pid)
		child_go(&run->child);
	loop(run);
	stop(run);
	return end_child(run);
}

/* What is open, without tracing. */
static int snapshot(struct run *run)
{
	int status = outputs_add(&run->options);
	if (!status)
		status = prepare_targets(run);
	if (!status && rille_snapshot(run->options.r) < 0)
		status = say_error(run->options.r);
	return status;
}

static int cmd(unsigned command, int argc, char **argv, int first)
{
	struct run run = {.signals = -1};
	int status = options_read(&run.options, command, argc, argv, first);
	if (!status && run.options.help) {
		if (command == FOR_OPEN)
			help_command("open");
		else
			help_run(run.options.script, run.options.r);
		status = finish_stdout(EXIT_DONE);
	} else if (!status) {
		status = run.options.now ? snapshot(&run) : trace(&run);
	}
	child_fini(&run.child);
	for (size_t i = 0; i < run.npidfds; i++)
		if (run.pidfds[i] >= 0)
			close(run.pidfds[i]);
	if (run.signals >= 0)
		close(run.signals);
	options_fini(&run.options);
	return status;
}

int cmd_run(int argc, char **argv, int first)
{
	return cmd(FOR_RUN, argc, argv, first);
}

int cmd_open(int argc, char **argv, int first)
{
	return cmd(FOR_OPEN, argc, argv, first);
}
