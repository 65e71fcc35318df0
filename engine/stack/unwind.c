/* One loop: who knows this program counter appends its frames and moves the registers to the caller.
 *
 * Asked in this order: a language runtime of the process; the call frame information of the module; and where there is
 * none, or it needs what is not known, one of the fallbacks, each of which marks the frames it leads to:
 *
 *     anchor  the JVM's own record of where Java was left (captured by the kernel side)
 *     fp      the frame pointer, if it points upwards, near, to a return address that follows a call
 *     scan    for generated code only: the next word on the stack that is such a return address in a file with CFI
 *
 * A stack whose end is not STACK_ROOT says why, so that nobody takes a part for the whole.
 *
 * Return addresses are looked up one byte earlier: the byte behind a call that never returns belongs to the next
 * function, or to the next row. The first frame's address, and the one that a signal interrupted, are exact.
 *
 * The stack pointer must grow with each frame. Exceptions: behind a signal frame it may be on another stack, and a
 * continuation's entry frame is empty. This alone bounds a walk over a hostile stack; steps are counted all the same.
 */
#include "engine/stack/unwind.h"

#include "engine/base/grow.h"
#include "engine/stack/place.h"
#include "engine/stack/row.h"

#include <string.h>

enum { MAX_STEPS = 2048, FP_REACH = 1 << 20, SCAN_WORDS = 128, EQUAL_SPS = 2, CALL_BYTES = 7 };

struct frame *walk_add(struct walk *walk)
{
	struct stack *stack = walk->stack;
	if (stack->nframes >= walk->depth) {
		stack->end = STACK_TRUNCATED;
		return NULL;
	}
	if (grow(&stack->frames, &stack->frames_cap, stack->nframes + 1, sizeof(*stack->frames))) {
		stack->end = STACK_NO_MEMORY;
		return NULL;
	}
	struct frame *frame = &stack->frames[stack->nframes++];
	memset(frame, 0, sizeof(*frame));
	return frame;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return ((hash ^ value) * 0x9E3779B97F4A7C15ULL) ^ (hash >> 29);
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
	for (; text && *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3ULL;
	return mix(hash, 1);
}

/* What a runtime appended, from frame `first` on: marked if how we got there needs it, and made part of the site. Names
 * and lines, not addresses: the same method may be interpreted now and compiled a moment later. */
static void account_runtime_frames(struct unwind *unwind, size_t first)
{
	struct stack *stack = unwind->walk.stack;
	for (size_t i = first; i < stack->nframes; i++) {
		struct frame *frame = &stack->frames[i];
		if (frame->how == HOW_CFI && frame->kind != FRAME_MARKER)
			frame->how = unwind->how != HOW_CFI ? unwind->how : unwind->live ? HOW_LIVE : HOW_CFI;
		if (frame->kind == FRAME_STUB || frame->kind == FRAME_MARKER)
			continue;
		stack->site = mix(mix_text(stack->site, frame->name), (uint32_t)frame->line);
	}
}

static enum frame_how how_found(const struct unwind *unwind)
{
	return unwind->how != HOW_CFI ? unwind->how : unwind->live ? HOW_LIVE : HOW_CFI;
}

static struct mapping *find_mapping(struct unwind *unwind, uint64_t pc)
{
	struct process *process = unwind->walk.process;
	struct mapping *mapping = process_find(process, pc);
	if (!mapping && process_refresh(process, unwind->stamp))
		mapping = process_find(process, pc);
	return mapping;
}

static struct module *find_module(struct unwind *unwind, const struct mapping *mapping)
{
	struct module *module = module_of(unwind->walk.process, mapping);
	if (module && unwind->debug_root)
		module_set_debug_root(module, unwind->debug_root);
	return module;
}

static bool is_from_file(const struct mapping *mapping)
{
	return mapping && !(mapping->flags & MAPPING_ANON) && mapping->file->path[0] == '/';
}

/* The frame of code that no runtime knows. `place` NULL: code that is not in a module. False: no room. */
static bool add_native(struct unwind *unwind, const struct mapping *mapping, struct module *module, struct place *place)
{
	struct walk *walk = &unwind->walk;
	struct frame *frame = walk_add(walk);
	if (!frame)
		return false;
	frame->ip = walk->regs.r[REG_PC];
	frame->how = how_found(unwind);
	frame->kind = module || is_from_file(mapping) ? FRAME_NATIVE : FRAME_UNKNOWN;
	if (!module) {
		frame->module = mapping && mapping->file->path[0] ? mapping->file->path : NULL;
		frame->offset = mapping ? frame->ip - mapping->start + mapping->offset : 0;
		return true;
	}
	uint64_t va = module_address(module, mapping, frame->ip);
	const struct symbol *symbol = place_symbol(module, place);
	frame->module = mapping->file->path;
	frame->build_id = module_build_id(module);
	frame->name = symbol ? symbol->name : NULL;
	frame->offset = symbol ? va - symbol->address : va;
	if (unwind->lines)
		place_line(module, place, &frame->file, &frame->line);
	if (!place->site)
		place->site = mix(mix_text(0xcbf29ce484222325ULL, module_path(module)), va);
	walk->stack->site = mix(walk->stack->site, place->site);
	return true;
}

/* Whether the instruction before a return address is a call: E8 rel32, or FF /2 in its forms of two to seven bytes. */
static bool is_behind_call(const uint8_t before[CALL_BYTES])
{
#if defined(__aarch64__)
	uint32_t instruction;
	memcpy(&instruction, before + CALL_BYTES - 4, 4);
	return instruction >> 26 == 0x25 || (instruction & 0xfffffc1f) == 0xd63f0000; /* bl, blr */
#else
	if (before[CALL_BYTES - 5] == 0xe8)
		return true;
	for (size_t len = 2; len <= CALL_BYTES; len++) {
		const uint8_t *at = before + CALL_BYTES - len;
		if ((at[0] & 0xf0) == 0x40 && len > 2)
			at++;
		if (at[0] == 0xff && (at[1] >> 3 & 7) == 2)
			return true;
	}
	return false;
#endif
}

/* Whether a word from the stack is a return address. `need_cfi`: into a module that can unwind there. */
static bool is_return_address(struct unwind *unwind, uint64_t pc, bool need_cfi)
{
	uint8_t before[CALL_BYTES];
	const struct mapping *mapping = process_find(unwind->walk.process, pc);
	if (!mapping || pc - mapping->start < CALL_BYTES)
		return unwind->runtimes && !need_cfi && runtimes_claim(unwind->runtimes, pc, mapping, NULL);
	struct module *module = find_module(unwind, mapping);
	if (!module)
		return !need_cfi && !memory_read(unwind->walk.memory, pc - CALL_BYTES, before, sizeof(before)) &&
		       is_behind_call(before);
	uint64_t va = module_address(module, mapping, pc);
	if (module_read(module, va - CALL_BYTES, before, sizeof(before)) || !is_behind_call(before))
		return false;
	struct place *place = need_cfi ? module_place(module, va - 1) : NULL;
	return !need_cfi || (place && place_row(module, place));
}

/* Where only program counter, stack and frame pointer are known of the caller. */
static void set_caller(struct unwind *unwind, uint64_t pc, uint64_t sp, enum frame_how how)
{
	struct regs *regs = &unwind->walk.regs;
	regs->valid = 0;
	regs_set(regs, REG_PC, pc);
	regs_set(regs, REG_SP, sp);
	unwind->how = how;
}

static bool use_anchor(struct unwind *unwind)
{
	const uint64_t *anchor = unwind->walk.anchor;
	if (!anchor || anchor[0] <= unwind->walk.regs.r[REG_SP])
		return false;
	bool failed = false;
	uint64_t pc = anchor[1] ? anchor[1] : memory_u64(unwind->walk.memory, anchor[0] - 8, &failed);
	if (failed || !unwind->runtimes || !runtimes_claim(unwind->runtimes, pc, NULL, NULL))
		return false;
	set_caller(unwind, pc, anchor[0], HOW_ANCHOR);
	if (anchor[2])
		regs_set(&unwind->walk.regs, REG_FP, anchor[2]);
	return true;
}

static bool use_frame_pointer(struct unwind *unwind)
{
	struct regs *regs = &unwind->walk.regs;
	uint64_t fp = regs->r[REG_FP], sp = regs->r[REG_SP];
	if (!regs_known(regs, REG_FP) || fp < sp || fp - sp >= FP_REACH || fp % 8)
		return false;
	bool failed = false;
	uint64_t next = memory_u64(unwind->walk.memory, fp, &failed);
	uint64_t pc = memory_u64(unwind->walk.memory, fp + 8, &failed);
	if (failed || !is_return_address(unwind, pc, false))
		return false;
	set_caller(unwind, pc, fp + 16, HOW_FP);
	regs_set(regs, REG_FP, next);
	return true;
}

static bool use_scan(struct unwind *unwind)
{
	uint64_t sp = unwind->walk.regs.r[REG_SP];
	for (unsigned i = 0; i < SCAN_WORDS; i++) {
		bool failed = false;
		uint64_t pc = memory_u64(unwind->walk.memory, sp + 8 * i, &failed);
		if (failed)
			return false;
		if (!is_return_address(unwind, pc, true))
			continue;
		set_caller(unwind, pc, sp + 8 * i + 8, HOW_SCAN);
		return true;
	}
	return false;
}

/* Moves to the caller where nothing says how. `generated`: code without a file. */
static bool fall_back(struct unwind *unwind, bool generated)
{
	return use_anchor(unwind) || use_frame_pointer(unwind) || (generated && use_scan(unwind));
}

static bool end(struct unwind *unwind, enum stack_end why)
{
	unwind->walk.stack->end = why;
	return false;
}

/* Why memory could not be read. */
static enum stack_end unreadable(const struct unwind *unwind)
{
	if (memory_exhausted(unwind->walk.memory))
		return STACK_BUDGET;
	uint64_t sp = unwind->walk.regs.r[REG_SP];
	bool near_end = sp >= unwind->copy_start && unwind->copy_end - unwind->copy_start;
	return near_end || unwind->live ? STACK_SHORT_COPY : STACK_UNREADABLE;
}

/* A program counter that nobody knows. */
static bool end_at_unknown(struct unwind *unwind)
{
	if (!process_alive(unwind->walk.process))
		return end(unwind, STACK_PROCESS_GONE);
	return end(unwind, unwind->live ? STACK_SHORT_COPY : STACK_BAD_PC);
}

/* The ABIs mark the outermost frame with a return address of 0. Anywhere but below native code whose own stack was
 * copied it is a word that happened to be 0. */
static bool end_at_zero(struct unwind *unwind)
{
	const struct stack *stack = unwind->walk.stack;
	bool native = stack->nframes && stack->frames[stack->nframes - 1].kind == FRAME_NATIVE;
	if (native && !unwind->live)
		return end(unwind, STACK_ROOT);
	return end_at_unknown(unwind);
}

/* Generated code, or a file that cannot be had any more. */
static bool step_without_module(struct unwind *unwind, const struct mapping *mapping)
{
	if (!add_native(unwind, mapping, NULL, NULL))
		return false;
	unwind->how = HOW_CFI;
	unwind->walk.top = false;
	if (fall_back(unwind, true))
		return true;
	bool gone = is_from_file(mapping) && !process_alive(unwind->walk.process);
	return end(unwind, gone ? STACK_PROCESS_GONE : STACK_NO_CFI);
}

/* Where the frame of an address is named: there, but a signal's trampoline was returned to without a call, and its
 * first byte is what the return address points to. */
static struct place *name_place(struct module *module, struct place *place, bool top)
{
	const struct row *row = place_row(module, place);
	return row && row->signal && !top ? module_place(module, place->va + 1) : place;
}

static bool step_module(struct unwind *unwind, const struct mapping *mapping, struct module *module)
{
	struct walk *walk = &unwind->walk;
	uint64_t va = module_address(module, mapping, walk->regs.r[REG_PC]) - !walk->top;
	struct place *place = module_place(module, va);
	struct place *named = place ? name_place(module, place, walk->top) : NULL;
	if (!named)
		return end(unwind, STACK_NO_MEMORY);
	if (!add_native(unwind, mapping, module, named))
		return false;
	if (named != place)
		place = module_place(module, va);
	if (!place)
		return end(unwind, STACK_NO_MEMORY);
	unwind->how = HOW_CFI;
	bool signal = false;
	enum step step = place_step(module, place, walk->memory, &walk->regs, &signal);
	walk->top = unwind->jumped = step == STEP_OK && signal;
	switch (step) {
	case STEP_OK:
		return true;
	case STEP_ROOT:
		return end(unwind, STACK_ROOT);
	case STEP_UNREADABLE:
		return end(unwind, unreadable(unwind));
	default:
		break;
	}
	if (fall_back(unwind, false))
		return true;
	return end(unwind, module_at_entry(module, va) ? STACK_ROOT : STACK_NO_CFI);
}

static bool step_runtime(struct unwind *unwind, enum runtime_result result, size_t first)
{
	account_runtime_frames(unwind, first);
	unwind->how = HOW_CFI;
	unwind->walk.top = false;
	if (unwind->walk.stack->end != STACK_ROOT)
		return false; /* no room for more */
	switch (result) {
	case RUNTIME_STEPPED:
		return true;
	case RUNTIME_GONE:
		return end(unwind, STACK_PROCESS_GONE);
	case RUNTIME_NAMED:
		return fall_back(unwind, true) || end(unwind, STACK_NO_CFI);
	default:
		/* Its tables may make sense all the same: a guess would not be better. */
		if (memory_exhausted(unwind->walk.memory))
			return end(unwind, STACK_BUDGET);
		if (memory_used_live_stack(unwind->walk.memory))
			return end(unwind, STACK_SHORT_COPY);
		return fall_back(unwind, true) || end(unwind, STACK_RUNTIME);
	}
}

/* One physical frame. False: the walk is over, and stack->end says why. */
static bool step(struct unwind *unwind)
{
	struct walk *walk = &unwind->walk;
	uint64_t pc = walk->regs.r[REG_PC];
	if (!regs_known(&walk->regs, REG_PC) || !pc)
		return end_at_zero(unwind);
	struct mapping *mapping = find_mapping(unwind, pc);
	struct module *module = mapping ? find_module(unwind, mapping) : NULL;
	if (unwind->runtimes) {
		size_t first = walk->stack->nframes;
		enum runtime_result result = runtimes_step(unwind->runtimes, walk, mapping, module);
		if (result != RUNTIME_NOT_MINE)
			return step_runtime(unwind, result, first);
	}
	if (module)
		return step_module(unwind, mapping, module);
	unwind->generated = true;
	if (mapping)
		return step_without_module(unwind, mapping);
	/* The first address is shown whatever it is. */
	if (!walk->stack->nframes && !add_native(unwind, NULL, NULL, NULL))
		return false;
	return end_at_unknown(unwind);
}

static bool stack_pointer_grew(struct unwind *unwind)
{
	uint64_t sp = unwind->walk.regs.r[REG_SP];
	bool grew = sp > unwind->previous_sp || unwind->jumped ||
	            (sp == unwind->previous_sp && unwind->equal_sps++ < EQUAL_SPS);
	unwind->previous_sp = sp;
	return grew;
}

void unwind_stack(struct unwind *unwind)
{
	struct stack *stack = unwind->walk.stack;
	stack->nframes = 0;
	stack->site = 0;
	stack->end = STACK_ROOT; /* walk_add() and end() say otherwise */
	unwind->walk.top = true;
	unwind->previous_sp = unwind->walk.regs.r[REG_SP];
	unwind->how = HOW_CFI;
	unwind->equal_sps = 0;
	unwind->live = unwind->jumped = unwind->generated = false;
	for (unsigned steps = 0; steps < MAX_STEPS; steps++) {
		uint64_t sp = unwind->walk.regs.r[REG_SP];
		bool copied = sp >= unwind->copy_start && sp < unwind->copy_end;
		unwind->jumped = false;
		if (!step(unwind))
			return;
		unwind->live |= !copied || memory_used_live_stack(unwind->walk.memory);
		if (!stack_pointer_grew(unwind)) {
			stack->end = STACK_SP_BACKWARDS;
			return;
		}
	}
	stack->end = STACK_BUDGET;
}
