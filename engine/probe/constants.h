/* The generated table behind constant_find(); see engine/tools/constants.py. */
#ifndef RILLE_PROBE_CONSTANTS_H
#define RILLE_PROBE_CONSTANTS_H

#include "engine/probe/catalog.h"

extern const struct constant CONSTANTS[];
extern const size_t NCONSTANTS;

#endif
