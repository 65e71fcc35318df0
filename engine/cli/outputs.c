/* Where events go. `-o FORMAT:FILE` has a format if what stands before the colon is lower-case letters and dashes: a
 * file of such a name is written ./name:rest. */
#include "engine/cli/outputs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool wants_color(const struct options *options)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	if (strcmp(options->color, "auto") != 0)
		return strcmp(options->color, "always") == 0;
	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

/* What --format says, as an output is called. */
static const char *fallback_format(const struct options *options)
{
	const char *format = options->format ? options->format : "text";
	if (options->command != FOR_OPEN)
		return format;
	return strcmp(format, "text") == 0 ? "open" : strcmp(format, "jsonl") == 0 ? "open-jsonl" : format;
}

static int add_output(const struct options *options, const char *format, const char *path)
{
	bool to_stdout = strcmp(path, "-") == 0;
	if (rille_add_output(options->r, format, to_stdout ? NULL : path, STDOUT_FILENO) < 0)
		return say_error(options->r);
	return 0;
}

static int add_named(const struct options *options, const char *text)
{
	const char *fallback = fallback_format(options);
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz-");
	if (!len || text[len] != ':')
		return add_output(options, fallback, text);
	if (!text[len + 1])
		return say_usage(options->command == FOR_REPORT ? "report"
		                 : options->command == FOR_OPEN ? "open"
		                                                : "run",
		        "-o %s names no file", text);
	char *format = strndup(text, len);
	if (!format) {
		say("out of memory");
		return EXIT_RUNTIME;
	}
	int status = add_output(options, format, text + len + 1);
	free(format);
	return status;
}

int outputs_add(const struct options *options)
{
	int status = 0;
	if (rille_set(options->r, "color", wants_color(options) ? "yes" : "no") < 0)
		return say_error(options->r);
	if (options->top && add_output(options, "top", "-") != 0)
		return EXIT_RUNTIME;
	if (!options->noutputs && !options->top)
		return add_output(options, fallback_format(options), "-");
	for (size_t i = 0; i < options->noutputs && !status; i++)
		status = add_named(options, options->outputs[i]);
	return status;
}
