/* The options of the commands that take a script: read from one table, which also writes their help. */
#ifndef RILLE_CLI_OPTIONS_H
#define RILLE_CLI_OPTIONS_H

#include "engine/cli/cli.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { MAX_OUTPUTS = 16, MAX_PIDS = 256 };

/* Which commands take an option. */
enum {
	FOR_RUN = 1,
	FOR_CHECK = 2,
	FOR_EMIT = 4,
	FOR_SCRIPT = 7,
	FOR_REPORT = 8,
	FOR_OUT = FOR_RUN | FOR_REPORT,
	FOR_OPEN = 16,
	FOR_TRACE = FOR_RUN | FOR_OPEN,
};

struct options {
	unsigned command; /* FOR_… */
	struct talk talk;
	rille *r;           /* owned */
	const char *script; /* as named on the command line; NULL until found. For a report: the trace */
	bool unsafe, strict, help;
	const char *format, *color;
	bool top; /* standard output is the table of places */
	const char *outputs[MAX_OUTPUTS];
	size_t noutputs;
	const char *comm; /* of a report */
	pid_t pids[MAX_PIDS];
	size_t npids;
	bool container;          /* chosen by --container */
	const char *crac;        /* --crac; NULL = none */
	uint64_t duration_ns;    /* 0 = none */
	uint64_t every_ns;       /* between reports, 0 = none */
	bool all, now, detailed; /* of open: every process; without tracing; --fd or --inode */
	int ready_fd;            /* -1 = none */
	int emit;                /* enum rille_emit */
	const char *emit_path;
	char **command_argv; /* behind `--`, NULL-terminated; NULL = none */
};

/* Reads the command line: makes the handle, loads the script as soon as its name is seen, so that its parameters are
 * options from there on, and hands every setting to the library. 0, or the exit status after saying why. */
int options_read(struct options *options, unsigned command, int argc, char **argv, int first);
void options_fini(struct options *options);
/* The table as help, one option a line. */
void options_help(FILE *out, unsigned command);
/* The script's parameters as help; nothing if it has none. */
void parameters_help(FILE *out, const rille *r);

#endif
