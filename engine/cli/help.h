/* What --help says. */
#ifndef RILLE_CLI_HELP_H
#define RILLE_CLI_HELP_H

#include "engine/include/rille.h"

#include <stdbool.h>
#include <stdio.h>

void help_usage(FILE *out);
void help_main(void);
/* The help of a command; false if there is none of that name. */
bool help_command(const char *name);
/* With the parameters of `script`, which may be NULL. */
void help_run(const char *script, const rille *r);
void help_check(const char *script, const rille *r);
void help_report(void);
void help_emit(const char *script, const rille *r);

#endif
