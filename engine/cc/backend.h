/* LLVM module → optimised BPF object, assembly or LLVM text, all through llvm-c. */
#ifndef RILLE_CC_BACKEND_H
#define RILLE_CC_BACKEND_H

#include "engine/cc/frontend.h"

struct backend;

/* Registers the BPF target and makes its target machine; NULL and a message on stderr if this LLVM has none. */
struct backend *backend_new(void);
void backend_free(struct backend *backend);

/* Compiles `source` (NUL at [len]). NULL if there was an error; every diagnostic goes to `report`. The caller disposes
 * of the buffer with LLVMDisposeMemoryBuffer(). */
LLVMMemoryBufferRef backend_compile(struct backend *backend, const char *source, size_t len, enum cc_output output,
        frontend_report report, void *user);

#endif
