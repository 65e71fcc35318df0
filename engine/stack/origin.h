/* What a stack is about: the rules of `rille.origins`, matched. */
#ifndef RILLE_STACK_ORIGIN_H
#define RILLE_STACK_ORIGIN_H

#include "engine/base/text.h"
#include "engine/stack/frame.h"

/* One rule. Strings belong to the set. */
struct origin {
	const char *name;   /* "jdk-watch-service" */
	const char *about;  /* what it is, one line */
	const char *advice; /* what to do about it, one line; NULL = none */
	const char *crac;   /* a CRaC resource policy; NULL: Java cannot claim it */
};

struct origins;

/* What a match found. */
struct origin_hit {
	const struct origin *origin;
	size_t frame; /* number of the frame that told; SIZE_MAX: it was the path */
	size_t by;    /* the first frame of code that is neither the runtime's nor the system's; SIZE_MAX = none */
};

struct origins *origins_new(void); /* NULL: out of memory */
void origins_free(struct origins *origins);

/* Adds a rule, after those that are there; `general`: only if no other matches. Strings are copied. The number of the rule, or
 * -ENOMEM. */
int origins_add(struct origins *origins, const struct origin *origin, bool general);
/* Adds to rule `rule`: frames that match these patterns, the first the innermost, then the others in this order (others may
 * be between). A pattern is NAME or MODULE!NAME, globs of * and ?; MODULE is compared with the file's name, or with the
 * whole path if it has a slash. 0 or -ENOMEM. */
int origins_add_match(struct origins *origins, size_t rule, const char *const *patterns, size_t n);
/* … but no frame that matches this one counts for the first pattern. */
int origins_add_except(struct origins *origins, size_t rule, const char *pattern);
/* … or, whatever the stack: the descriptor's path, or the address of a Unix socket or of its peer. */
int origins_add_path(struct origins *origins, size_t rule, const char *glob);

/* How many patterns there are in all: what a match costs is about this times the stack's frames. */
size_t origins_patterns(const struct origins *origins);
/* The rule for a stack and a path, either of which may be NULL. Of several that match the stack the one whose first pattern
 * was found nearest to the call wins, then the one that was added first; a path decides only where no stack does. */
bool origins_match(const struct origins *origins, const struct stack *stack, const char *path, struct origin_hit *ret);
/* The first frame that belongs to the program: no JDK class, no library of the system. SIZE_MAX = none. */
size_t origin_by(const struct stack *stack);
/* The policy with {path} and {fd} filled in. */
void origin_policy(struct text *out, const struct origin *origin, const char *path, int fd);

/* Whether `s` (of `len` bytes) matches a glob of * and ?, in time len × length of the glob at most. */
bool origin_glob(const char *glob, const char *s, size_t len);

#endif
