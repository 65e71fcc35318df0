/* V8 (Node.js) frames, read from outside the process. Shared by the v8*.c files only.
 *
 *     v8.c           the runtime's table: which pc is V8's, one step of the frame-pointer chain
 *     v8_layout.c    where things are in this build of V8, from the v8dbg_* numbers in its symbol table
 *     v8_heap.c      tagged words, types, strings, arrays
 *     v8_function.c  SharedFunctionInfo → name, script, line of a position
 *     v8_code.c      machine code and bytecode → position, and the functions inlined there
 *
 * Objects of the JavaScript heap move. What a frame holds is a pointer as of the event; it is read some time later. So
 * every object's type is checked when it is read, a function must agree with the code that runs (the bytecode array or
 * the Code object of the frame), and a frame that fails is "<js>", never a guess. */
#ifndef RILLE_STACK_V8_H
#define RILLE_STACK_V8_H

#include "engine/stack/memory.h"
#include "engine/stack/module.h"
#include "engine/stack/runtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Offsets are in bytes from an object's start (its tagged pointer minus the tag), as V8's own metadata counts them. */
struct v8_layout {
	int32_t version[3];
	/* frame, relative to the frame pointer */
	int32_t fp_context, fp_function, fp_bytecode_array, fp_bytecode_offset;
	int32_t frame_entry, frame_construct_entry;
	/* objects */
	int32_t object_map, map_type;
	int32_t array_length, array_data;
	int32_t string_length, string_chars, cons_first, cons_second, thin_actual, sliced_parent, sliced_offset;
	int32_t external_resource;
	int32_t function_shared, function_code;
	int32_t shared_name, shared_data, shared_script;
	int32_t script_name, script_source, script_line_ends;
	int32_t scope_locals, scope_first;
	int32_t scope_position; /* of the start position from the first slot; 0 = behind the names, wherever that is */
	int32_t bytecode_positions, bytecode_data;
	int32_t code_data, code_positions, code_start, code_flags, code_size;
	bool positions_breakable; /* two flags, not one, with each code offset of a position table */
	bool code_inline;         /* a Code object has its instructions in itself, at code_start */
	int32_t deopt_inlined, deopt_literals, deopt_shared, deopt_inlining;
	/* instance types and tags */
	int32_t type_function, type_shared, type_scope, type_script, type_bytecode, type_code, type_array,
	        type_weak_array, type_bytes;
	/* their counterparts in trusted space, where newer builds keep what machine code relies on */
	int32_t type_trusted_array, type_protected_array, type_trusted_weak_array, type_protected_weak_array,
	        type_trusted_bytes, type_shared_wrapper;
	int32_t code_wrapper, bytecode_wrapper; /* there in builds with a trusted space */
	int32_t first_nonstring, string_representation, string_encoding, one_byte;
	int32_t seq_string, cons_string, external_string, sliced_string, thin_string;
	int32_t kind_mask, kind_shift, kind_baseline;
};

enum { V8_MAX_LINES = 1 << 18, V8_MAX_TABLE = 1 << 20, V8_MAX_OPCODES = 256, V8_NAME = 256 };

struct v8 {
	struct v8_layout layout;
	struct intern *names;
	struct module *module;   /* the binary that V8 is linked into */
	uint64_t blob, blob_end; /* embedded builtins, virtual addresses of that ELF file; 0 = not known */
	uint8_t *opcode_sizes;   /* [3][opcodes]: plain, Wide, ExtraWide */
	uint32_t opcodes;
	struct v8_function *functions;
	struct v8_script *scripts;
	struct v8_code *codes;
	struct v8_pc *pcs;
};

/* v8_layout.c: 0, or -ENOENT if a number without which nothing works is missing. */
int v8_layout_read(struct v8_layout *layout, struct module *module);

/* v8_heap.c. All return false (or NULL) when the memory is not what it should be. */
struct v8_object {
	uint64_t address; /* untagged */
	uint16_t type;    /* instance type */
};
bool v8_object(const struct v8 *v8, struct memory *memory, uint64_t tagged, struct v8_object *ret);
/* The object that the slot at `address` points to. */
bool v8_slot(const struct v8 *v8, struct memory *memory, uint64_t address, struct v8_object *ret);
static inline bool v8_is_string(const struct v8 *v8, const struct v8_object *object)
{
	return object->type < v8->layout.first_nonstring;
}
/* Small integers are kept in the upper half of a word whose lower half is zero. */
static inline bool v8_is_smi(uint64_t word)
{
	return !(word & 0xffffffff);
}
static inline int32_t v8_smi(uint64_t word)
{
	return (int32_t)(word >> 32);
}
static inline bool v8_is_bytes(const struct v8_layout *l, uint16_t type)
{
	return type == l->type_bytes || type == l->type_trusted_bytes;
}
static inline bool v8_is_array(const struct v8_layout *l, uint16_t type)
{
	return type == l->type_array || type == l->type_trusted_array || type == l->type_protected_array;
}
static inline bool v8_is_weak_array(const struct v8_layout *l, uint16_t type)
{
	return type == l->type_weak_array || type == l->type_trusted_weak_array || type == l->type_protected_weak_array;
}
static inline bool v8_is_object(uint64_t word)
{
	return (word & 3) == 1;
}
/* UTF-8, NUL-terminated, cut to `size`; the length, or -1. */
int v8_string(const struct v8 *v8, struct memory *memory, const struct v8_object *string, char *buffer, size_t size);
/* Where the characters of a flat string are: address, count, bytes of each. */
bool v8_flat_string(const struct v8 *v8, struct memory *memory, const struct v8_object *string, uint64_t *ret_chars,
        uint32_t *ret_count, unsigned *ret_width);
/* An array's bytes (elements × width); freed by the caller. `max` bytes at most, else NULL. */
uint8_t *v8_array(const struct v8 *v8, struct memory *memory, const struct v8_object *array, unsigned width, size_t max,
        uint32_t *ret_count);

/* v8_function.c */
struct v8_function;
/* The function behind a tagged SharedFunctionInfo pointer; owned by v8. */
struct v8_function *v8_function_get(struct v8 *v8, struct memory *memory, uint64_t shared);
const char *v8_function_name(const struct v8_function *function);
const char *v8_function_file(const struct v8_function *function);
/* The line of a position in the function's script (characters from its start, 0-based), 0 = not known. Position -1: the
 * function's first line. */
int v8_function_line(struct v8 *v8, struct memory *memory, struct v8_function *function, int32_t position);
void v8_functions_free(struct v8 *v8);

/* v8_code.c */
/* Signed and unsigned base-128 numbers of V8's tables. */
struct v8_cursor {
	const uint8_t *p, *end;
	bool failed;
};
uint64_t v8_uvlq(struct v8_cursor *cursor);
int64_t v8_vlq(struct v8_cursor *cursor);
/* A table's entry for a code offset: bit 0 external, then 30 bits of position + 1, then 16 of inlining id. */
uint64_t v8_position_at(const struct v8_layout *layout, const uint8_t *table, size_t len, int64_t offset);

struct v8_code;
/* The Code object that holds pc: by the cache, through the JSFunction's own code (0 = unknown), or by looking backwards
 * from pc for the header of its instruction stream (code of on-stack replacement and of functions that were optimised
 * anew has no other way). `mapping` bounds the search. Owned by v8. */
struct v8_code *v8_code_get(
        struct v8 *v8, struct memory *memory, uint64_t pc, uint64_t function, const struct mapping *mapping);
enum frame_tier v8_code_tier(const struct v8 *v8, const struct v8_code *code);
/* Offset of the bytecode that a baseline pc belongs to, -1 if unknown. `bytecodes` is a BytecodeArray. */
int32_t v8_baseline_offset(struct v8 *v8, struct memory *memory, const struct v8_code *code,
        const struct v8_object *bytecodes, uint64_t pc);
/* Appends the frames of optimised code, inlined ones first. `function` is the outermost one, NULL = take the code's
 * own. */
bool v8_code_frames(struct v8 *v8, struct walk *walk, struct v8_code *code, uint64_t pc, struct v8_function *function);
/* Position of a bytecode: ≥ 0, or -1 where V8 has not collected positions for this function. */
int32_t v8_bytecode_position(struct v8 *v8, struct memory *memory, const struct v8_object *bytecodes, int64_t offset);
void v8_codes_free(struct v8 *v8);

/* v8.c: one frame of JavaScript; position -1 = unknown, then it has the function's first line and is marked `approx`.
 */
bool v8_add_frame(struct v8 *v8, struct walk *walk, uint64_t pc, struct v8_function *function, int32_t position,
        enum frame_tier tier, bool inlined);

#endif
