/* How the engine (engine/probe/compile.c) and rille-cc talk: one request, one reply. Both sides include this file.
 *
 * `rille-cc --serve` is started with three descriptors:
 *
 *     0  a SOCK_SEQPACKET socket: the request comes in, the reply goes out
 *     3  a memfd with the source text; it is complete when the request arrives
 *     4  a memfd for the answer: `output_len` bytes of output, then `ndiags` struct cc_diag
 *
 * rille-cc gets ready before it waits for the request. End of file instead of a request means that it is not needed.
 * It serves one request and exits: CC_EXIT_OK if it could answer, whatever the answer. Numbers are in the machine's
 * byte order. The engine trusts nothing in the answer: it checks every length against the memfd's size and every
 * string's end. */
#ifndef RILLE_CC_WIRE_H
#define RILLE_CC_WIRE_H

#include <stdint.h>

#define CC_MAGIC 0x31636372u /* "rcc1" */

enum { CC_FD_CONTROL = 0, CC_FD_SOURCE = 3, CC_FD_ANSWER = 4 };
enum { CC_MAX_SOURCE = 16 << 20, CC_MAX_OUTPUT = 64 << 20, CC_MAX_DIAGS = 64 };

enum { CC_EXIT_OK = 0, CC_EXIT_FAILED = 1, CC_EXIT_USAGE = 2, CC_EXIT_MEMORY = 3 };

/* What diagnostics call the source itself, where no #line says otherwise. */
#define CC_MAIN_FILE "rille.bpf.c"

enum cc_output { CC_OBJECT, CC_ASM, CC_LLVM };

struct cc_request {
	uint32_t magic;
	uint32_t output; /* enum cc_output */
	uint64_t source_len;
};

struct cc_reply {
	uint32_t magic;
	uint32_t failed; /* 1: no output, and at least one diagnostic is an error */
	uint64_t output_len;
	uint32_t ndiags; /* the first CC_MAX_DIAGS of them */
	uint32_t pad;
};

enum cc_severity { CC_NOTE, CC_WARNING, CC_ERROR };

/* A diagnostic where the user sees it: after #line. Line and column are 1-based, 0 = unknown. */
struct cc_diag {
	uint32_t severity; /* enum cc_severity */
	uint32_t line, col;
	char file[256];     /* NUL-terminated */
	char message[1024]; /* NUL-terminated */
};

/* The owner of the ELF note in rille-cc that carries "rille-cc 0.1.0 clang 19.1.7": the engine reads it from the file,
 * so that it can tell compilers apart without running one. */
#define CC_NOTE_OWNER "rille"
#define CC_NOTE_TYPE 1u

#endif
