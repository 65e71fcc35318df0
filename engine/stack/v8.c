/* V8 and Node.js: stepping through JavaScript frames.
 *
 * All of V8's code keeps frame pointers, and a frame says by its own words what it is: the word below the saved frame
 * pointer is a context (then the next one is the function that runs) or a small number, the type of an internal frame.
 * V8's code has no unwind information, so what it means to be V8's is decided by place: the embedded builtins, which
 * are in the binary and which V8 may map a second time nearer to its heap, and anonymous executable memory.
 *
 * An interpreted frame keeps its bytecode array and offset; a baseline frame the array, and the offset follows from pc;
 * optimised code keeps neither and has tables with its Code object. */
#include "engine/stack/v8.h"

#include "engine/stack/intern.h"
#include "engine/stack/place.h"

#include <stdlib.h>
#include <string.h>

enum {
	MAX_FRAME_BYTES = 16 << 20, /* one frame's locals and arguments */
	FUNCTION_TYPES = 24,        /* kinds of JSFunction follow each other; what they share is checked, too */
	MAX_FRAME_TYPE = 64,
	MAX_OPCODE_BYTES = 32,
};

/* The binaries that V8 comes in and that export its numbers. */
static bool may_have_v8(const char *path)
{
	static const char *const names[] = {"node", "nodejs", "libnode.so", "electron", "chrome", "chromium", "d8"};
	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i]);
		if (!strncmp(base, names[i], len) && (!base[len] || strchr(".-0123456789 ", base[len])))
			return true;
	}
	return false;
}

/* Where the embedded builtins are in `code`, the binary's executable mapping. Older builds have a pointer of the same
 * name in their data: then it is as if there were none. */
static void read_blob(struct v8 *v8, struct module *module, const struct mapping *code)
{
	uint32_t size = 0;
	uint64_t size_at = module_lookup(module, "v8_Default_embedded_blob_code_size_");
	uint64_t first = module_address(module, code, code->start);
	v8->blob = module_lookup(module, "v8_Default_embedded_blob_code_");
	if (v8->blob < first || v8->blob - first >= code->end - code->start)
		v8->blob = 0;
	if (!v8->blob || !size_at || module_read(module, size_at, &size, sizeof(size)))
		v8->blob = 0;
	v8->blob_end = v8->blob + size;
}

/* The table of bytecode lengths for each operand scale; without it baseline frames have their function's first line. */
static void read_opcodes(struct v8 *v8, struct module *module)
{
	uint64_t size,
	        at = module_lookup_sized(module, "_ZN2v88internal11interpreter9Bytecodes14kBytecodeSizesE", &size);
	if (!at || !size || size % 3 || size > 3ULL * V8_MAX_OPCODES)
		return;
	v8->opcode_sizes = malloc(size);
	if (!v8->opcode_sizes || module_read(module, at, v8->opcode_sizes, size))
		return;
	for (size_t i = 0; i < size; i++)
		if (!v8->opcode_sizes[i] || v8->opcode_sizes[i] > MAX_OPCODE_BYTES)
			return;
	v8->opcodes = (uint32_t)(size / 3);
}

static void *v8_attach(struct process *process, struct memory *memory, struct intern *names, bool *ret_retry)
{
	size_t n;
	const struct mapping *mappings = process_mappings(process, &n);
	for (size_t i = 0; i < n; i++) {
		struct v8_layout layout;
		if (!(mappings[i].flags & MAPPING_EXEC) || !may_have_v8(mappings[i].file->path))
			continue;
		struct module *module = module_of(process, &mappings[i]);
		if (!module || v8_layout_read(&layout, module))
			continue;
		struct v8 *v8 = calloc(1, sizeof(*v8));
		if (!v8)
			return NULL;
		v8->layout = layout;
		v8->names = names;
		v8->module = module;
		read_blob(v8, module, &mappings[i]);
		read_opcodes(v8, module);
		return v8;
	}
	*ret_retry = false;
	return NULL;
}

static void v8_detach(void *state)
{
	struct v8 *v8 = state;
	v8_codes_free(v8);
	v8_functions_free(v8);
	free(v8->opcode_sizes);
	free(v8);
}

/* Where no symbol leads to the blob, as in a shared libnode, its code is what has no unwind information. */
static bool in_blob(const struct v8 *v8, uint64_t pc, const struct mapping *mapping, const struct module *module)
{
	if (!mapping || mapping->flags & MAPPING_ANON || module != v8->module)
		return false;
	uint64_t va = module_address(module, mapping, pc);
	if (v8->blob)
		return va >= v8->blob && va < v8->blob_end;
	struct place *place = module_place(v8->module, va);
	return place && !place_row(v8->module, place);
}

static bool is_jit(const struct mapping *mapping)
{
	return mapping && mapping->flags & MAPPING_ANON && mapping->flags & MAPPING_EXEC;
}

static bool v8_claims(void *state, uint64_t pc, const struct mapping *mapping, struct module *module)
{
	return is_jit(mapping) || in_blob(state, pc, mapping, module);
}

/* The words of one frame, as of the event. */
struct v8_frame {
	uint64_t fp, caller_fp, caller_pc;
	uint64_t marker, function, bytecodes, offset;
};

static bool read_frame(const struct v8 *v8, struct walk *walk, struct v8_frame *ret)
{
	const struct v8_layout *l = &v8->layout;
	bool failed = false;
	uint64_t fp = walk->regs.r[REG_FP], sp = walk->regs.r[REG_SP];
	if (!regs_known(&walk->regs, REG_FP) || fp % 8 || fp + 8 < sp || fp - sp > MAX_FRAME_BYTES)
		return false;
	ret->fp = fp;
	ret->caller_fp = memory_u64(walk->memory, fp, &failed);
	ret->caller_pc = memory_u64(walk->memory, fp + 8, &failed);
	ret->marker = memory_u64(walk->memory, fp + (uint64_t)(int64_t)l->fp_context, &failed);
	ret->function = memory_u64(walk->memory, fp + (uint64_t)(int64_t)l->fp_function, &failed);
	ret->bytecodes = memory_u64(walk->memory, fp + (uint64_t)(int64_t)l->fp_bytecode_array, &failed);
	ret->offset = memory_u64(walk->memory, fp + (uint64_t)(int64_t)l->fp_bytecode_offset, &failed);
	return !failed;
}

static bool is_typed(const struct v8_frame *frame)
{
	return !(frame->marker & 1) && frame->marker >> 1 < MAX_FRAME_TYPE;
}

bool v8_add_frame(struct v8 *v8, struct walk *walk, uint64_t pc, struct v8_function *function, int32_t position,
        enum frame_tier tier, bool inlined)
{
	struct frame *frame = walk_add(walk);
	if (!frame)
		return false;
	frame->ip = pc;
	frame->kind = FRAME_JS;
	frame->tier = (uint8_t)tier;
	frame->inlined = inlined;
	frame->name = v8_function_name(function);
	if (!frame->name)
		frame->name = intern_text(v8->names, "<anonymous>");
	frame->file = v8_function_file(function);
	frame->line = v8_function_line(v8, walk->memory, function, position);
	if (frame->file && position < 0)
		frame->how = HOW_APPROX;
	return true;
}

/* An internal frame, or a builtin that JavaScript calls: the builtin's symbol. */
static bool add_stub(struct v8 *v8, struct walk *walk, uint64_t pc, const struct mapping *mapping)
{
	struct frame *frame = walk_add(walk);
	if (!frame)
		return false;
	frame->ip = pc;
	frame->kind = FRAME_STUB;
	if (in_blob(v8, pc, mapping, v8->module)) {
		struct module *module = module_of(walk->process, mapping);
		const struct symbol *symbol = module_symbol(module, module_address(module, mapping, pc) - !walk->top);
		frame->name = symbol ? symbol->name : NULL;
		frame->module = module_path(module);
	}
	if (!frame->name)
		frame->name = intern_text(v8->names, "<v8>");
	return true;
}

/* JavaScript whose objects are not what they were: there is a frame, and that is all that is known. */
static bool add_unknown(struct v8 *v8, struct walk *walk, uint64_t pc)
{
	struct frame *frame = walk_add(walk);
	if (!frame)
		return false;
	frame->ip = pc;
	frame->kind = FRAME_JS;
	frame->how = HOW_APPROX;
	frame->name = intern_text(v8->names, "<js>");
	return true;
}

/* Whether a function's data is this bytecode array: directly, or through interpreter data or baseline code. */
static bool runs_bytecode(struct v8 *v8, struct memory *memory, uint64_t shared, uint64_t bytecodes)
{
	struct v8_object function, data;
	bool failed = false;
	if (!v8_object(v8, memory, shared, &function))
		return false;
	uint64_t word = memory_u64(memory, function.address + v8->layout.shared_data, &failed);
	if (failed || word == bytecodes)
		return !failed;
	if (!v8_object(v8, memory, word, &data))
		return false;
	uint64_t at = data.type == v8->layout.type_code ? (uint64_t)v8->layout.code_data : 8;
	return memory_u64(memory, data.address + at, &failed) == bytecodes && !failed;
}

/* A frame that the interpreter or baseline code runs: both keep the bytecode array. */
static bool add_bytecode_frame(struct v8 *v8, struct walk *walk, uint64_t pc, const struct v8_frame *frame,
        uint64_t shared, const struct v8_code *code)
{
	struct v8_object bytecodes;
	struct v8_function *function = v8_function_get(v8, walk->memory, shared);
	if (!function || !v8_object(v8, walk->memory, frame->bytecodes, &bytecodes) ||
	        bytecodes.type != v8->layout.type_bytecode ||
	        !runs_bytecode(v8, walk->memory, shared, frame->bytecodes))
		return add_unknown(v8, walk, pc);
	int64_t offset;
	if (code)
		offset = v8_baseline_offset(v8, walk->memory, code, &bytecodes, pc);
	else /* counted from the tagged pointer */
		offset =
		        v8_is_smi(frame->offset) ? v8_smi(frame->offset) - (int64_t)(v8->layout.bytecode_data - 1) : -1;
	int32_t position = offset < 0 ? -1 : v8_bytecode_position(v8, walk->memory, &bytecodes, offset);
	return v8_add_frame(v8, walk, pc, function, position, code ? TIER_BASELINE : TIER_INTERP, false);
}

static bool add_jit_frame(struct v8 *v8, struct walk *walk, uint64_t pc, const struct v8_frame *frame,
        const struct v8_object *object, uint64_t shared, const struct mapping *mapping)
{
	struct v8_code *code = v8_code_get(v8, walk->memory, pc, object->address, mapping);
	if (!code)
		return add_unknown(v8, walk, pc);
	if (v8_code_tier(v8, code) == TIER_BASELINE)
		return add_bytecode_frame(v8, walk, pc, frame, shared, code);
	return v8_code_frames(v8, walk, code, pc, v8_function_get(v8, walk->memory, shared)) ||
	       add_unknown(v8, walk, pc);
}

/* Builtins are either the interpreter at work for a function, or a function of JavaScript's own library. */
static bool add_builtin_frame(struct v8 *v8, struct walk *walk, uint64_t pc, const struct v8_frame *frame,
        uint64_t shared, const struct mapping *mapping)
{
	struct v8_object bytecodes;
	if (v8_is_smi(frame->offset) && v8_object(v8, walk->memory, frame->bytecodes, &bytecodes) &&
	        bytecodes.type == v8->layout.type_bytecode)
		return add_bytecode_frame(v8, walk, pc, frame, shared, NULL);
	return add_stub(v8, walk, pc, mapping);
}

static bool add_js_frame(
        struct v8 *v8, struct walk *walk, uint64_t pc, const struct v8_frame *frame, const struct mapping *mapping)
{
	struct v8_object function;
	bool failed = false;
	int first = v8->layout.type_function;
	if (!v8_object(v8, walk->memory, frame->function, &function) || function.type < first ||
	        function.type >= first + FUNCTION_TYPES)
		return add_unknown(v8, walk, pc);
	uint64_t shared = memory_u64(walk->memory, function.address + v8->layout.function_shared, &failed);
	if (failed)
		return add_unknown(v8, walk, pc);
	if (in_blob(v8, pc, mapping, v8->module))
		return add_builtin_frame(v8, walk, pc, frame, shared, mapping);
	return add_jit_frame(v8, walk, pc, frame, &function, shared, mapping);
}

/* V8 is entered from C++ through a frame that keeps the caller's registers below its two own words. */
static void restore_entry(const struct v8 *v8, struct walk *walk, const struct v8_frame *frame, struct regs *regs)
{
#if defined(__x86_64__)
	static const uint8_t saved[] = {X86_R12, X86_R13, X86_R14, X86_R15, X86_RBX};
	int type = (int)(frame->marker >> 1);
	if (!is_typed(frame) || (type != v8->layout.frame_entry && type != v8->layout.frame_construct_entry))
		return;
	for (unsigned i = 0; i < sizeof(saved); i++) {
		bool failed = false;
		uint64_t value = memory_u64(walk->memory, frame->fp - 24 - 8 * i, &failed);
		if (!failed)
			regs_set(regs, saved[i], value);
	}
#endif
}

static enum runtime_result v8_step(void *state, struct walk *walk)
{
	struct v8 *v8 = state;
	uint64_t pc = walk->regs.r[REG_PC];
	struct v8_frame frame;
	struct mapping *mapping = process_find(walk->process, pc);
	if (!memory_alive(walk->memory))
		return RUNTIME_GONE;
	if (!read_frame(v8, walk, &frame))
		return RUNTIME_FAILED;
	bool added = is_typed(&frame) ? add_stub(v8, walk, pc, mapping) : add_js_frame(v8, walk, pc, &frame, mapping);
	if (!added)
		return RUNTIME_FAILED;
	struct regs regs = {0};
	regs_set(&regs, REG_PC, frame.caller_pc);
	regs_set(&regs, REG_SP, frame.fp + 16);
	regs_set(&regs, REG_FP, frame.caller_fp);
	restore_entry(v8, walk, &frame, &regs);
	walk->regs = regs;
	return RUNTIME_STEPPED;
}

const struct runtime runtime_v8 = {
        .name = "v8",
        .attach = v8_attach,
        .detach = v8_detach,
        .claims = v8_claims,
        .step = v8_step,
};
