/* Where the fields of HotSpot's own structures lie in this build of the JVM. */
#ifndef RILLE_STACK_HOTSPOT_LAYOUT_H
#define RILLE_STACK_HOTSPOT_LAYOUT_H

#include "engine/proc/proc.h"
#include "engine/stack/memory.h"

#include <stdbool.h>
#include <stdint.h>

enum { HS_ABSENT = -1 };

/* Offsets in bytes, HS_ABSENT where this JDK has no such field. Names follow HotSpot's, so that they can be searched
 * for. */
struct hs_offsets {
	/* GrowableArray<CodeHeap*>, CodeHeap, VirtualSpace, HeapBlock::Header */
	int32_t array_len, array_data;
	int32_t heap_memory, heap_segmap, heap_log2_segment_size;
	int32_t space_low, space_high;
	int32_t block_used;
	/* CodeBlob */
	int32_t blob_name, blob_size, blob_frame_size, blob_frame_complete;
	int32_t blob_code_begin, blob_code_offset; /* an address before JDK 22, an int offset since */
	int32_t blob_data_offset, blob_mutable_data, blob_mutable_data_size, blob_relocation_size;
	/* nmethod */
	int32_t nmethod_method, nmethod_compile_id, nmethod_comp_level, nmethod_orig_pc_offset;
	int32_t nmethod_scopes_data_begin, nmethod_scopes_data_offset, nmethod_scopes_pcs_offset;
	int32_t nmethod_dependencies_offset, nmethod_metadata_offset;
	int32_t nmethod_immutable_data, nmethod_immutable_data_size, nmethod_ref_count_offset;
	int32_t nmethod_deopt_begin, nmethod_deopt_mh_begin;   /* addresses */
	int32_t nmethod_deopt_offset, nmethod_deopt_mh_offset; /* ints */
	int32_t pcdesc_pc_offset, pcdesc_scope_offset;
	/* Method, ConstMethod, ConstantPool, Klass, Symbol */
	int32_t method_const, method_access_flags;
	int32_t const_constants, const_flags, const_code_size, const_name_index, const_signature_index;
	int32_t pool_holder, pool_source_file_index, instance_source_file_index;
	int32_t klass_name;
	int32_t symbol_length, symbol_length_and_refcount, symbol_body;
	/* threads and frames */
	int32_t wrapper_anchor;
	int32_t anchor_sp, anchor_pc, anchor_fp;
	int32_t thread_anchor, thread_osthread, thread_next, osthread_id;
	int32_t list_length, list_threads;
};

struct hs_sizes {
	int32_t const_method, constant_pool, pcdesc, heap_block;
};

/* Addresses of the JVM's static variables in the process; 0 where this JDK has none. */
struct hs_statics {
	uint64_t code_heaps, code_heap; /* JDK 9 and later have an array, JDK 8 has one heap */
	uint64_t code_low, code_high;
	uint64_t call_stub_return, continuation_return;
	uint64_t thread_list, first_thread;
	uint64_t vm_major, jdk_version;
};

struct hs_layout {
	int major; /* 8 … */
	uint8_t unsigned5_excluded;
	struct hs_offsets off;
	struct hs_sizes size;
	struct hs_statics at;
	int32_t call_wrapper_slot; /* of JavaCallWrapper* in call_stub's frame, in words from its frame pointer */
};

/* Reads vmStructs of the libjvm mapped in the process. 0; -ENOENT: no libjvm; -EAGAIN: it is there, but not far enough
 * in its start; -EPROTO: its tables make no sense or lack something we cannot do without. */
int hs_layout_read(struct hs_layout *ret, struct process *process, struct memory *memory);

#endif
