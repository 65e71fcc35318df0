/* Generated code as a runtime describes it for perf in jit-PID.dump: names, lines, unwind information, and since when. */
#ifndef RILLE_STACK_JITDUMP_H
#define RILLE_STACK_JITDUMP_H

#include "engine/stack/intern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jitdump;

/* A part of the file; len 0 = there is none. */
struct jit_part {
	uint64_t offset, len;
};

/* One piece of code at one address. Lives as long as the jitdump. */
struct jit_code {
	const char *name;       /* interned, hostile */
	uint64_t start, size;   /* where it is; after a move it is another jit_code */
	uint64_t first;         /* where it was when it was described: the addresses in `lines` count from there */
	struct jit_part lines;  /* the entries of its debug information */
	struct jit_part frames; /* .eh_frame, as if it stood behind the code, at its end rounded up to 8 */
	struct jit_code *next;
};

struct jitdump *jitdump_new(struct intern *names); /* NULL: out of memory */
void jitdump_free(struct jitdump *dump);
/* Reads the records that were added since the last time; an unfinished one waits. The number of pieces of code added, or a
 * negative errno: -EINVAL for a file that is none, -EFBIG beyond what we keep. What was read stays. */
int jitdump_update(struct jitdump *dump, int fd);
/* The code at an address as of `nsecs` (CLOCK_MONOTONIC; of the last, where the file has another clock). NULL = none. */
const struct jit_code *jitdump_find(const struct jitdump *dump, uint64_t address, uint64_t nsecs);
/* The line of an address inside the code; false = not known. `ret_file` is interned. */
bool jitdump_line(struct jitdump *dump, int fd, const struct jit_code *code, uint64_t address, const char **ret_file,
        int *ret_line);

#endif
