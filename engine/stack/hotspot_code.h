/* HotSpot's code cache: from a program counter to the piece of code (CodeBlob) that holds it. */
#ifndef RILLE_STACK_HOTSPOT_CODE_H
#define RILLE_STACK_HOTSPOT_CODE_H

#include "engine/stack/hotspot_layout.h"
#include "engine/stack/memory.h"

#include <stdbool.h>
#include <stdint.h>

struct intern;

enum { HS_MAX_HEAPS = 16 };

struct hs_heap {
	uint64_t low, high;         /* committed code */
	uint64_t map_low, map_high; /* one byte a segment */
	uint32_t segment_shift;
};

/* What of the code cache changes while the JVM runs; hs_code_refresh() reads it anew. */
struct hs_code {
	uint64_t low, high;                             /* all code ever lies in here */
	uint64_t call_stub_return, continuation_return; /* 0 = not generated yet */
	struct hs_heap heaps[HS_MAX_HEAPS];
	uint32_t nheaps;
};

/* What steps through it, by the blob's name. */
enum hs_blob_kind {
	HS_INTERPRETER,
	HS_NMETHOD,      /* a compiled method */
	HS_NATIVE,       /* the compiled wrapper of a native method */
	HS_CONTINUATION, /* the stubs under a virtual thread's mounted frames */
	HS_FRAMED,       /* stubs that keep a frame pointer: call_stub, upcalls */
	HS_SIZED,        /* stubs whose frame has a constant size */
	HS_OTHER,
};

struct hs_blob {
	uint64_t start, code;  /* of the header; of the instructions */
	uint64_t name_address; /* equal for the same kind of blob: a fact to validate */
	uint32_t size;         /* bytes, with the header */
	uint32_t frame_words;
	int32_t frame_complete; /* offset from `code` where the frame is set up; < 0: never */
	enum hs_blob_kind kind;
	const char *name; /* interned */
};

/* 0; -EAGAIN: no heap yet; -EFAULT; -EPROTO: sizes make no sense. On failure *code is as it was. */
int hs_code_refresh(struct hs_code *code, const struct hs_layout *layout, struct memory *memory);
static inline bool hs_code_contains(const struct hs_code *code, uint64_t pc)
{
	return pc >= code->low && pc < code->high;
}
/* 0; -ENOENT: no live blob there (freed code, or the heap has grown since the refresh); -EFAULT; -EPROTO;
 * -ENOMEM. */
int hs_code_find(const struct hs_code *code, const struct hs_layout *layout, struct memory *memory,
        struct intern *names, uint64_t pc, struct hs_blob *ret);

#endif
