/* What the command says beside the events: on standard error, a message a write. */
#include "engine/cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say_with(const char *before, const char *fmt, va_list ap)
{
	char *text = NULL;
	if (vasprintf(&text, fmt, ap) < 0)
		return;
	dprintf(STDERR_FILENO, "%s%s\n", before, text);
	free(text);
}

void say(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say_with("rille: ", fmt, ap);
	va_end(ap);
}

/* Errors in a script begin with its place, as compilers' do, so that editors find it; the others with our name. */
int say_error(const rille *r)
{
	const struct rille_error *error = rille_last_error(r);
	const char *text = error->formatted ? error->formatted : error->message;
	size_t len = strlen(text);
	bool placed = error->file && error->file[0];
	dprintf(STDERR_FILENO, "%s%s%s", placed ? "" : "rille: ", text, len && text[len - 1] == '\n' ? "" : "\n");
	return error->error_class ? error->error_class : EXIT_RUNTIME;
}

int say_usage(const char *command, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say_with("rille: ", fmt, ap);
	va_end(ap);
	if (command)
		say("see rille %s --help", command);
	else
		say("see rille --help");
	return EXIT_USAGE;
}

static void log_message(void *user, int level, const char *message)
{
	static const char *const kinds[] = {"error: ", "warning: ", "", "debug: "};
	const struct talk *talk = user;
	int most = talk->quiet ? RILLE_LOG_ERROR : RILLE_LOG_WARN + talk->verbose;
	if (level <= most && level >= 0 && level <= RILLE_LOG_DEBUG)
		say("%s%s", kinds[level], message);
}

rille *open_handle(const struct handle_options *options)
{
	struct rille_options library = {
	        .size = sizeof(library),
	        .log = log_message,
	        .log_user = options->talk,
	        .log_level = RILLE_LOG_DEBUG, /* log_message() chooses: a -v behind the script's name comes later */
	        .argv = (const char *const *)options->argv,
	        .unsafe = options->unsafe,
	        .strict = options->strict,
	};
	rille *r = rille_new(&library);
	if (!r)
		say("out of memory");
	return r;
}

int finish_stdout(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (errno == EPIPE)
		return status;
	say("cannot write to standard output: %s", strerror(errno));
	return status ? status : EXIT_RUNTIME;
}
