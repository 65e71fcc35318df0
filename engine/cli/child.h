/* The command behind `--`: started, held before its first instruction, let go, ended. */
#ifndef RILLE_CLI_CHILD_H
#define RILLE_CLI_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child_gate;

struct child {
	pid_t pid; /* 0 = none, or already waited for */
	struct child_gate *gate;
	const char *name;
	bool ended;
	int status; /* once ended: as a shell would say it, 0–255 */
};

/* Forks and holds the child, as the invoking user, in user space right before execve(): when this returns it makes no
 * system call until child_go(). 0, or the exit status to end with (125–127) after saying why. */
int child_start(struct child *child, char **argv);
/* Lets it go. */
void child_go(struct child *child);
/* Takes its status if it has ended; true once it has. */
bool child_poll(struct child *child);
/* Ends it if it still runs: asks with SIGTERM, waits up to five seconds, then does not ask. `asked`: it got a signal that asks
 * for the same already, and five seconds before the next one. */
void child_end(struct child *child, bool asked);
/* Kills a child that was never let go, and frees. NULL-safe, idempotent. */
void child_fini(struct child *child);

#endif
