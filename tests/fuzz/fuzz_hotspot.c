/* HotSpot's decoders on a JVM whose memory is whatever the fuzzer makes of it.
 *
 * The input begins with a few registers, then come patches, (distance, bytes), applied to a well-formed made-up JVM: so
 * that the fuzzer starts from structures that lead somewhere. Whatever they are turned into, a walk ends, within its
 * budget, with frames that can be printed. */
#include "tests/unit/hotspot_world.h"

#include <unistd.h>

enum { STACK_BYTES = 0x4000, MAX_STEPS = 256, DEPTH = 128 };

/* One of each kind, 16 segments apart: 0x800 bytes. */
static void put_code(struct jvm *jvm)
{
	static const char *const names[] = {"native nmethod", "Interpreter", "StubRoutines (1)", "RuntimeStub",
	        "StubRoutines (continuation stubs)", "upcall_stub", "I2C/C2I adapters"};
	put_nmethod(jvm); /* at segment 16 */
	for (unsigned i = 0; i < 7; i++)
		put_blob(jvm, 32 + 16 * i, names[i], 0x780, i == 0 || i == 3 ? 6 : 0);
	jvm->hs.code.continuation_return = HEAP + (32 << SEGMENT_SHIFT) + 0x200;
	jvm->hs.code.call_stub_return = HEAP + (64 << SEGMENT_SHIFT) + 0x200;
	for (unsigned i = 0; i < 2; i++)
		put_method(jvm, i, "a/Class", "method", 0, 7);
}

static uint32_t take(const uint8_t **data, size_t *size, size_t n)
{
	uint32_t value = 0;
	if (*size < n) {
		*size = 0;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		value |= (uint32_t)(*data)[i] << (8 * i);
	*data += n;
	*size -= n;
	return value;
}

/* Touches all of every frame, as a sink would. */
static void look(const struct stack *stack)
{
	volatile size_t seen = 0;
	for (size_t i = 0; i < stack->nframes; i++) {
		const struct frame *frame = &stack->frames[i];
		seen += frame->name ? strlen(frame->name) : 0;
		seen += frame->file ? strlen(frame->file) : 0;
		seen += frame->signature ? strlen(frame->signature) : 0;
	}
}

static void walk_all(struct hotspot *hs, struct walk *walk)
{
	for (int step = 0; step < MAX_STEPS && walk->stack->nframes < DEPTH; step++) {
		uint64_t sp = walk->regs.r[REG_SP];
		if (!runtime_hotspot.claims(hs, walk->regs.r[REG_PC], NULL, NULL) ||
		        hs_step(hs, walk) != RUNTIME_STEPPED || walk->regs.r[REG_SP] < sp)
			break;
		walk->top = false;
	}
	look(walk->stack);
	runtime_hotspot.validate(hs, walk);
}

static void patch(struct world *world, const uint8_t *data, size_t size)
{
	uint32_t at = 0;
	while (size) {
		at += take(&data, &size, 3);
		uint32_t n = 1 + take(&data, &size, 1) % 16;
		for (uint32_t i = 0; i < n && size; i++, at++)
			world->bytes[at % WORLD_SIZE] = (uint8_t)take(&data, &size, 1);
	}
}

/* A JVM is made once for each layout; an input gets its memory as it was at first, and empty caches. */
static struct jvm *fresh_jvm(const struct hs_layout *layout)
{
	static struct jvm *jvms[2];
	static struct world worlds[2];
	unsigned i = layout == &layout_25;
	if (!jvms[i]) {
		jvms[i] = jvm_new(layout);
		put_code(jvms[i]);
		worlds[i] = jvms[i]->world;
	}
	jvms[i]->world = worlds[i];
	hs_cache_clear(jvms[i]->hs.cache);
	hs_methods_clear(jvms[i]->hs.methods);
	return jvms[i];
}

static void run(const struct hs_layout *layout, struct process *process, const uint8_t *data, size_t size)
{
	struct jvm *jvm = fresh_jvm(layout);
	struct stack stack = {0};
	struct walk walk = {.process = process,
	        .memory = jvm->memory,
	        .names = jvm->names,
	        .stack = &stack,
	        .depth = DEPTH,
	        .top = take(&data, &size, 1) & 1};

	regs_set(&walk.regs, REG_PC, HEAP + take(&data, &size, 2));
	regs_set(&walk.regs, REG_SP, STACK + (take(&data, &size, 2) & (STACK_BYTES - 8)));
	regs_set(&walk.regs, REG_FP, STACK + (take(&data, &size, 2) & (STACK_BYTES - 8)));
	patch(&jvm->world, data, size);
	for (int again = 0; again < 2; again++) { /* the second from the caches */
		struct walk copy = walk;
		stack.nframes = 0;
		memory_begin(jvm->memory, 1, true, jvm->world.bytes + (STACK - WORLD_BASE), STACK, STACK_BYTES,
		        STACK + STACK_BYTES);
		walk_all(&jvm->hs, &copy);
	}
	free(stack.frames);
}

/* The mappings of this process stand for those of the target. */
static struct process *own_process(void)
{
	static struct proc_table *table;
	struct proc_options options = {0};
	if (!table && proc_table_open(&table, &options, NULL) < 0)
		abort();
	return proc_table_get(table, getpid(), 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run(&layout_17, own_process(), data, size);
	run(&layout_25, own_process(), data, size);
	return 0;
}
