/* What a trace says about itself, on standard error. */
#ifndef RILLE_CLI_REPORT_H
#define RILLE_CLI_REPORT_H

#include "engine/cli/cli.h"

/* -v: how long each phase of starting took, and how the probes are attached. */
void say_phases(const rille *r);
/* The totals of each probe. With `quiet` only where something was lost, incomplete or wrong. */
void say_totals(const rille *r, const struct talk *talk);

#endif
