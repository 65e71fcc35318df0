/* Colours of the text format. All empty where colours are off, so that no caller asks. */
#ifndef RILLE_OUT_PALETTE_H
#define RILLE_OUT_PALETTE_H

#include <stdbool.h>

struct palette {
	const char *dim, *probe, *process, *label, *name, *warn, *reset;
};

const struct palette *palette_get(bool color);

#endif
