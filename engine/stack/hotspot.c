/* HotSpot JVMs, JDK 8 and later: Java frames of a running process, without an agent, a flag or a restart.
 *
 * Everything needed is read from the process's memory, guided by the tables that libjvm carries for its own
 * serviceability agent:
 *
 *     hotspot_layout.c       vmStructs: where which field is in this build
 *     hotspot_code.c         code cache: pc → piece of code (CodeBlob)
 *     hotspot_scope.c        compiled code: pc → chain of inlined methods
 *     hotspot_method.c       Method* → class, name, file, line
 *     hotspot_pc.c           pc → all of that together, kept in
 *     hotspot_cache.c        … the cache, which proves after each walk that what it gave was true
 *     hotspot_step.c         registers of a frame → registers of its caller
 *     hotspot_interpreter.c  … of the interpreter's frames
 *     hotspot_leaf.c         … of a frame interrupted in its prologue or epilogue
 *     hotspot_thread.c       thread id → JavaFrameAnchor, for the kernel side
 *
 * The process goes on while we read. A method that is on a stack cannot be freed, but the stack is some milliseconds
 * old. So nothing is taken for granted: pointers are checked, walks are bounded, and facts are compared anew after each
 * walk. */
#include "engine/stack/hotspot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void detach(void *state)
{
	struct hotspot *hs = state;
	if (!hs)
		return;
	hs_methods_free(hs->methods);
	hs_cache_free(hs->cache);
	free(hs);
}

static int init(struct hotspot *hs, struct process *process, struct memory *memory, struct intern *names)
{
	hs->process = process;
	hs->names = names;
	int r = hs_layout_read(&hs->layout, process, memory);
	if (r < 0)
		return r;
	r = hs_code_refresh(&hs->code, &hs->layout, memory);
	if (r < 0)
		return r;
	hs->methods = hs_methods_new(&hs->layout, names);
	hs->cache = hs_cache_new();
	return hs->methods && hs->cache ? 0 : -ENOMEM;
}

static void *attach(struct process *process, struct memory *memory, struct intern *names, bool *ret_retry)
{
	struct hotspot *hs = calloc(1, sizeof(*hs));
	if (!hs)
		return NULL;
	int r = init(hs, process, memory, names);
	if (r == 0)
		return hs;
	if (r == -EAGAIN || (r == -EFAULT && memory_alive(memory)))
		*ret_retry = true;
	detach(hs);
	return NULL;
}

static bool claims(void *state, uint64_t pc, const struct mapping *mapping, struct module *module)
{
	struct hotspot *hs = state;
	return hs_code_contains(&hs->code, pc);
}

static enum runtime_result step(void *state, struct walk *walk)
{
	return hs_step(state, walk);
}

/* Frames from the cache that could not be proven, because the process has gone: most likely right, and marked. */
static void mark_unproven(struct stack *stack)
{
	for (size_t i = 0; i < stack->nframes; i++) {
		struct frame *frame = &stack->frames[i];
		if (frame->kind == FRAME_JAVA && frame->how == HOW_CFI)
			frame->how = HOW_APPROX;
	}
}

static bool is_readable(const struct hotspot *hs, struct memory *memory)
{
	uint64_t value;
	uint64_t address = hs->layout.at.code_heaps ? hs->layout.at.code_heaps : hs->layout.at.code_heap;
	struct memory_part part = {address, &value, sizeof(value)};
	return memory_alive(memory) && memory_read_many(memory, &part, 1) == 0;
}

static bool validate(void *state, struct walk *walk)
{
	struct hotspot *hs = state;
	enum hs_validity validity = hs_cache_validate(hs->cache, walk->memory);
	hs->refreshed = hs->entered = false;
	if (validity == HS_VALID)
		return true;
	if (validity == HS_UNREADABLE) {
		if (!is_readable(hs, walk->memory)) {
			mark_unproven(walk->stack);
			return true;
		}
		hs_cache_clear(hs->cache); /* some of it is unmapped by now */
		hs_methods_clear(hs->methods);
	}
	return false;
}

static void threads(
        void *state, struct memory *memory, void (*set)(void *user, uint32_t tid, uint64_t anchor), void *user)
{
	hs_threads(state, memory, set, user);
}

const struct runtime runtime_hotspot = {
        .name = "hotspot",
        .attach = attach,
        .detach = detach,
        .claims = claims,
        .step = step,
        .validate = validate,
        .threads = threads,
};
