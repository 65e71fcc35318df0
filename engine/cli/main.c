/* rille: the command. Finds the sub-command and hands over; each has a file of its own.
 *
 * The command is a client of the library like any other: everything it knows about tracing comes through rille.h. What
 * it adds is what a process owns and a library must not touch: standard streams, signals, a child to run, the exit
 * status. */
#include "engine/cli/cli.h"
#include "engine/cli/help.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv, int first);
} commands[] = {
        {"run", cmd_run},
        {"open", cmd_open},
        {"report", cmd_report},
        {"list", cmd_list},
        {"check", cmd_check},
        {"emit", cmd_emit},
        {"doctor", cmd_doctor},
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int cmd_help(int argc, char **argv)
{
	if (argc < 2) {
		help_main();
	} else if (!help_command(argv[1])) {
		return say_usage(NULL, "there is no command '%s'", argv[1]);
	}
	return finish_stdout(EXIT_DONE);
}

/* What someone most likely meant by a first word that is no command. */
static int unknown_command(const char *word)
{
	size_t len = strlen(word);
	if (strchr(word, '/') || (len > 4 && strcmp(word + len - 4, ".lua") == 0))
		return say_usage(NULL, "there is no command '%s'; to run the script: rille run %s", word, word);
	return say_usage(NULL, "there is no command '%s'; to run a recipe: rille run %s", word, word);
}

int main(int argc, char **argv)
{
	/* A reader that goes away (`| head`) ends the trace in order; see trace.c. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* ignored by who started us, children could not be waited for */

	if (argc < 2) {
		help_usage(stderr);
		return EXIT_USAGE;
	}
	const char *word = argv[1];
	if (strcmp(word, "help") == 0)
		return cmd_help(argc - 1, argv + 1);
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return cmd_help(1, argv);
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		printf("rille %s\n", rille_version());
		return finish_stdout(EXIT_DONE);
	}
	const struct command *command = find_command(word);
	if (command)
		return command->run(argc, argv, 2);
	if (word[0] == '-') /* rille -e '{…}' and any other order of run's options */
		return cmd_run(argc, argv, 1);
	return unknown_command(word);
}
