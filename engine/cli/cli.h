/* The command's own pieces. They use the library through rille.h alone, like any other host. */
#ifndef RILLE_CLI_CLI_H
#define RILLE_CLI_CLI_H

#include "engine/include/rille.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	EXIT_DONE = 0,
	EXIT_RUNTIME = RILLE_RUNTIME,
	EXIT_USAGE = RILLE_SCRIPT,
	EXIT_PERMISSION = RILLE_PERMISSION,
	EXIT_KERNEL = RILLE_KERNEL,
	EXIT_CANNOT_START = 125, /* env(1): the command could not be prepared, … */
	EXIT_CANNOT_EXECUTE = 126,
	EXIT_NOT_FOUND = 127,
};

/* How talkative the command is; the library's log callback gets a pointer to it. */
struct talk {
	int verbose; /* -v, -vv */
	bool quiet;
};

/* To standard error, each message in one piece behind "rille: ". */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The library's last error, as it formats it; returns its exit code. */
int say_error(const rille *r);
/* A mistake on the command line: the message, and where help is. Returns EXIT_USAGE. */
int say_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A handle whose remarks go to standard error as `talk` allows. NULL after saying why not. */
struct handle_options {
	struct talk *talk;
	bool unsafe, strict;
	char **argv; /* for `meta` records, or NULL */
};
rille *open_handle(const struct handle_options *options);
/* Flushes standard output; a failure to write (but for a reader that went away) is told and is a run-time error. */
int finish_stdout(int status);

/* Commands: the whole command line, and where their own arguments begin in it. They return the exit status. */
int cmd_run(int argc, char **argv, int first);
int cmd_open(int argc, char **argv, int first);
int cmd_list(int argc, char **argv, int first);
int cmd_check(int argc, char **argv, int first);
int cmd_emit(int argc, char **argv, int first);
int cmd_doctor(int argc, char **argv, int first);
int cmd_report(int argc, char **argv, int first);

#endif
