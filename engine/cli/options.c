/* The command line of run, check, emit and report.
 *
 * A script's parameters are options like the command's own, with the script's types. They are known only when the
 * script has been declared, so the order matters: getopt_long() walks from left to right, the first word that is no
 * option is the script (or -e has brought one), it is loaded there and then, and its parameters join the table for the
 * rest of the walk. Two switches must be known earlier, since the script runs under them: --unsafe and --strict are
 * looked for beforehand. */
#include "engine/cli/options.h"
#include "engine/cli/arguments.h"
#include "engine/cli/script.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum key {
	KEY_SET = 256, /* handed to rille_set() */
	KEY_EVAL,
	KEY_PID,
	KEY_COMM,
	KEY_CONTAINER,
	KEY_CRAC,
	KEY_THREAD,
	KEY_UID,
	KEY_DURATION,
	KEY_EVERY,
	KEY_ALL,
	KEY_NOW,
	KEY_DETAIL, /* as KEY_SET */
	KEY_OUTPUT,
	KEY_FORMAT,
	KEY_COLOR,
	KEY_READY_FD,
	KEY_TOP,
	KEY_STRICT,
	KEY_UNSAFE,
	KEY_QUIET,
	KEY_VERBOSE,
	KEY_HELP,
	KEY_C,
	KEY_ASM,
	KEY_OBJECT,
	KEY_EMIT_OUTPUT,
	KEY_TABLE = 1024,     /* + the index in the table */
	KEY_PARAMETER = 2048, /* + the number of the parameter */
};

/* In the order of the help. `arg` NULL: a switch; rille_set() then gets `value`. */
static const struct option_spec {
	const char *name;
	char letter;
	enum key key;
	const char *arg;
	unsigned commands;
	const char *help;
	const char *setting, *value; /* KEY_SET: for rille_set(), where not the option's own name and argument */
} table[] = {
        {"eval", 'e', KEY_EVAL, "TABLE", FOR_SCRIPT,
                "a probe instead of a script: '{ \"syscall:bind\", fields = { \"addr\" } }'"},
        {"pid", 'p', KEY_PID, "PID[,PID]", FOR_TRACE, "trace these processes (and their children)"},
        {"pid", 'p', KEY_PID, "PID[,PID]", FOR_REPORT, "only events of these processes"},
        {"comm", 'n', KEY_COMM, "COMM", FOR_RUN, "trace threads of this name"},
        {"comm", 'n', KEY_THREAD, "COMM", FOR_REPORT, "only events of threads of this name"},
        {"uid", 'u', KEY_UID, "USER", FOR_RUN, "trace processes of this user (name or number)"},
        {"container", 0, KEY_CONTAINER, "ID|NAME", FOR_TRACE,
                "trace what runs in this container: its id or the start of it, its name, its pod; repeatable"},
        {"no-follow", 0, KEY_SET, NULL, FOR_TRACE, "do not trace children of the target", "follow", "no"},
        {"filter", 0, KEY_SET, "EXPR", FOR_SCRIPT, "only events for which this holds too (in the kernel)"},
        {"stack", 0, KEY_SET, "SIDES", FOR_SCRIPT, "with stacks: user, kernel or both"},
        {"depth", 0, KEY_SET, "N", FOR_SCRIPT, "at most N frames a stack"},
        {"duration", 'd', KEY_DURATION, "TIME", FOR_TRACE, "end after this time: 5s, 500ms, 2m"},
        {"every", 0, KEY_EVERY, "TIME", FOR_TRACE,
                "a report at this interval: what is counted, and outputs that tell a state (open)"},
        {"all", 0, KEY_ALL, NULL, FOR_OPEN, "every process"},
        {"now", 0, KEY_NOW, NULL, FOR_OPEN, "what is open now, at once: without tracing nobody knows who made it"},
        {"by", 0, KEY_SET, "site|fd", FOR_OPEN, "grouped by where it was made; by descriptor (the default)", "open-by"},
        {"fd", 0, KEY_DETAIL, "N[,N]", FOR_OPEN, "only these descriptors, with all that is known", "open-fd"},
        {"inode", 0, KEY_DETAIL, "N[,N]", FOR_OPEN, "only what has these inodes, the N of socket:[N]", "open-inode"},
        {"crac", 0, KEY_CRAC, "FILE", FOR_OPEN,
                "answers to each descriptor of the CheckpointException in this text; - is standard input"},
        {"kind", 0, KEY_SET, "KIND[,KIND]", FOR_OPEN, "only these kinds: socket, pipe, file, eventpoll …", "open-kind"},
        {"limit", 0, KEY_SET, "N", FOR_OUT, "end after N events"},
        {"ring", 0, KEY_SET, "SIZE", FOR_TRACE,
                "ring buffer from the kernel: 64M, at most 1G (1M; 8M with stacks; 32M for open)"},
        {"output", 'o', KEY_OUTPUT, "[FORMAT:]FILE", FOR_OUT | FOR_OPEN,
                "write events there, - is standard output; %p is our pid, %t the start time; repeatable"},
        {"format", 0, KEY_FORMAT, "FORMAT", FOR_OUT,
                "where -o does not say: text, jsonl, csv, perf-script, top, folded, flamegraph, speedscope or pprof"},
        {"format", 0, KEY_FORMAT, "FORMAT", FOR_OPEN, "text or jsonl"},
        {"top", 0, KEY_TOP, "N", FOR_OUT, "at the end, the N places that events came from most often; 0 = all"},
        {"fields", 0, KEY_SET, "A,B", FOR_OUT, "show only these fields, in this order"},
        {"timestamp", 0, KEY_SET, "KIND", FOR_OUT | FOR_OPEN, "time, iso, epoch, delta or none"},
        {"addresses", 0, KEY_SET, NULL, FOR_OUT | FOR_OPEN, "show addresses and whole paths in stacks", "addresses",
                "yes"},
        {"signatures", 0, KEY_SET, NULL, FOR_OUT | FOR_OPEN, "show signatures of Java methods", "signatures", "yes"},
        {"origins", 0, KEY_SET, NULL, FOR_OUT, "say below a stack what it is about, and what to do about it", "origins",
                "yes"},
        {"color", 0, KEY_COLOR, "WHEN", FOR_OUT | FOR_OPEN, "auto (on a terminal), always or never"},
        {"ready-fd", 0, KEY_READY_FD, "N", FOR_TRACE, "write a line to descriptor N once the probes are attached"},
        {"c", 0, KEY_C, NULL, FOR_EMIT, "the generated C (the default)"},
        {"asm", 0, KEY_ASM, NULL, FOR_EMIT, "BPF assembly"},
        {"object", 0, KEY_OBJECT, "FILE", FOR_EMIT,
                "a relocatable BPF object for this and other kernels, written to FILE"},
        {"output", 'o', KEY_EMIT_OUTPUT, "FILE", FOR_EMIT, "write there instead of standard output"},
        {"strict", 0, KEY_STRICT, NULL, FOR_RUN, "an error in a callback ends the trace"},
        {"unsafe", 0, KEY_UNSAFE, NULL, FOR_SCRIPT, "give the script files, processes and C modules"},
        {"quiet", 'q', KEY_QUIET, NULL, FOR_SCRIPT | FOR_OPEN, "no report unless something was lost, no remarks"},
        {"quiet", 'q', KEY_QUIET, NULL, FOR_REPORT, "do not tell each line that cannot be read"},
        {"verbose", 'v', KEY_VERBOSE, NULL, FOR_SCRIPT | FOR_OPEN, "phases in ms, chosen mechanisms; -vv: more"},
        {"help", 'h', KEY_HELP, NULL, FOR_SCRIPT, "this, and the script's parameters"},
        {"help", 'h', KEY_HELP, NULL, FOR_REPORT | FOR_OPEN, "this"},
};

enum { TABLE_SIZE = sizeof(table) / sizeof(*table) };

/* getopt's state and the growing table of long options. */
struct walk {
	struct options *options;
	int argc;
	char **argv;
	char letters[2 * TABLE_SIZE + 3];
	struct option *longs; /* ends with a zeroed one */
	size_t nlongs;
	char **lists; /* per parameter: what was given so far, for lists that are given several times */
	size_t nparams;
	char **aliases; /* names with dashes that we made */
	size_t naliases;
};

static const char *command_name(const struct options *options)
{
	switch (options->command) {
	case FOR_CHECK:
		return "check";
	case FOR_EMIT:
		return "emit";
	case FOR_REPORT:
		return "report";
	case FOR_OPEN:
		return "open";
	default:
		return "run";
	}
}

static int add_long(struct walk *walk, const char *name, int has_arg, int key)
{
	struct option *longs = reallocarray(walk->longs, walk->nlongs + 2, sizeof(*longs));
	if (!longs)
		return -1;
	walk->longs = longs;
	longs[walk->nlongs++] = (struct option){.name = name, .has_arg = has_arg, .val = key};
	memset(&longs[walk->nlongs], 0, sizeof(*longs));
	return 0;
}

/* The index in the table is what getopt returns, so that one lookup serves long and short. */
static int add_table(struct walk *walk)
{
	char *letter = walk->letters;
	*letter++ = '-'; /* words that are no options are returned in order */
	*letter++ = ':';
	for (int i = 0; i < TABLE_SIZE; i++) {
		if (!(table[i].commands & walk->options->command))
			continue;
		if (add_long(walk, table[i].name, table[i].arg ? required_argument : no_argument, KEY_TABLE + i) < 0)
			return -1;
		if (!table[i].letter)
			continue;
		*letter++ = table[i].letter;
		if (table[i].arg)
			*letter++ = ':';
	}
	*letter = 0;
	return 0;
}

static const struct option_spec *spec_of(const struct walk *walk, int key)
{
	for (int i = 0; i < TABLE_SIZE; i++)
		if ((table[i].commands & walk->options->command) && (KEY_TABLE + i == key || table[i].letter == key))
			return &table[i];
	return NULL;
}

static bool is_option(const struct walk *walk, const char *name)
{
	for (int i = 0; i < TABLE_SIZE; i++)
		if ((table[i].commands & walk->options->command) && strcmp(table[i].name, name) == 0)
			return true;
	return false;
}

/* A parameter max_len is --max_len and --max-len. */
static int add_alias(struct walk *walk, const char *name, int has_arg, int key)
{
	if (!strchr(name, '_'))
		return 0;
	char **aliases = reallocarray(walk->aliases, walk->naliases + 1, sizeof(*aliases));
	if (!aliases)
		return -1;
	walk->aliases = aliases;
	char *alias = strdup(name);
	if (!alias)
		return -1;
	aliases[walk->naliases++] = alias;
	for (char *p = alias; *p; p++)
		if (*p == '_')
			*p = '-';
	return add_long(walk, alias, has_arg, key);
}

static int add_parameters(struct walk *walk)
{
	struct rille_param param;
	size_t n = rille_param_count(walk->options->r);
	walk->lists = calloc(n + 1, sizeof(*walk->lists));
	if (!walk->lists)
		return -1;
	walk->nparams = n;
	for (size_t i = 0; i < n; i++) {
		if (rille_param(walk->options->r, i, &param) < 0)
			return -1;
		if (is_option(walk, param.name)) {
			say("the script's parameter '%s' has the name of an option and cannot be set here", param.name);
			continue;
		}
		int has_arg = strcmp(param.type, "bool") == 0 ? optional_argument : required_argument;
		int key = KEY_PARAMETER + (int)i;
		if (add_long(walk, param.name, has_arg, key) < 0 || add_alias(walk, param.name, has_arg, key) < 0)
			return -1;
	}
	return 0;
}

static int out_of_memory(void)
{
	say("out of memory");
	return EXIT_RUNTIME;
}

static int script_found(struct walk *walk, const char *name, bool is_table)
{
	struct options *options = walk->options;
	if (options->command == FOR_OPEN)
		return say_usage("open", "unexpected '%s'; a command to trace goes behind --", name);
	if (options->script && options->command == FOR_REPORT)
		return say_usage("report", "unexpected '%s': a report is made of one trace", name);
	if (options->script)
		return say_usage(command_name(options),
		        is_table ? "-e gives a script, but '%s' is one already"
		                 : "unexpected '%s'; a command to trace goes behind --",
		        is_table ? options->script : name);
	options->script = is_table ? "-e" : name;
	if (options->command == FOR_REPORT) /* a trace: nothing is loaded */
		return 0;
	int r = is_table ? rille_load_table(options->r, name, "-e") : script_load_named(options->r, name);
	if (r == SCRIPT_SAID)
		return EXIT_RUNTIME;
	if (r < 0)
		return say_error(options->r);
	return add_parameters(walk) < 0 ? out_of_memory() : 0;
}

/* A list given several times is one list. */
static int set_parameter(struct walk *walk, size_t i, const char *value)
{
	struct rille_param param;
	rille *r = walk->options->r;
	if (rille_param(r, i, &param) < 0)
		return say_error(r);
	if (!value)
		value = "yes";
	char *joined = NULL, *before = walk->lists[i];
	bool is_list = strchr(param.type, '[') != NULL;
	int n = is_list && before ? asprintf(&joined, "%s,%s", before, value) : asprintf(&joined, "%s", value);
	if (n < 0)
		return out_of_memory();
	free(before);
	walk->lists[i] = joined;
	return rille_set_param(r, param.name, joined) < 0 ? say_error(r) : 0;
}

static int set_pids(struct options *options, const char *text)
{
	char *copy = strdup(text), *rest = NULL;
	int status = copy ? 0 : out_of_memory();
	for (char *word = copy ? strtok_r(copy, ",", &rest) : NULL; word && !status;
	        word = strtok_r(NULL, ",", &rest)) {
		uint64_t pid;
		if (read_number(word, INT_MAX, &pid) < 0 || pid == 0)
			status = say_usage(command_name(options), "'%s' is not a process id", word);
		else if (options->npids == MAX_PIDS)
			status =
			        say_usage(command_name(options), "at most %d processes can be named with -p", MAX_PIDS);
		else
			options->pids[options->npids++] = (pid_t)pid;
	}
	free(copy);
	return status;
}

static int set_uid(struct options *options, const char *text)
{
	uid_t uid;
	if (read_user(text, &uid) < 0)
		return say_usage("run", "there is no user '%s'", text);
	return rille_target_uid(options->r, uid) < 0 ? say_error(options->r) : 0;
}

static int set_output(struct options *options, const char *text)
{
	if (options->noutputs == MAX_OUTPUTS)
		return say_usage(command_name(options), "at most %d outputs", MAX_OUTPUTS);
	options->outputs[options->noutputs++] = text;
	return 0;
}

static int set_ready_fd(struct options *options, const char *text)
{
	uint64_t fd;
	if (read_number(text, INT_MAX, &fd) < 0)
		return say_usage("run", "'%s' is not a descriptor", text);
	if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0) /* not the traced command's */
		return say_usage("run", "--ready-fd %s: %s", text, strerror(errno));
	options->ready_fd = (int)fd;
	return 0;
}

static int set_color(struct options *options, const char *text)
{
	if (strcmp(text, "auto") && strcmp(text, "always") && strcmp(text, "never"))
		return say_usage(command_name(options), "--color is auto, always or never, not '%s'", text);
	options->color = text;
	return 0;
}

static int set_setting(struct options *options, const struct option_spec *spec, const char *value)
{
	const char *name = spec->setting ? spec->setting : spec->name;
	return rille_set(options->r, name, spec->value ? spec->value : value) < 0 ? say_error(options->r) : 0;
}

static int set_option(struct walk *walk, const struct option_spec *spec, const char *value)
{
	struct options *options = walk->options;
	switch (spec->key) {
	case KEY_SET:
		return set_setting(options, spec, value);
	case KEY_DETAIL:
		options->detailed = true;
		return set_setting(options, spec, value);
	case KEY_ALL:
		options->all = true;
		break;
	case KEY_NOW:
		options->now = true;
		break;
	case KEY_EVERY:
		if (read_duration(value, &options->every_ns) < 0)
			return say_usage(command_name(options), "'%s' is not a duration (5s, 500ms, 2m)", value);
		break;
	case KEY_TOP:
		options->top = true;
		return set_setting(options, spec, value);
	case KEY_EVAL:
		return script_found(walk, value, true);
	case KEY_PID:
		return set_pids(options, value);
	case KEY_COMM:
		return rille_target_comm(options->r, value) < 0 ? say_error(options->r) : 0;
	case KEY_THREAD:
		options->comm = value;
		break;
	case KEY_CRAC:
		options->crac = value;
		break;
	case KEY_CONTAINER:
		options->container = true;
		return set_setting(options, spec, value);
	case KEY_UID:
		return set_uid(options, value);
	case KEY_DURATION:
		if (read_duration(value, &options->duration_ns) < 0)
			return say_usage(command_name(options), "'%s' is not a duration (5s, 500ms, 2m)", value);
		break;
	case KEY_OUTPUT:
		return set_output(options, value);
	case KEY_FORMAT:
		options->format = value;
		break;
	case KEY_COLOR:
		return set_color(options, value);
	case KEY_READY_FD:
		return set_ready_fd(options, value);
	case KEY_STRICT:
		options->strict = true;
		break;
	case KEY_UNSAFE:
		options->unsafe = true;
		break;
	case KEY_QUIET:
		options->talk.quiet = true;
		break;
	case KEY_VERBOSE:
		options->talk.verbose++;
		break;
	case KEY_HELP:
		options->help = true;
		break;
	case KEY_C:
		options->emit = RILLE_EMIT_C;
		break;
	case KEY_ASM:
		options->emit = RILLE_EMIT_ASM;
		break;
	case KEY_OBJECT:
		options->emit = RILLE_EMIT_OBJECT;
		options->emit_path = value;
		break;
	case KEY_EMIT_OUTPUT:
		options->emit_path = value;
		break;
	case KEY_TABLE:
	case KEY_PARAMETER: /* numbers of getopt's, not in the table */
		break;
	}
	return 0;
}

/* The library knows the parameters' names and says which is nearest. */
static int unknown_option(struct walk *walk)
{
	struct options *options = walk->options;
	const char *word = walk->argv[optind - 1];
	if (optopt)
		return say_usage(command_name(options), "there is no option -%c", optopt);
	if (options->command == FOR_REPORT || options->command == FOR_OPEN)
		return say_usage(command_name(options), "there is no option %s", word);
	if (!options->script)
		return say_usage(command_name(options),
		        "there is no option %s (a script's parameters go behind its name)", word);
	char name[128];
	size_t len = strcspn(word + 2, "=");
	if (len >= sizeof(name))
		len = sizeof(name) - 1;
	memcpy(name, word + 2, len);
	name[len] = 0;
	if (rille_set_param(options->r, name, "") < 0)
		return say_error(options->r);
	return say_usage(command_name(options), "there is no option %s", word);
}

static int missing_value(struct walk *walk)
{
	const char *word = walk->argv[optind - 1];
	return say_usage(command_name(walk->options), "%s needs a value", word);
}

static int walk_all(struct walk *walk)
{
	int key, status = 0;
	opterr = 0;
	while (!status && (key = getopt_long(walk->argc, walk->argv, walk->letters, walk->longs, NULL)) != -1) {
		const struct option_spec *spec = spec_of(walk, key);
		if (spec)
			status = set_option(walk, spec, optarg);
		else if (key >= KEY_PARAMETER)
			status = set_parameter(walk, (size_t)(key - KEY_PARAMETER), optarg);
		else if (key == 1)
			status = script_found(walk, optarg, false);
		else
			status = key == ':' ? missing_value(walk) : unknown_option(walk);
	}
	return status;
}

/* --unsafe and --strict stand anywhere on the command line, but the script needs them from its first line on. */
static void look_ahead(struct options *options, int argc, char **argv, int first)
{
	for (int i = first; i < argc && strcmp(argv[i], "--") != 0; i++) {
		options->unsafe |= strcmp(argv[i], "--unsafe") == 0;
		options->strict |= strcmp(argv[i], "--strict") == 0;
	}
}

/* Three ways to say whose events are wanted; of each other they make no sense. 0, or the exit status. */
static int exclude_each_other(const struct options *options, const char *name, char **command)
{
	if (command && options->npids)
		return say_usage(name, "-p and a command behind -- exclude each other");
	if (options->container && (command || options->npids))
		return say_usage(name, "--container and %s exclude each other", command ? "a command behind --" : "-p");
	return 0;
}

/* Of `rille open`: whose descriptors, and what excludes what. */
static int finish_open(struct options *options, char **command)
{
	options->command_argv = command;
	if (exclude_each_other(options, "open", command))
		return EXIT_USAGE;
	if (options->all && (command || options->npids || options->container))
		return say_usage("open", "--all and %s exclude each other",
		        command              ? "a command behind --"
		        : options->container ? "--container"
		                             : "-p");
	if (!options->all && !command && !options->npids && !options->container)
		return say_usage("open", "whose descriptors? -p PID, --container NAME, --all, or a command behind --");
	if (options->now && command)
		return say_usage("open", "--now traces nothing: it takes -p PID, --container NAME or --all");
	if (options->now && (options->every_ns || options->duration_ns))
		return say_usage("open", "--now traces nothing: it has no --every and no --duration");
	if (options->crac && rille_set(options->r, options->now ? "open-crac" : "open-crac-later", options->crac) < 0)
		return say_error(options->r);
	if (!options->now)
		options->script = "fds";
	if (rille_set(options->r, "origins", "yes") < 0)
		return say_error(options->r);
	return rille_load_recipe(options->r, "fds") < 0 ? say_error(options->r) : 0;
}

static int finish(struct walk *walk)
{
	struct options *options = walk->options;
	if (options->help)
		return 0;
	if (options->command == FOR_OPEN)
		return finish_open(options, optind < walk->argc ? walk->argv + optind : NULL);
	if (!options->script && options->command == FOR_REPORT)
		return say_usage("report", "which trace? A file that -o jsonl:FILE wrote, or - for standard input");
	if (!options->script)
		return say_usage(command_name(options), "which script? A recipe, a file, or -e 'TABLE'");
	if (optind < walk->argc)
		options->command_argv = walk->argv + optind;
	if (options->command_argv && options->command != FOR_RUN)
		return say_usage(command_name(options), "only run takes a command behind --");
	return exclude_each_other(options, "run", options->command_argv);
}

int options_read(struct options *options, unsigned command, int argc, char **argv, int first)
{
	struct walk walk = {.options = options, .argc = argc, .argv = argv};
	memset(options, 0, sizeof(*options));
	options->command = command;
	options->ready_fd = -1;
	options->color = "auto";
	look_ahead(options, argc, argv, first);
	options->r = open_handle(&(struct handle_options){
	        .talk = &options->talk, .unsafe = options->unsafe, .strict = options->strict, .argv = argv});
	if (!options->r)
		return EXIT_RUNTIME;
	/* An event that is lost is a maker that is not known: bursts have room. */
	if (command == FOR_OPEN && rille_set(options->r, "ring", "32M") < 0)
		return say_error(options->r);
	optind = first;
	int status = add_table(&walk) < 0 ? out_of_memory() : walk_all(&walk);
	if (!status)
		status = finish(&walk);
	for (size_t i = 0; i < walk.nparams; i++)
		free(walk.lists[i]);
	for (size_t i = 0; i < walk.naliases; i++)
		free(walk.aliases[i]);
	free(walk.lists);
	free(walk.aliases);
	free(walk.longs);
	return status;
}

void options_fini(struct options *options)
{
	rille_free(options->r);
	options->r = NULL;
}

void options_help(FILE *out, unsigned command)
{
	for (int i = 0; i < TABLE_SIZE; i++) {
		char left[64];
		if (!(table[i].commands & command))
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", table[i].name, table[i].arg ? " " : "",
		        table[i].arg ? table[i].arg : "");
		if (table[i].letter)
			fprintf(out, "  -%c, %-24s %s\n", table[i].letter, left, table[i].help);
		else
			fprintf(out, "      %-24s %s\n", left, table[i].help);
	}
}

void parameters_help(FILE *out, const rille *r)
{
	struct rille_param param;
	size_t n = rille_param_count(r);
	if (n)
		fprintf(out, "\nParameters of the script:\n");
	for (size_t i = 0; i < n; i++) {
		char left[96];
		if (rille_param(r, i, &param) < 0)
			continue;
		bool is_switch = strcmp(param.type, "bool") == 0;
		snprintf(left, sizeof(left), "--%s%s%s", param.name, is_switch ? "" : " ", is_switch ? "" : param.type);
		fprintf(out, "      %-24s %s", left, param.help ? param.help : "");
		if (param.fallback && param.fallback[0] && !is_switch)
			fprintf(out, " (default %s)", param.fallback);
		fputc('\n', out);
	}
}
