/* A refusal by the kernel's verifier, told at the script's line. */
#ifndef RILLE_RUN_VERIFIER_H
#define RILLE_RUN_VERIFIER_H

#include "engine/base/err.h"
#include "engine/probe/spec.h"

/* Fills `err` from the verifier's log: tag verifier-rejected, at the line of the script that the last instruction came
 * from if the log tells (BTF line info through #line), with the complaint in the message. `program` is for the message.
 * Returns `code`. */
int verifier_explain(const char *log, const char *program, const struct spec *spec, int code, struct err *err);

#endif
