/* rille list: recipes, probes, and with -v the arguments of a probe. */
#include "engine/cli/cli.h"
#include "engine/cli/help.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct list {
	rille *r;
	bool verbose;
	int status;
	size_t count;
};

static int print_recipe(void *user, const struct rille_item *item)
{
	struct list *list = user;
	if (list->verbose)
		printf("-- %s\n%s\n", item->name, item->source ? item->source : "");
	else
		printf("%-16s %s\n", item->name, item->summary ? item->summary : "");
	list->count++;
	return 0;
}

static int print_argument(void *user, const struct rille_argument *argument)
{
	size_t len = strlen(argument->type);
	bool star = len && argument->type[len - 1] == '*';
	printf("    %s%s%s%s\n", argument->type, star ? "" : " ", argument->name,
	        argument->at_exit ? "  (at exit)" : "");
	return 0;
}

static int print_probe(void *user, const struct rille_item *item)
{
	struct list *list = user;
	printf("%s\n", item->name);
	list->count++;
	if (!list->verbose)
		return 0;
	return rille_list_arguments(list->r, item->name, print_argument, list);
}

/* "bind" means every kind of probe of that name, as grep would find it. */
static int list_probes(struct list *list, const char *glob)
{
	char pattern[256];
	if (!strchr(glob, ':') && strcmp(glob, "*") != 0)
		snprintf(pattern, sizeof(pattern), "*:%s", glob);
	else
		snprintf(pattern, sizeof(pattern), "%s", glob);
	if (rille_list_probes(list->r, pattern, print_probe, list) < 0)
		return say_error(list->r);
	if (list->count)
		return EXIT_DONE;
	say("no probe matches '%s'", glob);
	return EXIT_USAGE;
}

static int list_recipes(struct list *list)
{
	return rille_list_recipes(list->r, print_recipe, list) < 0 ? say_error(list->r) : EXIT_DONE;
}

static int list_what(struct list *list, int nwords, char **words)
{
	if (nwords && strcmp(words[0], "recipes") == 0)
		return nwords > 1 ? say_usage("list", "unexpected '%s'", words[1]) : list_recipes(list);
	if (nwords && strcmp(words[0], "probes") == 0) {
		words++;
		nwords--;
	} else if (!nwords) {
		return list_recipes(list);
	}
	if (nwords > 1)
		return say_usage("list", "unexpected '%s'", words[1]);
	return list_probes(list, nwords ? words[0] : "*");
}

int cmd_list(int argc, char **argv, int first)
{
	static const struct option longs[] = {
	        {"verbose", no_argument, NULL, 'v'},
	        {"quiet", no_argument, NULL, 'q'},
	        {"help", no_argument, NULL, 'h'},
	        {0},
	};
	struct talk talk = {0};
	struct list list = {0};
	int key;
	optind = first;
	opterr = 0;
	while ((key = getopt_long(argc, argv, "vqh", longs, NULL)) != -1) {
		if (key == 'h') {
			help_command("list");
			return finish_stdout(EXIT_DONE);
		}
		if (key == '?')
			return say_usage("list", "there is no option %s", argv[optind - 1]);
		list.verbose |= key == 'v';
		talk.quiet |= key == 'q';
	}
	list.r = open_handle(&(struct handle_options){.talk = &talk, .argv = argv});
	if (!list.r)
		return EXIT_RUNTIME;
	int status = list_what(&list, argc - optind, argv + optind);
	rille_free(list.r);
	return finish_stdout(status);
}
