/* The help texts. Options come from the table that reads them (options.c), parameters from the script. */
#include "engine/cli/help.h"
#include "engine/cli/options.h"

#include <string.h>

static const char usage[] = "usage: rille run RECIPE|FILE.lua|- [OPTIONS] [PARAMETERS] [-- COMMAND…]\n"
                            "       rille -e 'TABLE' [OPTIONS] [-- COMMAND…]\n"
                            "       rille open -p PID | --all | -- COMMAND…\n"
                            "       rille report TRACE.jsonl [OPTIONS]\n"
                            "       rille list [recipes | probes GLOB | -v PROBE]\n"
                            "       rille check FILE\n"
                            "       rille emit FILE [--c | --asm | --object OUT]\n"
                            "       rille doctor\n"
                            "       rille help [COMMAND], rille --version\n";

static const char examples[] =
        "\n"
        "Examples:\n"
        "  rille run unix -- java -version        who makes Unix sockets while java starts, with stacks\n"
        "  rille open -p 4711 --by site           what it has open, by the place that made it\n"
        "  rille run bind -p 4711                 what a running process binds\n"
        "  rille run socket --family AF_INET6     every IPv6 socket on this machine\n"
        "  rille -e '{ \"syscall:bind\", fields = { \"addr\" }, stack = \"user\" }'\n"
        "  rille run mine.lua -o jsonl:trace-%p.jsonl -d 30s\n"
        "  rille list -v syscall:accept4          the arguments a probe has\n"
        "\n"
        "Tracing needs root (or CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE); check, emit and list mostly do not.\n"
        "Events go to standard output, everything else to standard error.\n"
        "Exit status: 0 done, 1 failed while running, 2 wrong usage or script, 3 no permission, 4 the kernel\n"
        "lacks something; with a command its own status, 125 to 127 if it could not be started.\n";

void help_usage(FILE *out)
{
	fputs(usage, out);
	fputs("\nrille --help says more.\n", out);
}

void help_main(void)
{
	fputs("Rille traces processes with Lua scripts: events and complete stacks, from the kernel to Java.\n\n",
	        stdout);
	fputs(usage, stdout);
	fputs("\nOptions of run:\n", stdout);
	options_help(stdout, FOR_RUN);
	fputs(examples, stdout);
}

void help_run(const char *script, const rille *r)
{
	const char *summary = script && r ? rille_summary(r) : NULL;
	if (script)
		printf("usage: rille run %s [OPTIONS] [PARAMETERS] [-- COMMAND…]\n", script);
	else
		fputs("usage: rille run RECIPE|FILE.lua|- [OPTIONS] [PARAMETERS] [-- COMMAND…]\n", stdout);
	if (summary && *summary)
		printf("\n%s\n", summary);
	if (script && r)
		parameters_help(stdout, r);
	fputs("\nOptions:\n", stdout);
	options_help(stdout, FOR_RUN);
	if (!script)
		fputs("\nrille run SCRIPT --help shows the script's parameters as well.\n", stdout);
}

void help_check(const char *script, const rille *r)
{
	fputs("usage: rille check FILE|RECIPE [OPTIONS] [PARAMETERS]\n\n"
	      "Says whether a script is right: its table, its expressions, its types. Traces nothing, needs no root\n"
	      "(but for tracepoint: probes, whose formats only root can read on many systems).\n",
	        stdout);
	if (script && r)
		parameters_help(stdout, r);
	fputs("\nOptions:\n", stdout);
	options_help(stdout, FOR_CHECK);
}

void help_emit(const char *script, const rille *r)
{
	fputs("usage: rille emit FILE|RECIPE [--c | --asm | --object OUT] [-o OUT] [OPTIONS] [PARAMETERS]\n\n"
	      "Shows what a script becomes. An object is run like the script (`rille run ./OUT`), without a "
	      "compiler.\n",
	        stdout);
	if (script && r)
		parameters_help(stdout, r);
	fputs("\nOptions:\n", stdout);
	options_help(stdout, FOR_EMIT);
}

void help_report(void)
{
	fputs("usage: rille report TRACE.jsonl|- [-o FORMAT:FILE]… [OPTIONS]\n\n"
	      "Shows a trace that `rille run … -o jsonl:TRACE.jsonl` wrote in any other format: as the run would have\n"
	      "written it, with what the trace holds. Lines that cannot be read are told, the rest is shown, and the "
	      "exit\n"
	      "status is 1.\n\n"
	      "  rille report trace.jsonl -o flamegraph:trace.html -o pprof:trace.pb.gz\n"
	      "  rille report trace.jsonl --top 10\n\n"
	      "Options:\n",
	        stdout);
	options_help(stdout, FOR_REPORT);
}

static void help_open(void)
{
	fputs("usage: rille open -p PID[,PID] [OPTIONS]\n"
	      "       rille open --container NAME | --all [OPTIONS]\n"
	      "       rille open [OPTIONS] -- COMMAND…\n\n"
	      "What is open, and who made it: every descriptor of the processes with its kind, addresses, the process "
	      "at the\n"
	      "other end, its age and the stack that made it. The list is written when the trace ends (Ctrl-C, -d, the "
	      "end of\n"
	      "the command), at SIGUSR1, and every so often with --every. What was open before tracing began is marked "
	      "so;\n"
	      "--now lists at once, without tracing. A process that has ended is shown as it was then.\n\n"
	      "Options:\n",
	        stdout);
	options_help(stdout, FOR_OPEN);
	fputs("\nExamples:\n"
	      "  rille open -p 4711 -d 1m              what it opened within a minute and still has\n"
	      "  rille open -p 4711 --by site --every 10s   a leak is a place whose count grows\n"
	      "  rille open --fd 4 -- java Demo        all about descriptor 4\n"
	      "  rille open -p 4711 --now              as lsof would, at once\n"
	      "  rille open --all --now --inode 81234  who has socket:[81234]\n"
	      "  rille open --crac out.log -- java -XX:CRaCCheckpointTo=cr Demo   what kept it from a checkpoint\n",
	        stdout);
}

static void help_list(void)
{
	fputs("usage: rille list [recipes]\n"
	      "       rille list probes [GLOB]\n"
	      "       rille list -v PROBE\n\n"
	      "Lists the recipes, the probes that match (syscall:NAME, tracepoint:CATEGORY:NAME), or with -v every\n"
	      "argument of a probe with its C type; those marked are in scope only when the call returns. With -v,\n"
	      "recipes are shown whole: they are scripts to learn from.\n",
	        stdout);
}

static void help_doctor(void)
{
	fputs("usage: rille doctor\n\n"
	      "Says what this kernel and these privileges allow, and what to do about what is missing. `-` is "
	      "missing,\n"
	      "but not needed by the recipes. Exit status 0 if nothing that is needed is missing.\n",
	        stdout);
}

bool help_command(const char *name)
{
	if (strcmp(name, "run") == 0)
		help_run(NULL, NULL);
	else if (strcmp(name, "check") == 0)
		help_check(NULL, NULL);
	else if (strcmp(name, "emit") == 0)
		help_emit(NULL, NULL);
	else if (strcmp(name, "report") == 0)
		help_report();
	else if (strcmp(name, "open") == 0)
		help_open();
	else if (strcmp(name, "list") == 0)
		help_list();
	else if (strcmp(name, "doctor") == 0)
		help_doctor();
	else
		return false;
	return true;
}
