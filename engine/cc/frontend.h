/* What the C side of rille-cc sees of clang: one function. */
#ifndef RILLE_CC_FRONTEND_H
#define RILLE_CC_FRONTEND_H

#include "engine/cc/wire.h"

#include <stddef.h>
#include <llvm-c/Types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called for every diagnostic that is not ignored; the strings live only during the call. */
typedef void (*frontend_report)(
        void *user, enum cc_severity severity, const char *file, unsigned line, unsigned col, const char *message);

/* Parses BPF C (`source` has a NUL at [len]) and generates unoptimised LLVM code that is meant for the -O2 pipeline.
 * NULL if there was an error, which was reported. The caller owns the module. */
LLVMModuleRef frontend_compile(
        LLVMContextRef context, const char *source, size_t len, frontend_report report, void *user);

/* Has `fn`, which must not return, called when C++ code runs out of memory. */
void frontend_on_no_memory(void (*fn)(void));

#ifdef __cplusplus
}
#endif

#endif
