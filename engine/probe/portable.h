/* What an object that is to be loaded elsewhere says of itself. */
#ifndef RILLE_PROBE_PORTABLE_H
#define RILLE_PROBE_PORTABLE_H

#include "engine/base/err.h"
#include "engine/base/text.h"
#include "engine/probe/gen.h"
#include "engine/probe/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PORTABLE_DIGEST = 32 };

/* Of the program's source, before portable_describe(). */
void portable_digest(const struct text *source, uint8_t ret[PORTABLE_DIGEST]);

/* Appends the description to the source that was generated with options->portable: what was declared, how, by which
 * version. -ENOMEM. */
int portable_describe(const struct spec *spec, const struct gen_options *options, const char *version,
        struct text *source, struct err *err);
/* Completes the compiled object: from now on a changed byte is noticed. `data` is changed in place. */
int portable_seal(void *data, size_t len, struct err *err);

/* What portable_describe() wrote. Strings are the spec's. */
struct portable {
	struct spec spec; /* name and source of a script, its files, the filter; or the probes. No places */
	bool is_script;
	uint32_t force_stack, depth; /* of gen_options */
	uint8_t digest[PORTABLE_DIGEST];
	char *version, *kernel;
};

bool portable_is_object(const void *data, size_t len);
/* Reads it. The bytes may be anything: -EINVAL with tag bad-object (damaged, not an object of Rille's) or
 * foreign-object (another machine's). portable_fini() is due after success alone. */
int portable_read(struct portable *ret, const void *data, size_t len, struct err *err);
void portable_fini(struct portable *portable);

#endif
