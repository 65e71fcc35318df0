/* Finding rille-cc and starting it without privileges. */
#ifndef RILLE_PROBE_HELPER_H
#define RILLE_PROBE_HELPER_H

#include "engine/base/err.h"
#include "engine/base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Opens rille-cc: `path` if given, else $RILLE_CC, else beside the running program, in ../libexec/rille, in a build
 * tree, in the installation's libexec folder, in $PATH. Returns a descriptor that the caller closes, and the path in *ret_path.
 * -ENOENT (tag no-compiler); as root -EPERM (tag unsafe-compiler) if others could have written it. */
int helper_open(const char *path, struct text *ret_path, struct err *err);

/* Appends the identity note of the program behind `fd`, and its build id. -EINVAL if it is not rille-cc. */
int helper_identity(int fd, struct text *ret);

struct helper_limits {
	uint32_t seconds; /* of CPU */
	uint64_t memory;  /* bytes of address space */
};

/* A running helper. `pidfd` is the only handle: the pid is never used, so it cannot hit another process. */
struct helper {
	int pidfd;
};

/* Starts the program behind `fd` with `fds` as its descriptors 0, 3 and 4, no others (1 and 2 are /dev/null), no
 * environment, no capabilities, nobody's identity if we are root, and limits. The descriptors stay the caller's. */
int helper_start(struct helper *ret, int fd, const int fds[3], const struct helper_limits *limits, struct err *err);

/* How it ended: its exit status, or 256 + the signal. Waits for it, and frees the descriptor; kills it first if asked.
 * A negative errno if that cannot be known. */
int helper_finish(struct helper *helper, bool kill);

#endif
