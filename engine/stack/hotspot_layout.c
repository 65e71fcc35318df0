/* What libjvm says about itself: vmStructs.
 *
 * HotSpot exports, for its own serviceability agent, three tables that name every type, field and constant the agent
 * needs, with size, offset or address. They are found through some twenty exported variables (gHotSpotVM…), which
 * survive stripping because they are dynamic symbols. So one code reads every JDK from 8 on: what moved between
 * versions is an offset here, what was added or dropped is HS_ABSENT, and the readers choose by presence, not by
 * version.
 *
 * The tables hold pointers, which the loader has relocated, so they are read from the process; the names they point to
 * are constant and are read from the file where possible, which costs the target nothing. Everything is bounded: the
 * tables belong to a file that a traced process chose to map.
 *
 * Format: src/hotspot/share/runtime/vmStructs.hpp of OpenJDK. */
#include "engine/stack/hotspot_layout.h"

#include "engine/stack/module.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

enum {
	MAX_STRIDE = 256,
	MAX_ENTRIES = 20000,
	MAX_OFFSET = 65536, /* of a field in its struct, and a struct's size */
	NAME_SIZE = 96,     /* longer names are not ours */
};

struct wanted {
	const char *type, *field;
	uint16_t place; /* of the int32_t or uint64_t in struct hs_layout */
};

#define FIELD(type, field, member)                                                                                     \
	{                                                                                                              \
		type, field, offsetof(struct hs_layout, off.member)                                                    \
	}
static const struct wanted wanted_fields[] = {
        FIELD("GrowableArrayBase", "_len", array_len),
        FIELD("GenericGrowableArray", "_len", array_len),
        FIELD("GrowableArray<int>", "_data", array_data),
        FIELD("CodeHeap", "_memory", heap_memory),
        FIELD("CodeHeap", "_segmap", heap_segmap),
        FIELD("CodeHeap", "_log2_segment_size", heap_log2_segment_size),
        FIELD("VirtualSpace", "_low", space_low),
        FIELD("VirtualSpace", "_high", space_high),
        FIELD("HeapBlock::Header", "_used", block_used),
        FIELD("CodeBlob", "_name", blob_name),
        FIELD("CodeBlob", "_size", blob_size),
        FIELD("CodeBlob", "_frame_size", blob_frame_size),
        FIELD("CodeBlob", "_frame_complete_offset", blob_frame_complete),
        FIELD("CodeBlob", "_code_begin", blob_code_begin),
        FIELD("CodeBlob", "_code_offset", blob_code_offset),
        FIELD("CodeBlob", "_data_offset", blob_data_offset),
        FIELD("CodeBlob", "_mutable_data", blob_mutable_data),
        FIELD("CodeBlob", "_mutable_data_size", blob_mutable_data_size),
        FIELD("CodeBlob", "_relocation_size", blob_relocation_size),
        FIELD("nmethod", "_method", nmethod_method),
        FIELD("CompiledMethod", "_method", nmethod_method),
        FIELD("nmethod", "_compile_id", nmethod_compile_id),
        FIELD("nmethod", "_comp_level", nmethod_comp_level),
        FIELD("nmethod", "_orig_pc_offset", nmethod_orig_pc_offset),
        FIELD("CompiledMethod", "_scopes_data_begin", nmethod_scopes_data_begin),
        FIELD("nmethod", "_scopes_data_begin", nmethod_scopes_data_begin),
        FIELD("nmethod", "_scopes_data_offset", nmethod_scopes_data_offset),
        FIELD("nmethod", "_scopes_pcs_offset", nmethod_scopes_pcs_offset),
        FIELD("nmethod", "_dependencies_offset", nmethod_dependencies_offset),
        FIELD("nmethod", "_metadata_offset", nmethod_metadata_offset),
        FIELD("nmethod", "_immutable_data", nmethod_immutable_data),
        FIELD("nmethod", "_immutable_data_size", nmethod_immutable_data_size),
        FIELD("nmethod", "_immutable_data_ref_count_offset", nmethod_ref_count_offset),
        FIELD("CompiledMethod", "_deopt_handler_begin", nmethod_deopt_begin),
        FIELD("nmethod", "_deopt_handler_begin", nmethod_deopt_begin),
        FIELD("CompiledMethod", "_deopt_mh_handler_begin", nmethod_deopt_mh_begin),
        FIELD("nmethod", "_deopt_mh_handler_begin", nmethod_deopt_mh_begin),
        FIELD("nmethod", "_deopt_handler_offset", nmethod_deopt_offset),
        FIELD("nmethod", "_deopt_handler_entry_offset", nmethod_deopt_offset),
        FIELD("nmethod", "_deoptimize_offset", nmethod_deopt_offset),
        FIELD("nmethod", "_deopt_mh_handler_offset", nmethod_deopt_mh_offset),
        FIELD("PcDesc", "_pc_offset", pcdesc_pc_offset),
        FIELD("PcDesc", "_scope_decode_offset", pcdesc_scope_offset),
        FIELD("Method", "_constMethod", method_const),
        FIELD("Method", "_access_flags", method_access_flags),
        FIELD("ConstMethod", "_constants", const_constants),
        FIELD("ConstMethod", "_flags", const_flags),
        FIELD("ConstMethod", "_flags._flags", const_flags),
        FIELD("ConstMethod", "_code_size", const_code_size),
        FIELD("ConstMethod", "_name_index", const_name_index),
        FIELD("ConstMethod", "_signature_index", const_signature_index),
        FIELD("ConstantPool", "_pool_holder", pool_holder),
        FIELD("ConstantPool", "_source_file_name_index", pool_source_file_index),
        FIELD("InstanceKlass", "_source_file_name_index", instance_source_file_index),
        FIELD("Klass", "_name", klass_name),
        FIELD("Symbol", "_length", symbol_length),
        FIELD("Symbol", "_length_and_refcount", symbol_length_and_refcount),
        FIELD("Symbol", "_body", symbol_body),
        FIELD("JavaCallWrapper", "_anchor", wrapper_anchor),
        FIELD("JavaFrameAnchor", "_last_Java_sp", anchor_sp),
        FIELD("JavaFrameAnchor", "_last_Java_pc", anchor_pc),
        FIELD("JavaFrameAnchor", "_last_Java_fp", anchor_fp),
        FIELD("JavaThread", "_anchor", thread_anchor),
        FIELD("JavaThread", "_osthread", thread_osthread),
        FIELD("Thread", "_osthread", thread_osthread),
        FIELD("JavaThread", "_next", thread_next),
        FIELD("OSThread", "_thread_id", osthread_id),
        FIELD("ThreadsList", "_length", list_length),
        FIELD("ThreadsList", "_threads", list_threads),
};
#undef FIELD

#define STATIC(type, field, member)                                                                                    \
	{                                                                                                              \
		type, field, offsetof(struct hs_layout, at.member)                                                     \
	}
static const struct wanted wanted_statics[] = {
        STATIC("CodeCache", "_heaps", code_heaps),
        STATIC("CodeCache", "_heap", code_heap),
        STATIC("CodeCache", "_low_bound", code_low),
        STATIC("CodeCache", "_high_bound", code_high),
        STATIC("StubRoutines", "_call_stub_return_address", call_stub_return),
        STATIC("ContinuationEntry", "_return_pc", continuation_return),
        STATIC("ThreadsSMRSupport", "_java_thread_list", thread_list),
        STATIC("Threads", "_thread_list", first_thread),
        STATIC("Abstract_VM_Version", "_vm_major_version", vm_major),
        STATIC("JDK_Version", "_current", jdk_version),
};
#undef STATIC

#define SIZE(type, member)                                                                                             \
	{                                                                                                              \
		type, NULL, offsetof(struct hs_layout, size.member)                                                    \
	}
static const struct wanted wanted_sizes[] = {
        SIZE("ConstMethod", const_method),
        SIZE("ConstantPool", constant_pool),
        SIZE("PcDesc", pcdesc),
        SIZE("HeapBlock", heap_block),
};
#undef SIZE

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* libjvm as it is mapped, and how to read it. */
struct image {
	struct module *module;
	struct memory *memory;
	uint64_t bias;
	bool failed;
};

static bool is_libjvm(const struct mapping *mapping)
{
	static const char deleted[] = " (deleted)";
	const char *base = strrchr(mapping->file->path, '/');
	if (!base)
		return false;
	size_t n = strlen(base), suffix = sizeof(deleted) - 1;
	if (n > suffix && !strcmp(base + n - suffix, deleted))
		n -= suffix;
	return n == strlen("/libjvm.so") && !memcmp(base, "/libjvm.so", n);
}

static bool image_find(struct image *image, struct process *process)
{
	size_t n;
	const struct mapping *mappings = process_mappings(process, &n);
	for (size_t i = 0; i < n; i++) {
		if (!is_libjvm(&mappings[i]))
			continue;
		image->module = module_of(process, &mappings[i]);
		if (!image->module)
			continue;
		image->bias = module_bias(image->module, &mappings[i]);
		return true;
	}
	return false;
}

/* The value of one of libjvm's exported variables. */
static uint64_t exported(struct image *image, const char *name)
{
	uint64_t va = module_lookup(image->module, name);
	if (!va) {
		image->failed = true;
		return 0;
	}
	return memory_u64(image->memory, image->bias + va, &image->failed);
}

/* A name of the tables. Too long or unreadable: empty, which equals nothing we want. */
static void read_name(struct image *image, uint64_t address, char *name)
{
	uint64_t va = address - image->bias;
	name[0] = name[NAME_SIZE - 1] = 0;
	if (!address)
		return;
	if (!module_read(image->module, va, name, NAME_SIZE) && memchr(name, 0, NAME_SIZE))
		return;
	if (memory_read_string(image->memory, address, name, NAME_SIZE) < 0)
		name[0] = 0;
}

/* One of the exported tables: rows of one size, which end at one whose name is null. libjvm tells the place of each column. */
struct table {
	uint64_t next, stride, name_at;
	uint64_t row; /* where the current one is */
	int rows;
};

/* The place of a column, which lies within the row. */
static uint64_t column(struct image *image, const struct table *t, const char *symbol)
{
	uint64_t at = exported(image, symbol);
	if (t->stride < 8 || t->stride > MAX_STRIDE || at > t->stride - 8)
		image->failed = true;
	return at;
}

static struct table table_open(struct image *image, const char *first, const char *stride, const char *name)
{
	struct table t = {.next = exported(image, first), .stride = exported(image, stride)};
	t.name_at = column(image, &t, name);
	return t;
}

/* Goes to the next row and returns the address of its name; 0 at the end. */
static uint64_t next_row(struct image *image, struct table *t)
{
	if (image->failed || t->rows++ == MAX_ENTRIES)
		return 0;
	t->row = t->next;
	t->next += t->stride;
	uint64_t name = memory_u64(image->memory, t->row + t->name_at, &image->failed);
	return image->failed ? 0 : name;
}

static void store_offset(struct hs_layout *layout, const struct wanted *wanted, uint64_t value)
{
	int32_t *place = (int32_t *)((char *)layout + wanted->place);
	if (value < MAX_OFFSET)
		*place = (int32_t)value;
}

static void read_types(struct hs_layout *layout, struct image *image)
{
	struct table t = table_open(
	        image, "gHotSpotVMTypes", "gHotSpotVMTypeEntryArrayStride", "gHotSpotVMTypeEntryTypeNameOffset");
	uint64_t size_at = column(image, &t, "gHotSpotVMTypeEntrySizeOffset");
	char name[NAME_SIZE];
	uint64_t address;
	while ((address = next_row(image, &t))) {
		read_name(image, address, name);
		for (size_t k = 0; k < N(wanted_sizes); k++)
			if (!strcmp(name, wanted_sizes[k].type))
				store_offset(layout, &wanted_sizes[k],
				        memory_u64(image->memory, t.row + size_at, &image->failed));
	}
}

/* A row of the table of fields, which has offsets of members and addresses of statics. */
struct field_row {
	const char *type, *name;
	uint64_t offset_at, address_at; /* where in the process */
};

static bool wants_type(const char *type)
{
	for (size_t k = 0; k < N(wanted_fields); k++)
		if (!strcmp(type, wanted_fields[k].type))
			return true;
	for (size_t k = 0; k < N(wanted_statics); k++)
		if (!strcmp(type, wanted_statics[k].type))
			return true;
	return false;
}

static void take_field(struct hs_layout *layout, struct image *image, const struct field_row *row)
{
	for (size_t k = 0; k < N(wanted_fields); k++)
		if (!strcmp(row->type, wanted_fields[k].type) && !strcmp(row->name, wanted_fields[k].field))
			store_offset(
			        layout, &wanted_fields[k], memory_u64(image->memory, row->offset_at, &image->failed));
	for (size_t k = 0; k < N(wanted_statics); k++)
		if (!strcmp(row->type, wanted_statics[k].type) && !strcmp(row->name, wanted_statics[k].field))
			*(uint64_t *)((char *)layout + wanted_statics[k].place) =
			        memory_u64(image->memory, row->address_at, &image->failed);
}

/* Fields of one type follow each other and share the pointer to its name, so most rows need one comparison. */
static void read_fields(struct hs_layout *layout, struct image *image)
{
	struct table t = table_open(
	        image, "gHotSpotVMStructs", "gHotSpotVMStructEntryArrayStride", "gHotSpotVMStructEntryTypeNameOffset");
	uint64_t name_at = column(image, &t, "gHotSpotVMStructEntryFieldNameOffset");
	uint64_t offset_at = column(image, &t, "gHotSpotVMStructEntryOffsetOffset");
	uint64_t address_at = column(image, &t, "gHotSpotVMStructEntryAddressOffset");
	char type[NAME_SIZE] = "", name[NAME_SIZE];
	uint64_t address, known = 0;
	bool wanted = false;

	while ((address = next_row(image, &t))) {
		if (address != known) {
			read_name(image, address, type);
			wanted = wants_type(type);
			known = address;
		}
		if (!wanted)
			continue;
		read_name(image, memory_u64(image->memory, t.row + name_at, &image->failed), name);
		take_field(layout, image, &(struct field_row){type, name, t.row + offset_at, t.row + address_at});
	}
}

static void read_constants(struct hs_layout *layout, struct image *image)
{
	struct table t = table_open(image, "gHotSpotVMIntConstants", "gHotSpotVMIntConstantEntryArrayStride",
	        "gHotSpotVMIntConstantEntryNameOffset");
	uint64_t value_at = column(image, &t, "gHotSpotVMIntConstantEntryValueOffset");
	char name[NAME_SIZE];
	uint64_t address;
	while ((address = next_row(image, &t))) {
		read_name(image, address, name);
		if (strcmp(name, "frame::entry_frame_call_wrapper_offset") != 0)
			continue;
		layout->call_wrapper_slot = (int32_t)memory_u32(image->memory, t.row + value_at, &image->failed);
		return;
	}
}

/* JDK_Version::_current starts with the major version, up to JDK 21; later JDKs have the VM's own number, which in JDK
 * 8 was not the JDK's. JDK_Version is filled in while the JVM starts: 0 = not yet. */
static int read_major(const struct hs_layout *layout, struct image *image)
{
	if (!layout->at.code_heaps)
		return 8;
	if (layout->at.jdk_version)
		return memory_u8(image->memory, layout->at.jdk_version, &image->failed);
	return (int)memory_u32(image->memory, layout->at.vm_major, &image->failed);
}

static bool has_all(const int32_t *offsets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (offsets[i] == HS_ABSENT)
			return false;
	return true;
}

/* What no stack can be read without. The rest has alternatives, or a fallback where it is used. */
static bool is_complete(const struct hs_layout *layout)
{
	const struct hs_offsets *off = &layout->off;
	const int32_t needed[] = {off->array_len, off->array_data, off->heap_memory, off->heap_segmap,
	        off->heap_log2_segment_size, off->space_low, off->space_high, off->block_used, off->blob_name,
	        off->blob_size, off->blob_frame_size, off->nmethod_method, off->nmethod_compile_id,
	        off->nmethod_scopes_pcs_offset, off->pcdesc_pc_offset, off->pcdesc_scope_offset, off->method_const,
	        off->method_access_flags, off->const_constants, off->const_flags, off->const_code_size,
	        off->const_name_index, off->const_signature_index, off->pool_holder, off->klass_name, off->symbol_body};
	bool heap8 = layout->at.code_heap && !layout->at.code_heaps;
	size_t skip = heap8 ? 2 : 0; /* JDK 8 has no array of heaps */
	const struct hs_sizes *size = &layout->size;

	return has_all(needed + skip, N(needed) - skip) && (heap8 || layout->at.code_heaps) &&
	       (heap8 || (layout->at.code_low && layout->at.code_high)) &&
	       (off->blob_code_begin != HS_ABSENT || off->blob_code_offset != HS_ABSENT) &&
	       (off->symbol_length != HS_ABSENT || off->symbol_length_and_refcount != HS_ABSENT) &&
	       size->const_method > 0 && size->constant_pool > 0 && size->pcdesc >= 8 && size->pcdesc <= 64 &&
	       size->heap_block > 0 && size->heap_block <= 64;
}

static void clear(struct hs_layout *layout)
{
	memset(layout, 0, sizeof(*layout));
	memset(&layout->off, 0xff, sizeof(layout->off));
	memset(&layout->size, 0xff, sizeof(layout->size));
}

int hs_layout_read(struct hs_layout *ret, struct process *process, struct memory *memory)
{
	struct image image = {.memory = memory};
	if (!image_find(&image, process))
		return -ENOENT;
	if (!module_lookup(image.module, "gHotSpotVMStructs"))
		return -EPROTO;

	clear(ret);
	read_types(ret, &image);
	read_fields(ret, &image);
	read_constants(ret, &image);
	if (image.failed)
		return -EAGAIN;
	if (!is_complete(ret))
		return -EPROTO;
	ret->major = read_major(ret, &image);
	if (image.failed || ret->major == 0)
		return -EAGAIN;
	ret->unsigned5_excluded = ret->major >= 20;
	return 0;
}
