/* Running rille-cc: C text in, object bytes or diagnostics out. */
#ifndef RILLE_PROBE_COMPILE_H
#define RILLE_PROBE_COMPILE_H

#include "engine/base/err.h"
#include "engine/base/log.h"
#include "engine/base/text.h"

#include <stddef.h>
#include <stdint.h>

struct compiler;

struct compiler_options {
	const char *path; /* rille-cc, or NULL: beside the running program, in libexec, in $PATH */
	uint32_t seconds; /* CPU limit, 0 = 10 */
	uint64_t memory;  /* address space limit in bytes, 0 = 1 GiB */
	const struct logger *log;
};

/* Starts the helper without privileges (no capabilities, no new privileges, nobody's user when run as root, empty
 * environment, closed descriptors, CPU and memory limits) and returns at once; it gets ready while the caller reads
 * BTF. -ENOENT (tag no-compiler) with a hint if rille-cc is not found. */
int compiler_start(struct compiler **ret, const struct compiler_options *options, struct err *err);
/* "rille-cc 0.1.0 clang 19.1.7": a part of the cache key. NULL and err if the path has none. Does not start it. */
int compiler_identity(const struct compiler_options *options, struct text *ret, struct err *err);

enum compile_output { COMPILE_OBJECT, COMPILE_ASM, COMPILE_LLVM };

/* Compiles `source`; on success the output is in *ret_data (freed by the caller with free()). A diagnostic of clang
 * comes back as an error at the script's file, line and column (through the #line directives in the source; tag
 * compile-error), with clang's text; the helper's death by a limit or signal says which. One call per started compiler.
 */
int compiler_run(struct compiler *compiler, const char *source, size_t len, enum compile_output output, void **ret_data,
        size_t *ret_len, struct err *err);
/* Ends the helper if it still runs; NULL is fine. */
void compiler_free(struct compiler *compiler);

#endif
