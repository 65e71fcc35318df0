/* What is at a program counter of the code cache: the piece of code, and the frames it stands for.
 *
 * The answer is decoded once and then comes from the cache (hotspot_cache.c). It holds everything that depends on the
 * pc alone, so that the step of a compiled frame needs no more than two words of the copied stack. */
#include "engine/stack/hotspot.h"

#include "engine/stack/hotspot_scope.h"
#include "engine/stack/intern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LEVEL_C2 = 4 }; /* 1 to 3 are C1 */

static struct hs_named *room_for(struct hs_pc *entry, uint32_t n)
{
	entry->frames = calloc(n, sizeof(*entry->frames));
	return entry->frames;
}

static void name_method(
        const struct hotspot *hs, struct hs_named *named, const struct hs_method *method, int32_t bci, uint8_t tier)
{
	named->kind = FRAME_JAVA;
	named->tier = method->native ? TIER_NATIVE : tier;
	named->name = method->name;
	named->signature = method->signature;
	named->file = method->file;
	named->line = hs_method_line(&hs->layout, method, bci);
}

static int find_heap_code(struct hotspot *hs, struct memory *memory, uint64_t pc, struct hs_blob *ret)
{
	int r = hs_code_find(&hs->code, &hs->layout, memory, hs->names, pc, ret);
	if (r != -ENOENT || hs->refreshed)
		return r;
	hs->refreshed = true; /* heaps grow */
	if (hs_code_refresh(&hs->code, &hs->layout, memory) < 0)
		return r;
	return hs_code_find(&hs->code, &hs->layout, memory, hs->names, pc, ret);
}

/* Return addresses that HotSpot patches into frames that it has deoptimised lead to a handler at the end of the
 * nmethod. */
static uint64_t deopt_handler(const struct hs_layout *layout, struct memory *memory, uint64_t blob, int32_t begin,
        int32_t offset, bool *failed)
{
	if (begin != HS_ABSENT)
		return memory_u64(memory, blob + (uint32_t)begin, failed);
	if (offset == HS_ABSENT)
		return 0;
	int32_t at = (int32_t)memory_u32(memory, blob + (uint32_t)offset, failed);
	return at > 0 ? blob + (uint32_t)at : 0;
}

static void find_deopt(const struct hotspot *hs, struct memory *memory, struct hs_pc *entry, uint64_t pc, bool *failed)
{
	const struct hs_offsets *off = &hs->layout.off;
	uint64_t blob = entry->blob.start;
	if (off->nmethod_orig_pc_offset == HS_ABSENT)
		return;
	uint64_t plain =
	        deopt_handler(&hs->layout, memory, blob, off->nmethod_deopt_begin, off->nmethod_deopt_offset, failed);
	uint64_t method_handle = deopt_handler(
	        &hs->layout, memory, blob, off->nmethod_deopt_mh_begin, off->nmethod_deopt_mh_offset, failed);
	entry->deoptimised = pc == plain || pc == method_handle;
	entry->orig_pc_offset = (int32_t)memory_u32(memory, blob + (uint32_t)off->nmethod_orig_pc_offset, failed);
}

/* The nmethod's own method, without a line: all that can be said when its debug information says nothing about the pc.
 */
static int name_whole(struct hotspot *hs, struct memory *memory, struct hs_pc *entry, uint8_t tier)
{
	bool failed = false, fresh;
	uint64_t address = memory_u64(memory, entry->blob.start + (uint32_t)hs->layout.off.nmethod_method, &failed);
	struct hs_method *method = failed ? NULL : hs_method_get(hs->methods, memory, address, &fresh);
	if (!method)
		return failed ? -EFAULT : -EPROTO;
	if (!room_for(entry, 1))
		return -ENOMEM;
	entry->nframes = 1;
	name_method(hs, &entry->frames[0], method, 0, tier);
	if (!method->native) {
		entry->frames[0].line = 0;
		entry->frames[0].how = HOW_APPROX;
	}
	return 0;
}

static int name_scopes(
        struct hotspot *hs, struct memory *memory, struct hs_pc *entry, const struct hs_scopes *scopes, uint8_t tier)
{
	if (!room_for(entry, scopes->n))
		return -ENOMEM;
	for (uint32_t i = 0; i < scopes->n; i++) {
		bool fresh;
		struct hs_named *named = &entry->frames[i];
		struct hs_method *method = hs_method_get(hs->methods, memory, scopes->scope[i].method, &fresh);
		if (!method)
			return -EPROTO;
		name_method(hs, named, method, scopes->scope[i].bci, tier);
		named->inlined = i + 1 < scopes->n;
		named->how = scopes->exact ? HOW_CFI : HOW_APPROX;
	}
	entry->nframes = scopes->n;
	return 0;
}

static uint8_t tier_of(const struct hotspot *hs, struct memory *memory, uint64_t blob)
{
	bool failed = false;
	if (hs->layout.off.nmethod_comp_level == HS_ABSENT)
		return TIER_NONE;
	uint8_t level = memory_u8(memory, blob + (uint32_t)hs->layout.off.nmethod_comp_level, &failed);
	return failed || level == 0 ? TIER_NONE : level >= LEVEL_C2 ? TIER_C2 : TIER_C1;
}

static int name_inlined(struct hotspot *hs, struct memory *memory, struct hs_pc *entry, uint64_t pc, uint8_t tier)
{
	struct hs_debug_info info;
	struct hs_scopes scopes;
	scopes.n = 0;
	int r = hs_debug_info_read(&hs->layout, memory, &entry->blob, &info);
	if (r == 0)
		r = hs_scopes_find(&hs->layout, memory, &entry->blob, &info, pc, &scopes);
	return r < 0 ? r : name_scopes(hs, memory, entry, &scopes, tier);
}

static int name_compiled(struct hotspot *hs, struct memory *memory, struct hs_pc *entry, uint64_t pc)
{
	bool failed = false;

	find_deopt(hs, memory, entry, pc, &failed);
	entry->compile_id =
	        memory_u32(memory, entry->blob.start + (uint32_t)hs->layout.off.nmethod_compile_id, &failed);
	if (failed)
		return -EFAULT;
	if (entry->deoptimised)
		return 0;
	uint8_t tier = tier_of(hs, memory, entry->blob.start);
	if (entry->blob.kind == HS_NATIVE)
		return name_whole(hs, memory, entry, TIER_NATIVE);
	int r = name_inlined(hs, memory, entry, pc, tier);
	if (r == 0 || memory_exhausted(memory) || !memory_alive(memory))
		return r; /* what could not be read now may be readable the next time */
	free(entry->frames);
	entry->frames = NULL;
	return name_whole(hs, memory, entry, tier);
}

static int name_stub(struct hotspot *hs, struct hs_pc *entry, uint64_t pc)
{
	if (!room_for(entry, 1))
		return -ENOMEM;
	entry->nframes = 1;
	struct hs_named *named = &entry->frames[0];
	named->kind = FRAME_STUB;
	named->name = entry->blob.name;
	if (pc == hs->code.call_stub_return) {
		entry->blob.kind = HS_FRAMED;
		named->name = intern_text(hs->names, "call_stub");
	}
	return named->name ? 0 : -ENOMEM;
}

static int decode(struct hotspot *hs, struct memory *memory, uint64_t pc, struct hs_pc *entry)
{
	int r = find_heap_code(hs, memory, pc, &entry->blob);
	if (r < 0)
		return r;
	switch (entry->blob.kind) {
	case HS_NMETHOD:
	case HS_NATIVE:
		return name_compiled(hs, memory, entry, pc);
	case HS_INTERPRETER:
	case HS_CONTINUATION:
		return 0;
	default:
		return name_stub(hs, entry, pc);
	}
}

struct hs_pc *hs_pc_get(struct hotspot *hs, struct memory *memory, uint64_t pc, int *ret_error)
{
	struct hs_pc *entry = hs_cache_find(hs->cache, pc);
	if (!entry) {
		entry = hs_cache_slot(hs->cache, pc);
		*ret_error = decode(hs, memory, pc, entry);
		if (*ret_error < 0) {
			hs_cache_slot(hs->cache, pc);
			return NULL;
		}
		entry->pc = pc;
	}
	hs_cache_rely_on_pc(hs->cache, &hs->layout, entry);
	return entry;
}
