/* What a stack is about, as outputs show it. */
#ifndef RILLE_OUT_ORIGIN_TEXT_H
#define RILLE_OUT_ORIGIN_TEXT_H

#include "engine/out/palette.h"
#include "engine/stack/origin.h"

/* Appends lines that begin with `indent`: what it is, at whose wish, and the advice. Nothing if `origins` is NULL or has nothing
 * for them. `stack` and `path` may be NULL. True if there was something. */
bool origin_text(struct text *out, const struct origins *origins, const struct stack *stack, const char *path,
        const char *indent, const struct palette *palette);
/* … the rule for -Djdk.crac.resource-policies, if Java can claim it. */
void origin_text_policy(struct text *out, const struct origin *origin, const char *path, int fd, const char *indent);
/* Appends KEY{"name":…}; nothing if there is nothing to say. */
void origin_json(
        struct text *out, const char *key, const struct origins *origins, const struct stack *stack, const char *path);
/* … of what was found already. */
void origin_json_hit(
        struct text *out, const char *key, const struct origin_hit *hit, const struct stack *stack, const char *path);

#endif
