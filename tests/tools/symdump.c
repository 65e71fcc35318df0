/* Prints the symbols of a file that cover the addresses (hexadecimal, one a line) on standard input: "ADDRESS START
 * NAME", or "ADDRESS -" where none does. With -l source lines: "ADDRESS FILE:LINE".
 *
 *     symdump [-l] FILE < ADDRESSES */
#include "engine/stack/module.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_line(struct module *module, uint64_t va)
{
	const char *file;
	int line;
	if (module_line(module, va, &file, &line))
		printf("%" PRIx64 " %s:%d\n", va, file, line);
	else
		printf("%" PRIx64 " -\n", va);
}

static void print_symbol(struct module *module, uint64_t va)
{
	const struct symbol *symbol = module_symbol(module, va);
	if (symbol)
		printf("%" PRIx64 " %" PRIx64 " %s\n", va, symbol->address, symbol->name);
	else
		printf("%" PRIx64 " -\n", va);
}

int main(int argc, char **argv)
{
	bool lines = argc == 3 && !strcmp(argv[1], "-l");
	const char *path = argc > 1 ? argv[argc - 1] : "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct module *module = fd >= 0 ? module_open(fd, path) : NULL;
	uint64_t va;
	if (!module) {
		fprintf(stderr, "usage: symdump [-l] FILE < ADDRESSES\n");
		return 2;
	}
	while (scanf("%" SCNx64, &va) == 1)
		(lines ? print_line : print_symbol)(module, va);
	module_free(module);
	return 0;
}
