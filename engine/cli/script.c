/* The script that a command line names: a recipe, a file, or standard input. */
#include "engine/cli/script.h"
#include "engine/cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SCRIPT = 4 * 1024 * 1024 };

/* All of standard input; NULL after saying why not. */
static char *read_input(size_t *ret_len)
{
	size_t cap = 64 * 1024, len = 0;
	char *text = malloc(cap);
	while (text) {
		ssize_t n = read(STDIN_FILENO, text + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || len + (size_t)n > MAX_SCRIPT) {
			say("cannot read the script from standard input: %s", n < 0 ? strerror(errno) : "too long");
			free(text);
			return NULL;
		}
		if (n == 0) {
			*ret_len = len;
			return text;
		}
		len += (size_t)n;
		if (len == cap) {
			char *more = realloc(text, cap *= 2);
			if (!more)
				free(text);
			text = more;
		}
	}
	say("out of memory");
	return NULL;
}

static int load_input(rille *r)
{
	size_t len;
	char *text = read_input(&len);
	if (!text)
		return SCRIPT_SAID;
	int result = rille_load_string(r, text, len, "stdin");
	free(text);
	return result;
}

int script_load_named(rille *r, const char *name)
{
	size_t len = strlen(name);
	if (strcmp(name, "-") == 0)
		return load_input(r);
	if (strchr(name, '/') || (len > 4 && strcmp(name + len - 4, ".lua") == 0))
		return rille_load_file(r, name);
	return rille_load_recipe(r, name);
}
