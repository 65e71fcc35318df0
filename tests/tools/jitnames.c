/* Prints what the engine reads from a jitdump file: "START SIZE NAME<TAB>FILE:LINE" a piece of code, in order of the file, with the
 * line of its first instruction that has one. */
#include "engine/stack/jitdump.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct intern *names = intern_new();
	struct jitdump *dump = jitdump_new(names);
	int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
	if (!dump || fd < 0 || jitdump_update(dump, fd) < 0)
		return 1;
	char line[4096];
	while (fgets(line, sizeof(line), stdin)) { /* an address a line */
		const char *file;
		int number = 0;
		const struct jit_code *code = jitdump_find(dump, strtoull(line, NULL, 16), UINT64_MAX);
		if (!code) {
			printf("-\n");
			continue;
		}
		printf("%llx %llx %s\t", (unsigned long long)code->start, (unsigned long long)code->size, code->name);
		bool known = jitdump_line(dump, fd, code, code->start + code->size - 1, &file, &number);
		printf("%s:%d\n", known ? file : "", number);
	}
	jitdump_free(dump);
	intern_free(names);
	return 0;
}
