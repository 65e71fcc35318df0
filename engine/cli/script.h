/* The script that a command line names. */
#ifndef RILLE_CLI_SCRIPT_H
#define RILLE_CLI_SCRIPT_H

#include "engine/include/rille.h"

/* Returned when the failure was not the library's and has been told. */
enum { SCRIPT_SAID = -100000 };

/* "-" is standard input, a name with a slash or ending in .lua a file, anything else a recipe. 0, a negative errno with
 * the library's error, or SCRIPT_SAID. */
int script_load_named(rille *r, const char *name);

#endif
