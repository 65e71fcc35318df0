/* A made-up JVM in a made-up address space, for the unit tests and the fuzzer: layouts as JDK 17 and 25 have them. */
#ifndef RILLE_TESTS_HOTSPOT_WORLD_H
#define RILLE_TESTS_HOTSPOT_WORLD_H

#include "engine/stack/hotspot.h"
#include "engine/stack/intern.h"
#include "engine/stack/memory.h"

#include <stdlib.h>
#include <string.h>

enum { WORLD_BASE = 0x100000, WORLD_SIZE = 0x80000 };

struct world {
	uint8_t bytes[WORLD_SIZE];
};

static inline ssize_t world_read(void *user, pid_t pid, uint64_t address, void *buffer, size_t len)
{
	struct world *world = user;
	if (address < WORLD_BASE || len > WORLD_SIZE || address - WORLD_BASE > WORLD_SIZE - len)
		return -1;
	memcpy(buffer, world->bytes + (address - WORLD_BASE), len);
	return (ssize_t)len;
}

static inline void world_put(struct world *world, uint64_t address, const void *data, size_t len)
{
	memcpy(world->bytes + (address - WORLD_BASE), data, len);
}

static inline void world_put64(struct world *world, uint64_t address, uint64_t value)
{
	world_put(world, address, &value, 8);
}

static inline void world_put32(struct world *world, uint64_t address, uint32_t value)
{
	world_put(world, address, &value, 4);
}

static inline void world_put16(struct world *world, uint64_t address, uint16_t value)
{
	world_put(world, address, &value, 2);
}

static inline void world_put8(struct world *world, uint64_t address, uint8_t value)
{
	world_put(world, address, &value, 1);
}

static const struct hs_layout layout_17 = {
        .major = 17,
        .off =
                {
                        .array_len = 0,
                        .array_data = 8,
                        .heap_memory = 8,
                        .heap_segmap = 120,
                        .heap_log2_segment_size = 256,
                        .space_low = 16,
                        .space_high = 24,
                        .block_used = 8,
                        .blob_name = 96,
                        .blob_size = 12,
                        .blob_frame_size = 28,
                        .blob_frame_complete = 20,
                        .blob_code_begin = 32,
                        .blob_code_offset = HS_ABSENT,
                        .blob_data_offset = 24,
                        .blob_mutable_data = HS_ABSENT,
                        .blob_mutable_data_size = HS_ABSENT,
                        .blob_relocation_size = HS_ABSENT,
                        .nmethod_method = 112,
                        .nmethod_compile_id = 304,
                        .nmethod_comp_level = 308,
                        .nmethod_orig_pc_offset = 300,
                        .nmethod_scopes_data_begin = 120,
                        .nmethod_scopes_data_offset = HS_ABSENT,
                        .nmethod_scopes_pcs_offset = 268,
                        .nmethod_dependencies_offset = 272,
                        .nmethod_metadata_offset = 260,
                        .nmethod_immutable_data = HS_ABSENT,
                        .nmethod_immutable_data_size = HS_ABSENT,
                        .nmethod_ref_count_offset = HS_ABSENT,
                        .nmethod_deopt_begin = 128,
                        .nmethod_deopt_mh_begin = 136,
                        .nmethod_deopt_offset = HS_ABSENT,
                        .nmethod_deopt_mh_offset = HS_ABSENT,
                        .pcdesc_pc_offset = 0,
                        .pcdesc_scope_offset = 4,
                        .method_const = 8,
                        .method_access_flags = 40,
                        .const_constants = 8,
                        .const_flags = 28,
                        .const_code_size = 32,
                        .const_name_index = 34,
                        .const_signature_index = 36,
                        .pool_holder = 24,
                        .pool_source_file_index = 54,
                        .instance_source_file_index = HS_ABSENT,
                        .klass_name = 24,
                        .symbol_length = 4,
                        .symbol_length_and_refcount = HS_ABSENT,
                        .symbol_body = 6,
                        .wrapper_anchor = 32,
                        .anchor_sp = 0,
                        .anchor_pc = 8,
                        .anchor_fp = 16,
                        .thread_anchor = 656,
                        .thread_osthread = 560,
                        .thread_next = HS_ABSENT,
                        .osthread_id = 208,
                        .list_length = 4,
                        .list_threads = 16,
                },
        .size = {.const_method = 48, .constant_pool = 72, .pcdesc = 16, .heap_block = 16},
        .call_wrapper_slot = -6,
};

static const struct hs_layout layout_25 = {
        .major = 25,
        .unsigned5_excluded = 1,
        .off =
                {
                        .array_len = 0,
                        .array_data = 8,
                        .heap_memory = 0,
                        .heap_segmap = 112,
                        .heap_log2_segment_size = 248,
                        .space_low = 16,
                        .space_high = 24,
                        .block_used = 4,
                        .blob_name = 8,
                        .blob_size = 24,
                        .blob_frame_size = 44,
                        .blob_frame_complete = 54,
                        .blob_code_begin = HS_ABSENT,
                        .blob_code_offset = 36,
                        .blob_data_offset = 40,
                        .blob_mutable_data = 16,
                        .blob_mutable_data_size = 48,
                        .blob_relocation_size = 28,
                        .nmethod_method = 80,
                        .nmethod_compile_id = 212,
                        .nmethod_comp_level = 216,
                        .nmethod_orig_pc_offset = 208,
                        .nmethod_scopes_data_begin = HS_ABSENT,
                        .nmethod_scopes_data_offset = 200,
                        .nmethod_scopes_pcs_offset = 196,
                        .nmethod_dependencies_offset = HS_ABSENT,
                        .nmethod_metadata_offset = HS_ABSENT,
                        .nmethod_immutable_data = 96,
                        .nmethod_immutable_data_size = 160,
                        .nmethod_ref_count_offset = HS_ABSENT,
                        .nmethod_deopt_begin = HS_ABSENT,
                        .nmethod_deopt_mh_begin = HS_ABSENT,
                        .nmethod_deopt_offset = 176,
                        .nmethod_deopt_mh_offset = 180,
                        .pcdesc_pc_offset = 0,
                        .pcdesc_scope_offset = 4,
                        .method_const = 8,
                        .method_access_flags = 44,
                        .const_constants = 8,
                        .const_flags = 28,
                        .const_code_size = 34,
                        .const_name_index = 36,
                        .const_signature_index = 38,
                        .pool_holder = 24,
                        .pool_source_file_index = 54,
                        .instance_source_file_index = HS_ABSENT,
                        .klass_name = 24,
                        .symbol_length = 4,
                        .symbol_length_and_refcount = HS_ABSENT,
                        .symbol_body = 6,
                        .wrapper_anchor = 32,
                        .anchor_sp = 0,
                        .anchor_pc = 8,
                        .anchor_fp = 16,
                        .thread_anchor = 1152,
                        .thread_osthread = 1016,
                        .thread_next = HS_ABSENT,
                        .osthread_id = 12,
                        .list_length = 4,
                        .list_threads = 16,
                },
        .size = {.const_method = 56, .constant_pool = 72, .pcdesc = 16, .heap_block = 8},
        .call_wrapper_slot = -6,
};

/* Where things are in the made-up JVM. */
enum {
	HEAP = WORLD_BASE + 0x10000,
	HEAP_BYTES = 0x10000,
	SEGMENT_SHIFT = 7,
	SEGMAP = WORLD_BASE + 0x30000,
	NAMES = WORLD_BASE + 0x38000,
	IMMUTABLE = WORLD_BASE + 0x40000,
	MUTABLE = WORLD_BASE + 0x44000,
	METHODS = WORLD_BASE + 0x50000,
	METHOD_ROOM = 0x1000,
	STACK = WORLD_BASE + 0x70000,
	CODE_OFFSET = 0x180, /* of the instructions in a blob */
	BLOB_BYTES = 0x800,
};

struct jvm {
	struct world world;
	struct memory *memory;
	struct intern *names;
	struct hotspot hs;
};

/* JDK 8 and 24, as far as they differ from 17 and 25. */
static inline struct hs_layout layout_8(void)
{
	struct hs_layout layout = layout_17;
	layout.major = 8;
	layout.off.nmethod_scopes_data_begin = HS_ABSENT;
	layout.off.nmethod_scopes_data_offset = 120;
	layout.off.nmethod_deopt_begin = layout.off.nmethod_deopt_mh_begin = HS_ABSENT;
	layout.off.nmethod_deopt_offset = 128;
	layout.off.symbol_length = HS_ABSENT;
	layout.off.symbol_length_and_refcount = 0;
	layout.off.pool_source_file_index = HS_ABSENT;
	layout.off.instance_source_file_index = 54;
	return layout;
}

static inline struct hs_layout layout_24(void)
{
	struct hs_layout layout = layout_25;
	layout.major = 24;
	layout.off.blob_mutable_data = layout.off.blob_mutable_data_size = layout.off.blob_relocation_size = HS_ABSENT;
	layout.off.nmethod_metadata_offset = 220;
	return layout;
}

static inline struct jvm *jvm_new(const struct hs_layout *layout)
{
	struct jvm *jvm = calloc(1, sizeof(*jvm));
	jvm->memory = memory_new();
	memory_set_reader(jvm->memory, world_read, &jvm->world);
	memory_begin(jvm->memory, 1, true, NULL, 0, 0, 0);
	jvm->names = intern_new();
	struct hotspot *hs = &jvm->hs;
	hs->names = jvm->names;
	hs->layout = *layout;
	hs->methods = hs_methods_new(&hs->layout, jvm->names);
	hs->cache = hs_cache_new();
	hs->refreshed = true; /* there are no statics to read the heaps from */
	hs->code = (struct hs_code){.low = HEAP, .high = HEAP + HEAP_BYTES, .nheaps = 1};
	hs->code.heaps[0] = (struct hs_heap){.low = HEAP,
	        .high = HEAP + HEAP_BYTES,
	        .map_low = SEGMAP,
	        .map_high = SEGMAP + (HEAP_BYTES >> SEGMENT_SHIFT),
	        .segment_shift = SEGMENT_SHIFT};
	memset(jvm->world.bytes + (SEGMAP - WORLD_BASE), 0xff, HEAP_BYTES >> SEGMENT_SHIFT);
	return jvm;
}

static inline void jvm_free(struct jvm *jvm)
{
	hs_methods_free(jvm->hs.methods);
	hs_cache_free(jvm->hs.cache);
	memory_free(jvm->memory);
	intern_free(jvm->names);
	free(jvm);
}

/* The next event: what was read from the process for the last one is forgotten. */
static inline void next_event(struct jvm *jvm)
{
	memory_begin(jvm->memory, 1, true, NULL, 0, 0, 0);
}

static inline uint64_t put_name(struct jvm *jvm, const char *name)
{
	uint64_t address = NAMES;
	while (jvm->world.bytes[address - WORLD_BASE])
		address += 64;
	world_put(&jvm->world, address, name, strlen(name) + 1);
	return address;
}

/* A block at segment `at` whose blob has `bytes`: the blob's address. The map says one segment back from each to the
 * next. */
static inline uint64_t put_blob(struct jvm *jvm, unsigned at, const char *name, uint32_t bytes, uint32_t frame_words)
{
	const struct hs_layout *layout = &jvm->hs.layout;
	uint64_t block = HEAP + ((uint64_t)at << SEGMENT_SHIFT);
	uint64_t blob = block + (uint32_t)layout->size.heap_block;
	unsigned segments = (bytes >> SEGMENT_SHIFT) + 1;
	for (unsigned i = 0; i < segments; i++)
		world_put8(&jvm->world, SEGMAP + at + i, i == 0 ? 0 : 1);
	world_put8(&jvm->world, block + (uint32_t)layout->off.block_used, 1);
	world_put64(&jvm->world, blob + (uint32_t)layout->off.blob_name, put_name(jvm, name));
	world_put32(&jvm->world, blob + (uint32_t)layout->off.blob_size, bytes);
	world_put32(&jvm->world, blob + (uint32_t)layout->off.blob_frame_size, frame_words);
	if (layout->off.blob_code_offset != HS_ABSENT)
		world_put32(&jvm->world, blob + (uint32_t)layout->off.blob_code_offset, CODE_OFFSET);
	else
		world_put64(&jvm->world, blob + (uint32_t)layout->off.blob_code_begin, blob + CODE_OFFSET);
	return blob;
}

static inline void put_symbol(struct jvm *jvm, uint64_t address, const char *text)
{
	if (jvm->hs.layout.off.symbol_length != HS_ABSENT)
		world_put16(&jvm->world, address + 4, (uint16_t)strlen(text));
	else
		world_put32(&jvm->world, address, (uint32_t)strlen(text) << 16 | 7);
	world_put(&jvm->world, address + 6, text, strlen(text));
}

/* Method number n, in a class of its own, with a line table: bci 0 → line, bci 5 → line + 1. */
static inline uint64_t put_method(
        struct jvm *jvm, unsigned n, const char *class, const char *name, uint16_t flags, uint8_t line)
{
	const struct hs_offsets *off = &jvm->hs.layout.off;
	uint64_t method = METHODS + (uint64_t)n * METHOD_ROOM;
	uint64_t const_method = method + 0x100, pool = method + 0x400, class_at = method + 0x600;
	uint64_t symbols = method + 0x800;
	world_put64(&jvm->world, method + (uint32_t)off->method_const, const_method);
	world_put16(&jvm->world, method + (uint32_t)off->method_access_flags, flags);
	world_put64(&jvm->world, const_method + (uint32_t)off->const_constants, pool);
	world_put16(&jvm->world, const_method + (uint32_t)off->const_flags, 1);
	world_put16(&jvm->world, const_method + (uint32_t)off->const_code_size, 16);
	world_put16(&jvm->world, const_method + (uint32_t)off->const_name_index, 1);
	world_put16(&jvm->world, const_method + (uint32_t)off->const_signature_index, 2);
	world_put64(&jvm->world, pool + (uint32_t)off->pool_holder, class_at);
	if (off->pool_source_file_index != HS_ABSENT)
		world_put16(&jvm->world, pool + (uint32_t)off->pool_source_file_index, 3);
	else
		world_put16(&jvm->world, class_at + (uint32_t)off->instance_source_file_index, 3);
	world_put64(&jvm->world, class_at + (uint32_t)off->klass_name, symbols);
	const char *texts[] = {class, name, "(I)V", "Source.java"};
	for (unsigned i = 0; i < 4; i++) {
		put_symbol(jvm, symbols + 0x100 * i, texts[i]);
		if (i) /* the low bits of a slot are a tag */
			world_put64(&jvm->world, pool + 72 + 8ULL * i, (symbols + 0x100 * i) | (i == 1));
	}
	/* bci += 0, line += line (an escape: two signed numbers), then bci += 5, line += 1 */
	uint8_t excluded = jvm->hs.layout.unsigned5_excluded;
	uint8_t table[] = {0xff, excluded, (uint8_t)(line * 2 + excluded), 5 << 3 | 1, 0};
	world_put(&jvm->world, const_method + (uint32_t)jvm->hs.layout.size.const_method + 16, table, sizeof(table));
	return method;
}

/* As the format's definition has it: digits of 64 values that continue, 192 that end. */
static inline size_t encode(uint32_t value, uint8_t excluded, uint8_t *to)
{
	uint32_t lowest = 192 - excluded, sum = value;
	size_t n = 0;
	while (n < 4 && sum >= lowest) {
		to[n++] = (uint8_t)(192 + (sum - lowest) % 64);
		sum = (sum - lowest) >> 6;
	}
	to[n++] = (uint8_t)(excluded + sum);
	return n;
}

struct scope_bytes {
	uint8_t bytes[16];
	size_t n;
};

static inline struct scope_bytes scope(const struct jvm *jvm, uint32_t sender, uint32_t method, uint32_t bci)
{
	struct scope_bytes scope = {0};
	uint8_t excluded = jvm->hs.layout.unsigned5_excluded;
	scope.n = encode(sender, excluded, scope.bytes);
	scope.n += encode(method, excluded, scope.bytes + scope.n);
	scope.n += encode(bci + 1, excluded, scope.bytes + scope.n);
	return scope;
}

/* Where a layout keeps what belongs to the nmethod at `blob`. */
struct places {
	uint64_t pcs, scopes, metadata;
	bool pcs_inside, metadata_inside;
};

static inline struct places places_of(const struct hs_layout *layout, uint64_t blob)
{
	bool inside = layout->off.nmethod_immutable_data == HS_ABSENT;
	bool metadata_inside = layout->off.blob_mutable_data == HS_ABSENT;
	return (struct places){
	        .pcs_inside = inside,
	        .metadata_inside = metadata_inside,
	        .pcs = inside ? blob + 0x480 : IMMUTABLE,
	        .scopes = inside ? blob + 0x440 : IMMUTABLE + 0x100,
	        .metadata = metadata_inside ? blob + 0x400 : MUTABLE + 0x20,
	};
}

/* The fields that say so: sizes, offsets and addresses. */
static inline void put_places(struct jvm *jvm, uint64_t blob, const struct places *places)
{
	const struct hs_offsets *off = &jvm->hs.layout.off;
	struct world *world = &jvm->world;
	if (places->pcs_inside) {
		world_put32(world, blob + (uint32_t)off->nmethod_scopes_pcs_offset, 0x480);
		world_put32(world, blob + (uint32_t)off->nmethod_dependencies_offset, 0x4c0);
		world_put32(world, blob + (uint32_t)off->nmethod_metadata_offset, 0x400);
	} else {
		world_put64(world, blob + (uint32_t)off->nmethod_immutable_data, IMMUTABLE);
		world_put32(world, blob + (uint32_t)off->nmethod_immutable_data_size, 0x200);
		world_put32(world, blob + (uint32_t)off->nmethod_scopes_pcs_offset, 0);
	}
	if (off->nmethod_scopes_data_begin != HS_ABSENT)
		world_put64(world, blob + (uint32_t)off->nmethod_scopes_data_begin, places->scopes);
	else
		world_put32(
		        world, blob + (uint32_t)off->nmethod_scopes_data_offset, places->pcs_inside ? 0x440 : 0x100);
	if (!places->metadata_inside) {
		world_put64(world, blob + (uint32_t)off->blob_mutable_data, MUTABLE);
		world_put32(world, blob + (uint32_t)off->blob_relocation_size, 0x20);
		world_put32(world, blob + (uint32_t)off->blob_mutable_data_size, 0x30);
	} else if (!places->pcs_inside) {
		world_put32(world, blob + (uint32_t)off->blob_data_offset, 0x3f0);
		world_put16(world, blob + (uint32_t)off->nmethod_metadata_offset, 0x10);
	}
	if (off->nmethod_deopt_begin != HS_ABSENT)
		world_put64(world, blob + (uint32_t)off->nmethod_deopt_begin, blob + 0x300);
	else
		world_put32(world, blob + (uint32_t)off->nmethod_deopt_offset, 0x300);
}

/* An nmethod in the layout under test, with pcs 0x10 and 0x40 (relative to its code): at 0x40 method 1 at bci 6 is
 * inlined in method 0 at bci 3; at 0x10 it is in method 0 at bci 0. */
static inline uint64_t put_nmethod(struct jvm *jvm)
{
	const struct hs_offsets *off = &jvm->hs.layout.off;
	struct world *world = &jvm->world;
	uint64_t blob = put_blob(jvm, 16, "nmethod", BLOB_BYTES, 6);
	struct places places = places_of(&jvm->hs.layout, blob);
	uint64_t methods[] = {put_method(jvm, 0, "Outer", "a", 0, 10), put_method(jvm, 1, "Inner", "b", 0, 20)};
	static const uint32_t descs[][2] = {{(uint32_t)-1, 0}, {0x10, 1}, {0x40, 9}, {0x7fffffff, 0}};
	struct scope_bytes outer0 = scope(jvm, 0, 1, 0), outer3 = scope(jvm, 0, 1, 3), inner = scope(jvm, 5, 2, 6);

	/* Outside of the blob the scopes follow at 0x100: 16 records, the last ones all sentinels. */
	for (unsigned i = 0; i < (places.pcs_inside ? 4 : 16); i++) {
		world_put32(world, places.pcs + 16 * i, descs[i < 4 ? i : 3][0]);
		world_put32(world, places.pcs + 16 * i + 4, descs[i < 4 ? i : 3][1]);
	}
	world_put(world, places.scopes + 1, outer0.bytes, outer0.n);
	world_put(world, places.scopes + 5, outer3.bytes, outer3.n);
	world_put(world, places.scopes + 9, inner.bytes, inner.n);
	world_put(world, places.metadata, methods, sizeof(methods));
	world_put64(world, blob + (uint32_t)off->nmethod_method, methods[0]);
	world_put32(world, blob + (uint32_t)off->nmethod_compile_id, 77);
	world_put8(world, blob + (uint32_t)off->nmethod_comp_level, 4);
	world_put32(world, blob + (uint32_t)off->nmethod_orig_pc_offset, 0x18);
	put_places(jvm, blob, &places);
	return blob;
}

#endif
