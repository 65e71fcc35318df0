/* The system calls that are known without asking the running kernel.
 *
 * Their numbers and arguments are fixed for ever, so they can be built in: a script is checked without root, and a
 * trace of system calls starts without tracefs. The table (syscalls.inc) is written by engine/tools/make-syscalls.py from the
 * kernel's own description. Names are those of <sys/syscall.h>, which manuals and strace use; the kernel's (newstat)
 * are taken too. */
#include "engine/probe/syscalls.h"
#include "engine/probe/format.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#define SYSCALL(name, kernel_name, x86_64, arm64, ...) {name, kernel_name, x86_64, {__VA_ARGS__}},
#elif defined(__aarch64__)
#define SYSCALL(name, kernel_name, x86_64, arm64, ...) {name, kernel_name, arm64, {__VA_ARGS__}},
#else
#error "system call numbers are known for x86-64 and arm64"
#endif

static const struct syscall_entry TABLE[] = {
#include "engine/probe/syscalls.inc"
};
#undef SYSCALL

const struct syscall_entry *syscall_table(size_t *ret_n)
{
	*ret_n = sizeof(TABLE) / sizeof(TABLE[0]);
	return TABLE;
}

const struct syscall_entry *syscall_entry_find(const char *name)
{
	const struct syscall_entry *elsewhere = NULL;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		const struct syscall_entry *e = &TABLE[i];
		if (strcmp(e->name, name) && strcmp(e->kernel_name, name))
			continue;
		if (e->number >= 0)
			return e;
		elsewhere = e;
	}
	return elsewhere;
}

/* "int * usockvec": the name is the last word. */
static void cut(const char *declaration, struct argument *a, char **spare)
{
	size_t n = strlen(declaration);
	const char *name = strrchr(declaration, ' ');
	a->name = name + 1;
	a->type = *spare;
	memcpy(*spare, declaration, n);
	(*spare)[name - declaration] = '\0';
	*spare += name - declaration + 1;
	format_c_type(a);
}

struct event_format *syscall_format(const struct syscall_entry *entry)
{
	size_t n = 0, bytes = 0;
	while (n < 6 && entry->arguments[n])
		bytes += strlen(entry->arguments[n++]) + 1;
	char *block = calloc(1, sizeof(struct event_format) + n * sizeof(struct argument) + bytes + 1);
	if (!block)
		return NULL;
	struct event_format *format = (struct event_format *)block;
	struct argument *arguments = (struct argument *)(format + 1);
	char *spare = (char *)(arguments + n);
	format->name = entry->name;
	format->number = entry->number;
	format->arguments = arguments;
	format->narguments = n;
	for (size_t i = 0; i < n; i++) {
		arguments[i].offset = (uint32_t)i * 8;
		cut(entry->arguments[i], &arguments[i], &spare);
	}
	return format;
}
