/* libiberty knows the Itanium C++ ABI's mangling and both of Rust's (legacy, a C++ name with a hash at its end, and
 * v0). Names come from the target, so what is too long to be one that a compiler made is left alone: a demangler's
 * output and recursion can grow much faster than its input. */
#include "engine/stack/demangle.h"

#include <libiberty/demangle.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 4096, LONGEST_RESULT = 16384 };

char *demangle(const char *name)
{
	bool cplus = !strncmp(name, "_Z", 2), rust = !strncmp(name, "_R", 2);
	if ((!cplus && !rust) || strlen(name) > LONGEST)
		return NULL;
	/* Parameters and types of templates are part of a C++ name; Rust's form has no options but the hash. */
	char *result = NULL;
	if (rust || strstr(name, "17h"))
		result = rust_demangle(name, DMGL_NO_OPTS);
	if (!result && cplus)
		result = cplus_demangle_v3(name, DMGL_PARAMS | DMGL_ANSI);
	if (result && strlen(result) > LONGEST_RESULT) {
		free(result);
		return NULL;
	}
	return result;
}
