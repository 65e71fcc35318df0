/* Where things are in this build of V8.
 *
 * V8 exports some 500 integers named v8dbg_* for debuggers of dead processes. They are initialised data, so they are
 * read from the file, not from the process. The list has holes that differ from version to version, because the script
 * that makes it guesses from the source text. Fields have kept their order, so a hole is filled from its neighbour
 * (fill_in). */
#include "engine/stack/v8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WORD = 8, MISSING = INT32_MIN, NO_TYPE = -1 };

struct number {
	size_t field;         /* in struct v8_layout */
	const char *names[3]; /* without v8dbg_; the first that exists */
	int32_t fallback;     /* MISSING: filled in, or the build cannot be read */
};

#define AT(member) offsetof(struct v8_layout, member)

static const struct number numbers[] = {
        {AT(fp_context), {"off_fp_context_or_frame_type", "off_fp_context"}, -WORD},
        {AT(fp_function), {"off_fp_function"}, -2 * WORD},
        {AT(fp_bytecode_array), {"off_fp_bytecode_array"}, -4 * WORD},
        {AT(fp_bytecode_offset), {"off_fp_bytecode_offset"}, -5 * WORD},
        {AT(frame_entry), {"frametype_EntryFrame"}, 1},
        {AT(frame_construct_entry), {"frametype_ConstructEntryFrame"}, 2},
        {AT(object_map), {"class_HeapObject__map__Map"}, 0},
        {AT(map_type), {"class_Map__instance_type__uint16_t"}, MISSING},
        {AT(array_length), {"class_FixedArrayBase__length__SMI"}, WORD},
        {AT(array_data), {"class_FixedArray__data__uintptr_t"}, 2 * WORD},
        {AT(string_length), {"class_String__length__int32_t"}, WORD + 4},
        {AT(string_chars), {"class_SeqOneByteString__chars__char", "class_SeqTwoByteString__chars__char"}, 2 * WORD},
        {AT(cons_first), {"class_ConsString__first__String"}, 2 * WORD},
        {AT(cons_second), {"class_ConsString__second__String"}, 3 * WORD},
        {AT(thin_actual), {"class_ThinString__actual__String"}, 2 * WORD},
        {AT(sliced_parent), {"class_SlicedString__parent__String"}, 2 * WORD},
        {AT(sliced_offset), {"class_SlicedString__offset__SMI"}, 3 * WORD},
        {AT(external_resource), {"class_ExternalString__resource__Object"}, 2 * WORD},
        {AT(function_shared), {"class_JSFunction__shared__SharedFunctionInfo"}, 3 * WORD},
        {AT(function_code),
                {"class_JSFunction__code__Code", "class_JSFunction__code__Tagged_Code_",
                        "class_JSFunction__code__CodeT"},
                MISSING},
        {AT(shared_name),
                {"class_SharedFunctionInfo__name_or_scope_info__Object",
                        "class_SharedFunctionInfo__name_or_scope_info__Tagged_Object_",
                        "class_SharedFunctionInfo__name_or_scope_info__Tagged_NameOrScopeInfoT_"},
                2 * WORD},
        {AT(shared_data),
                {"class_SharedFunctionInfo__function_data__Object",
                        "class_SharedFunctionInfo__function_data__Tagged_Object_"},
                WORD},
        {AT(shared_script),
                {"class_SharedFunctionInfo__script_or_debug_info__HeapObject",
                        "class_SharedFunctionInfo__script_or_debug_info__Object",
                        "class_SharedFunctionInfo__script__Tagged_HeapObject_"},
                4 * WORD},
        {AT(script_name), {"class_Script__name__Object", "class_Script__name__Tagged_Object_"}, 2 * WORD},
        {AT(script_source), {"class_Script__source__Object", "class_Script__source__Tagged_Object_"}, MISSING},
        {AT(script_line_ends), {"class_Script__line_ends__Object", "class_Script__line_ends__Tagged_Object_"}, MISSING},
        {AT(scope_locals), {"scopeinfo_idx_ncontextlocals"}, 2},
        {AT(scope_first), {"scopeinfo_idx_first_vars"}, 3},
        {AT(bytecode_positions), {"class_BytecodeArray__source_position_table__Object"}, MISSING},
        {AT(bytecode_data), {"class_BytecodeArray__data__uintptr_t"}, MISSING},
        {AT(code_data), {"class_Code__deoptimization_data__FixedArray"}, MISSING},
        {AT(code_positions),
                {"class_Code__source_position_table__ByteArray",
                        "class_Code__source_position_table__Tagged_ByteArray_"},
                MISSING},
        {AT(code_start), {"class_Code__instruction_start__uintptr_t", "class_Code__instruction_start__Address"},
                MISSING},
        {AT(code_flags), {"class_Code__flags__uint32_t"}, MISSING},
        {AT(code_size), {"class_Code__instruction_size__int"}, MISSING},
        {AT(deopt_inlined), {"DeoptimizationDataInlinedFunctionCountIndex"}, 1},
        {AT(deopt_literals), {"DeoptimizationDataLiteralArrayIndex"}, 2},
        {AT(deopt_shared),
                {"DeoptimizationDataSharedFunctionInfoIndex", "DeoptimizationDataWrappedSharedFunctionInfoIndex"}, 6},
        {AT(deopt_inlining), {"DeoptimizationDataInliningPositionsIndex"}, 7},
        {AT(type_function), {"type_JSFunction__JS_FUNCTION_TYPE"}, MISSING},
        {AT(type_shared), {"type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE"}, MISSING},
        {AT(type_scope), {"type_ScopeInfo__SCOPE_INFO_TYPE"}, MISSING},
        {AT(type_script), {"type_Script__SCRIPT_TYPE"}, MISSING},
        {AT(type_bytecode), {"type_BytecodeArray__BYTECODE_ARRAY_TYPE"}, MISSING},
        {AT(type_code), {"type_Code__CODE_TYPE"}, MISSING},
        {AT(type_array), {"type_FixedArray__FIXED_ARRAY_TYPE"}, MISSING},
        {AT(type_weak_array), {"type_WeakFixedArray__WEAK_FIXED_ARRAY_TYPE"}, MISSING},
        {AT(type_bytes), {"type_ByteArray__BYTE_ARRAY_TYPE"}, MISSING},
        {AT(type_trusted_array), {"type_TrustedFixedArray__TRUSTED_FIXED_ARRAY_TYPE"}, NO_TYPE},
        {AT(type_protected_array), {"type_ProtectedFixedArray__PROTECTED_FIXED_ARRAY_TYPE"}, NO_TYPE},
        {AT(type_trusted_weak_array), {"type_TrustedWeakFixedArray__TRUSTED_WEAK_FIXED_ARRAY_TYPE"}, NO_TYPE},
        {AT(type_protected_weak_array), {"type_ProtectedWeakFixedArray__PROTECTED_WEAK_FIXED_ARRAY_TYPE"}, NO_TYPE},
        {AT(type_trusted_bytes), {"type_TrustedByteArray__TRUSTED_BYTE_ARRAY_TYPE"}, NO_TYPE},
        {AT(type_shared_wrapper), {"type_SharedFunctionInfoWrapper__SHARED_FUNCTION_INFO_WRAPPER_TYPE"}, NO_TYPE},
        {AT(code_wrapper), {"class_Code__wrapper__Tagged_CodeWrapper_"}, 0},
        {AT(bytecode_wrapper), {"class_BytecodeArray__wrapper__Tagged_BytecodeWrapper_"}, 0},
        {AT(first_nonstring), {"FirstNonstringType"}, 0x80},
        {AT(string_representation), {"StringRepresentationMask"}, 7},
        {AT(string_encoding), {"StringEncodingMask"}, 8},
        {AT(one_byte), {"OneByteStringTag"}, 8},
        {AT(seq_string), {"SeqStringTag"}, 0},
        {AT(cons_string), {"ConsStringTag"}, 1},
        {AT(external_string), {"ExternalStringTag"}, 2},
        {AT(sliced_string), {"SlicedStringTag"}, 3},
        {AT(thin_string), {"ThinStringTag"}, 5},
        {AT(kind_mask), {"CodeKindFieldMask"}, 0xf},
        {AT(kind_shift), {"CodeKindFieldShift"}, 0},
        {AT(kind_baseline), {"CodeKindBaseline"}, 11},
};

static bool read_int(struct module *module, const char *symbol, int32_t *ret)
{
	uint64_t va = module_lookup(module, symbol);
	return va && !module_read(module, va, ret, sizeof(*ret));
}

static int32_t *field_of(struct v8_layout *layout, const struct number *number)
{
	return (int32_t *)((char *)layout + number->field);
}

static void read_number(struct v8_layout *layout, struct module *module, const struct number *number)
{
	int32_t *field = field_of(layout, number);
	*field = number->fallback;
	for (size_t i = 0; i < sizeof(number->names) / sizeof(number->names[0]) && number->names[i]; i++) {
		char symbol[128];
		snprintf(symbol, sizeof(symbol), "v8dbg_%s", number->names[i]);
		if (read_int(module, symbol, field))
			return;
	}
}

static void read_version(struct v8_layout *layout, struct module *module)
{
	static const char *const symbols[] = {"_ZN2v88internal7Version6major_E", "_ZN2v88internal7Version6minor_E",
	        "_ZN2v88internal7Version6build_E"};
	for (size_t i = 0; i < 3; i++)
		if (!read_int(module, symbols[i], &layout->version[i]))
			layout->version[i] = 0;
}

static bool at_least(const struct v8_layout *l, int major, int minor, int build)
{
	const int32_t *v = l->version;
	if (v[0] != major)
		return v[0] > major;
	if (v[1] != minor)
		return v[1] > minor;
	return v[2] >= build;
}

static void fill(int32_t *field, int32_t value)
{
	if (*field == MISSING)
		*field = value;
}

/* Before 11.3 a Code object is one with its instructions: map, relocations, data, positions, container, size, … */
static void fill_in_code_inline(struct v8_layout *l)
{
	if (l->code_size == MISSING)
		return;
	fill(&l->code_data, l->code_size - 3 * WORD);
	fill(&l->code_positions, l->code_size - 2 * WORD);
}

/* The order of a Code object's fields: data, positions, (wrapper, stream,) start, flags, size. */
static void fill_in_code(struct v8_layout *l)
{
	if (l->code_wrapper)
		fill(&l->code_positions, l->code_wrapper - WORD);
	if (l->code_positions == MISSING)
		return;
	fill(&l->code_data, l->code_positions - WORD);
	fill(&l->code_start, l->code_positions + 2 * WORD);
	fill(&l->code_flags, l->code_start + WORD);
	/* before 11.4.59 two 16-bit fields stand between flags and size */
	fill(&l->code_size, l->code_flags + 4 + (at_least(l, 11, 4, 59) ? 0 : 4));
}

static void fill_in(struct v8_layout *l)
{
	fill(&l->function_code, l->function_shared + (at_least(l, 11, 7, 368) ? -WORD : 3 * WORD));
	fill(&l->script_source, l->script_name - WORD);
	fill(&l->bytecode_positions, l->bytecode_wrapper ? l->bytecode_wrapper + WORD : l->array_length + 3 * WORD);
	fill(&l->bytecode_data, l->bytecode_positions + WORD + 14);
	if (at_least(l, 12, 8, 44))
		l->scope_position = 3 * WORD;
	if (l->code_inline)
		fill_in_code_inline(l);
	else
		fill_in_code(l);
}

/* Offsets are used in arithmetic on addresses of a process: keep them small. */
static bool sane(const struct v8_layout *layout)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		int32_t value = *field_of((struct v8_layout *)layout, &numbers[i]);
		if (value == MISSING && numbers[i].field == AT(script_line_ends))
			continue;
		if (value < -4096 || value > 0xffff)
			return false;
	}
	return layout->kind_shift >= 0 && layout->kind_shift < 32 && layout->array_data > 0 &&
	       layout->bytecode_data > 0;
}

int v8_layout_read(struct v8_layout *layout, struct module *module)
{
	memset(layout, 0, sizeof(*layout));
	if (!module_lookup(module, "v8dbg_type_JSFunction__JS_FUNCTION_TYPE"))
		return -ENOENT;
	read_version(layout, module);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		read_number(layout, module, &numbers[i]);
	layout->code_inline = !module_lookup(module, "v8dbg_type_InstructionStream__INSTRUCTION_STREAM_TYPE");
	layout->positions_breakable = at_least(layout, 14, 0, 0);
	fill_in(layout);
	return sane(layout) ? 0 : -ENOENT;
}
