/* rille doctor: what this kernel and these privileges allow. */
#include "engine/cli/cli.h"
#include "engine/cli/help.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int print_finding(void *user, const struct rille_finding *finding)
{
	bool *missing = user;
	const char *mark = finding->ok > 0 ? "yes" : finding->ok < 0 ? "-" : "NO";
	*missing |= finding->ok == 0;
	printf("%-4s %-24s %s\n", mark, finding->name, finding->detail ? finding->detail : "");
	return 0;
}

int cmd_doctor(int argc, char **argv, int first)
{
	struct talk talk = {0};
	bool missing = false;
	if (first < argc && (strcmp(argv[first], "--help") == 0 || strcmp(argv[first], "-h") == 0)) {
		help_command("doctor");
		return finish_stdout(EXIT_DONE);
	}
	if (first < argc)
		return say_usage("doctor", "unexpected '%s'", argv[first]);
	rille *r = open_handle(&(struct handle_options){.talk = &talk, .argv = argv});
	if (!r)
		return EXIT_RUNTIME;
	int status = rille_doctor(r, print_finding, &missing) < 0 ? say_error(r) : EXIT_DONE;
	rille_free(r);
	if (!status && missing)
		status = geteuid() == 0 ? EXIT_KERNEL : EXIT_PERMISSION;
	return finish_stdout(status);
}
