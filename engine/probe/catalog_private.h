/* The catalog's insides, shared by catalog.c and catalog_types.c only. */
#ifndef RILLE_PROBE_CATALOG_PRIVATE_H
#define RILLE_PROBE_CATALOG_PRIVATE_H

#include "engine/base/text.h"
#include "engine/probe/btf.h"
#include "engine/probe/catalog.h"
#include "engine/probe/facts.h"

struct catalog {
	const struct logger *log;
	struct facts *facts;
	struct btf_index *btf; /* opened at the first question that the memo cannot answer */
	int tracefs;           /* likewise; -1 = not opened */
	struct text events;    /* what tracefs lists, once it was asked; cut at its newlines */
	char **names;          /* "sched:sched_switch" …, in order, in `events` */
	size_t nnames, names_cap;
	struct event_format **formats; /* handed out; each one block */
	size_t nformats, formats_cap;
};

#endif
