/* Where events go: -o, --format, --color. */
#ifndef RILLE_CLI_OUTPUTS_H
#define RILLE_CLI_OUTPUTS_H

#include "engine/cli/options.h"

/* Hands the outputs to the library: those of -o, else standard output. 0 or the exit status after saying why. */
int outputs_add(const struct options *options);

#endif
