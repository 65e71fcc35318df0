/* Signals as something to wait for. */
#ifndef RILLE_CLI_SIGNALS_H
#define RILLE_CLI_SIGNALS_H

#include <stdbool.h>
#include <sys/types.h>

/* Blocks SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGCHLD, which are read from the returned descriptor from now on. */
int signals_open(void);

struct signal_seen {
	int number;         /* 0 = none */
	bool from_terminal; /* the terminal sent it to every process of the foreground, not somebody to us */
};
struct signal_seen signals_next(int fd);

/* From now on the second SIGINT or SIGTERM ends the process at once: the first one has begun an orderly end. */
void signals_last_call(void);

#endif
