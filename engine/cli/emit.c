/* rille check and rille emit: everything that can be done with a script without tracing anything. */
#include "engine/cli/help.h"
#include "engine/cli/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int check(const struct options *options)
{
	if (rille_check(options->r) < 0)
		return say_error(options->r);
	if (!options->talk.quiet)
		say("%s: %zu probe%s, no errors", options->script, rille_probe_count(options->r),
		        rille_probe_count(options->r) == 1 ? "" : "s");
	return EXIT_DONE;
}

int cmd_check(int argc, char **argv, int first)
{
	struct options options;
	int status = options_read(&options, FOR_CHECK, argc, argv, first);
	if (!status && options.help) {
		help_check(options.script, options.r);
		status = finish_stdout(EXIT_DONE);
	} else if (!status) {
		status = check(&options);
	}
	options_fini(&options);
	return status;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_output(const char *path, const char *data, size_t len)
{
	bool to_stdout = !path || strcmp(path, "-") == 0;
	int fd = to_stdout ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : write_all(fd, data, len);
	if (!to_stdout && fd >= 0 && close(fd) < 0 && !r)
		r = -errno;
	if (r == 0 || (r == -EPIPE && to_stdout))
		return EXIT_DONE;
	say("cannot write to %s: %s", to_stdout ? "standard output" : path, strerror(-r));
	return EXIT_RUNTIME;
}

static int emit(const struct options *options)
{
	void *data;
	size_t len;
	bool to_stdout = !options->emit_path || strcmp(options->emit_path, "-") == 0;
	if (options->emit == RILLE_EMIT_OBJECT && to_stdout && isatty(STDOUT_FILENO))
		return say_usage("emit", "an object is not for a terminal: --object FILE");
	if (rille_emit(options->r, options->emit, &data, &len) < 0)
		return say_error(options->r);
	int status = write_output(options->emit_path, data, len);
	free(data);
	return status;
}

int cmd_emit(int argc, char **argv, int first)
{
	struct options options;
	int status = options_read(&options, FOR_EMIT, argc, argv, first);
	if (!status && options.help) {
		help_emit(options.script, options.r);
		status = finish_stdout(EXIT_DONE);
	} else if (!status) {
		status = emit(&options);
	}
	options_fini(&options);
	return status;
}
