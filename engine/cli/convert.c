/* rille report: a trace that was written as JSON lines, shown as any other format would have. */
#include "engine/cli/help.h"
#include "engine/cli/options.h"
#include "engine/cli/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int convert(const struct options *options, int fd, const char *name)
{
	uint32_t pids[MAX_PIDS];
	for (size_t i = 0; i < options->npids; i++)
		pids[i] = (uint32_t)options->pids[i];
	struct rille_conversion what = {
	        .size = sizeof(what),
	        .fd = fd,
	        .name = name,
	        .pids = pids,
	        .npids = options->npids,
	        .comm = options->comm,
	};
	return rille_convert(options->r, &what) < 0 ? say_error(options->r) : EXIT_DONE;
}

static int report(const struct options *options)
{
	int status = outputs_add(options);
	if (status)
		return status;
	if (strcmp(options->script, "-") == 0)
		return convert(options, STDIN_FILENO, "standard input");
	int fd = open(options->script, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		say("cannot read %s: %s", options->script, strerror(errno));
		return EXIT_RUNTIME;
	}
	status = convert(options, fd, options->script);
	close(fd);
	return status;
}

int cmd_report(int argc, char **argv, int first)
{
	struct options options;
	int status = options_read(&options, FOR_REPORT, argc, argv, first);
	if (!status && options.help) {
		help_report();
		status = finish_stdout(EXIT_DONE);
	} else if (!status) {
		status = report(&options);
	}
	options_fini(&options);
	return status;
}
