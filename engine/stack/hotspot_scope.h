/* Compiled methods: which Java frames one physical frame stands for. */
#ifndef RILLE_STACK_HOTSPOT_SCOPE_H
#define RILLE_STACK_HOTSPOT_SCOPE_H

#include "engine/stack/hotspot_code.h"
#include "engine/stack/hotspot_layout.h"
#include "engine/stack/memory.h"

#include <stdbool.h>
#include <stdint.h>

enum { HS_MAX_SCOPES = 64 };

/* One Java frame: a method and where it was in it. */
struct hs_scope {
	uint64_t method; /* Method* */
	int32_t bci;     /* -1: at its entry, locking */
};

struct hs_scopes {
	struct hs_scope scope[HS_MAX_SCOPES]; /* innermost (inlined) first; the last is the compiled method itself */
	uint32_t n;
	bool exact; /* the pc is one that the compiler described; else these are what its neighbours have in common */
};

/* Where a compiled method keeps its debug information. */
struct hs_debug_info {
	uint64_t pcs, pcs_end;           /* PcDesc, sorted by pc */
	uint64_t scopes, scopes_end;     /* UNSIGNED5 */
	uint64_t metadata, metadata_end; /* Method*, Klass* */
};

/* 0; -EFAULT; -EPROTO: sizes make no sense. */
int hs_debug_info_read(
        const struct hs_layout *layout, struct memory *memory, const struct hs_blob *blob, struct hs_debug_info *ret);
/* The scopes at `pc` of the blob. 0 with ret->n ≥ 1; -ENOENT: nothing is known about that pc; -EFAULT; -EPROTO. */
int hs_scopes_find(const struct hs_layout *layout, struct memory *memory, const struct hs_blob *blob,
        const struct hs_debug_info *info, uint64_t pc, struct hs_scopes *ret);

#endif
