/* Signals as something to wait for, and the rule that the second Ctrl-C is obeyed at once.
 *
 * One Ctrl-C may arrive as two signals (timeout(1) signals its child and then its group). So a signal within a quarter
 * of a second of the first counts as the same one. */
#include "engine/cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { SAME_MS = 250 };

static void our_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGQUIT);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGCHLD);
}

int signals_open(void)
{
	sigset_t set;
	struct sigaction old;
	our_signals(&set);
	/* nohup(1) and background jobs of shells ask to ignore some: then they stay ignored. */
	static const int polite[] = {SIGINT, SIGHUP, SIGQUIT};
	for (size_t i = 0; i < sizeof(polite) / sizeof(*polite); i++)
		if (sigaction(polite[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
			sigdelset(&set, polite[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct signal_seen signals_next(int fd)
{
	struct signalfd_siginfo info;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return (struct signal_seen){0};
	return (struct signal_seen){(int)info.ssi_signo, info.ssi_code == SI_KERNEL};
}

static int64_t milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* When the orderly end began. A signal handler has nowhere else to look. */
static volatile int64_t ending_since;

static void at_once(int number)
{
	static const char text[] = "rille: ended at once, without the rest of the report\n";
	if (milliseconds() - ending_since < SAME_MS)
		return;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(128 + number);
}

void signals_last_call(void)
{
	static const int numbers[] = {SIGINT, SIGTERM};
	struct sigaction action = {.sa_handler = at_once, .sa_flags = SA_RESTART};
	sigset_t set;
	ending_since = milliseconds();
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		struct sigaction old;
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
			continue;
		sigaction(numbers[i], &action, NULL);
		sigaddset(&set, numbers[i]);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}
