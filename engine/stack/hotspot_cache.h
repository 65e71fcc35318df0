/* What is known about program counters, and the proof that it still holds. */
#ifndef RILLE_STACK_HOTSPOT_CACHE_H
#define RILLE_STACK_HOTSPOT_CACHE_H

#include "engine/stack/frame.h"
#include "engine/stack/hotspot_code.h"
#include "engine/stack/hotspot_layout.h"
#include "engine/stack/hotspot_method.h"
#include "engine/stack/memory.h"

#include <stdbool.h>
#include <stdint.h>

/* One named frame of a compiled method or a stub. Strings are interned. */
struct hs_named {
	const char *name, *signature, *file;
	int32_t line;
	uint8_t kind, tier, how;
	bool inlined;
};

/* One program counter in the code cache. */
struct hs_pc {
	uint64_t pc; /* 0 = empty slot */
	struct hs_blob blob;
	uint32_t compile_id; /* of a compiled method */
	bool deoptimised;    /* the pc is the nmethod's deoptimisation handler: where it really was is in the frame */
	int32_t orig_pc_offset;  /* … here, in bytes from its stack pointer */
	uint32_t nframes;        /* 0: depends on more than the pc */
	struct hs_named *frames; /* owned; innermost first */
	uint64_t round;
};

enum hs_validity { HS_VALID, HS_STALE, HS_UNREADABLE };

struct hs_cache;

struct hs_cache *hs_cache_new(void);
void hs_cache_free(struct hs_cache *cache);

/* The entry of a pc, or NULL. It lives until the next hs_cache_slot(). */
struct hs_pc *hs_cache_find(struct hs_cache *cache, uint64_t pc);
/* An emptied entry to be filled for the pc; ->pc is set by the caller once it is complete. */
struct hs_pc *hs_cache_slot(struct hs_cache *cache, uint64_t pc);

/* Notes that this event relied on an entry, for hs_cache_validate(). */
void hs_cache_rely_on_pc(struct hs_cache *cache, const struct hs_layout *layout, struct hs_pc *entry);
void hs_cache_rely_on_method(struct hs_cache *cache, const struct hs_layout *layout, struct hs_method *method);

/* Reads anew everything relied on since the last call, in as few system calls as possible. HS_STALE: something changed;
 * those entries are empty now. */
enum hs_validity hs_cache_validate(struct hs_cache *cache, struct memory *memory);
/* Forgets everything. */
void hs_cache_clear(struct hs_cache *cache);

#endif
