/* /proc/kallsyms has some hundred thousand lines. Of each function eight bytes and its name are kept, three to five
 * megabytes together, so it is read when a kernel stack is first shown. The file is sorted for the kernel itself, not
 * for modules and BPF programs behind it. Kernel, modules and programs lie within four gigabytes of each other. */
#include "engine/stack/kallsyms.h"

#include "engine/base/grow.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No function is that long: an address further behind the last symbol before it is in none. */
enum { FURTHEST = 1 << 20, MAX_SYMBOLS = 4 << 20 };

/* Modules are loaded in the two gigabytes behind the kernel's start, or before it (arm64). */
static const uint64_t BEFORE = 1ULL << 31;

struct kernel_symbol {
	uint32_t offset; /* of its address, from the base */
	uint32_t name;   /* in `names`; its module's name stands behind it, or "" */
};

struct kallsyms {
	uint64_t base;
	struct kernel_symbol *symbols;
	size_t n, cap;
	char *names;
	size_t names_len, names_cap;
};

static bool is_text(char type)
{
	return type == 't' || type == 'T' || type == 'w' || type == 'W';
}

/* "ffffffff81000000 T name\t[module]" */
static int add_line(struct kallsyms *kallsyms, char *line)
{
	char *at;
	uint64_t address = strtoull(line, &at, 16);
	if (!address || at[0] != ' ' || !is_text(at[1]) || at[2] != ' ')
		return 0;
	char *name = at + 3;
	size_t name_len = strcspn(name, "\t\n");
	char *module = strchr(name, '[');
	size_t module_len = module ? strcspn(module + 1, "]\n") : 0;
	if (!kallsyms->n)
		kallsyms->base = address - BEFORE;
	/* What is further away than that is no code. */
	if (kallsyms->n == MAX_SYMBOLS || address - kallsyms->base > UINT32_MAX ||
	        kallsyms->names_len > UINT32_MAX - 1024)
		return 0;
	size_t len = name_len + 1 + module_len + 1;
	if (grow(&kallsyms->symbols, &kallsyms->cap, kallsyms->n + 1, sizeof(*kallsyms->symbols)) ||
	        grow(&kallsyms->names, &kallsyms->names_cap, kallsyms->names_len + len, 1))
		return -1;
	char *copy = kallsyms->names + kallsyms->names_len;
	memset(copy, 0, len);
	memcpy(copy, name, name_len);
	memcpy(copy + name_len + 1, module ? module + 1 : "", module_len);
	kallsyms->symbols[kallsyms->n++] = (struct kernel_symbol){address - kallsyms->base, kallsyms->names_len};
	kallsyms->names_len += len;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct kernel_symbol *x = a, *y = b;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Gives back what growing took too much. */
static void fit(struct kallsyms *kallsyms)
{
	if (kallsyms->n > MAX_SYMBOLS || kallsyms->names_len > UINT32_MAX)
		return;
	void *symbols = realloc(kallsyms->symbols, kallsyms->n * sizeof(*kallsyms->symbols));
	kallsyms->symbols = symbols ? symbols : kallsyms->symbols;
	void *names = realloc(kallsyms->names, kallsyms->names_len);
	kallsyms->names = names ? names : kallsyms->names;
}

struct kallsyms *kallsyms_load(void)
{
	struct kallsyms *kallsyms = calloc(1, sizeof(*kallsyms));
	if (!kallsyms)
		return NULL;
	FILE *file = fopen("/proc/kallsyms", "re");
	if (!file)
		return kallsyms;
	char *line = NULL;
	size_t cap = 0;
	int r = 0;
	while (!r && getline(&line, &cap, file) > 0)
		r = add_line(kallsyms, line);
	free(line);
	fclose(file);
	if (r) {
		kallsyms_free(kallsyms);
		return NULL;
	}
	if (kallsyms->n) {
		fit(kallsyms);
		qsort(kallsyms->symbols, kallsyms->n, sizeof(*kallsyms->symbols), by_address);
	}
	return kallsyms;
}

void kallsyms_free(struct kallsyms *kallsyms)
{
	if (!kallsyms)
		return;
	free(kallsyms->symbols);
	free(kallsyms->names);
	free(kallsyms);
}

const char *kallsyms_find(
        const struct kallsyms *kallsyms, uint64_t address, const char **ret_module, uint64_t *ret_start)
{
	uint64_t offset = address - kallsyms->base;
	size_t past = 0;
	if (offset > UINT32_MAX)
		return NULL;
	for (size_t end = kallsyms->n; past < end;) {
		size_t middle = past + (end - past) / 2;
		if (kallsyms->symbols[middle].offset <= offset)
			past = middle + 1;
		else
			end = middle;
	}
	if (!past || offset - kallsyms->symbols[past - 1].offset > FURTHEST)
		return NULL;
	const struct kernel_symbol *symbol = &kallsyms->symbols[past - 1];
	const char *name = kallsyms->names + symbol->name, *module = name + strlen(name) + 1;
	*ret_module = *module ? module : NULL;
	*ret_start = kallsyms->base + symbol->offset;
	return name;
}
