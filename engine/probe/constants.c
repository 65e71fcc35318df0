/* Constants of the kernel's and libc's headers: a table in order of name, made by engine/tools/constants.py at build time. */
#include "engine/probe/constants.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *name, const void *constant)
{
	return strcmp(name, ((const struct constant *)constant)->name);
}

const struct constant *constant_find(const char *name)
{
	return bsearch(name, CONSTANTS, NCONSTANTS, sizeof(*CONSTANTS), by_name);
}

const struct constant *constant_table(size_t *ret_n)
{
	*ret_n = NCONSTANTS;
	return CONSTANTS;
}
