/* Families of constants: what a prefix like "AF_" stands for. */
#ifndef RILLE_PROBE_FAMILY_H
#define RILLE_PROBE_FAMILY_H

#include "engine/base/nearest.h"
#include "engine/probe/catalog.h"
#include "engine/probe/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct family {
	const char *prefix;
	enum format_kind format;
	uint64_t enum_mask;
	const char *prefer; /* names that win over others of the same value */
	const char *skip;   /* beginnings of names that are of another family */
};

/* NULL if there are no rules for this prefix. */
const struct family *family_find(const char *prefix);
bool family_prefers(const struct family *family, const char *name);
bool family_skips(const struct family *family, const char *name);
/* Whether a name is not a value of its family, but a bound or a mask of the values. */
bool family_is_bound(const char *name);
/* The constants that begin with `prefix`: a run of the table. */
const struct constant *family_run(const char *prefix, size_t *ret_n);
/* Flags or an enumeration, for a prefix without rules. */
enum format_kind family_guess(const char *prefix);
/* Offers all prefixes that have rules. */
void family_offer(struct nearest *nearest);

#endif
