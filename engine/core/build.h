/* From generated C to object bytes: the cache, or else the compiler. */
#ifndef RILLE_CORE_BUILD_H
#define RILLE_CORE_BUILD_H

#include "engine/base/err.h"
#include "engine/base/text.h"
#include "engine/probe/compile.h"

#include <stdbool.h>
#include <stddef.h>

struct session;

struct build {
	struct session *session;
	struct compiler_options options;
	struct compiler *compiler; /* started, not yet used; NULL = not started */
	struct text identity;
	char note[65], key[65]; /* in the cache */
	bool noted;             /* the note is there */
	bool cached;            /* the object came from the cache */
	void *object;           /* freed by build_end() */
	size_t len;
};

/* Before generating: starts the compiler if it looks as if it will be needed. build_end() is due after a failure, too. */
int build_begin(struct build *build, struct session *session, struct err *err);
/* After generating: the object of the session's plan. */
int build_object(struct build *build, struct err *err);
/* The same in any form, past the cache. */
int build_output(struct build *build, enum compile_output output, struct err *err);
void build_end(struct build *build);

#endif
