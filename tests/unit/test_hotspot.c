/* HotSpot's decoders against a made-up JVM: what is right is read right, and what is hostile ends, with a reason. */
#include "engine/stack/hotspot.h"
#include "engine/stack/hotspot_scope.h"
#include "engine/stack/unsigned5.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/hotspot_world.h"

static int setup_17(void **state)
{
	*state = jvm_new(&layout_17);
	return 0;
}

static int setup_25(void **state)
{
	*state = jvm_new(&layout_25);
	return 0;
}

static int setup_8(void **state)
{
	struct hs_layout layout = layout_8();
	*state = jvm_new(&layout);
	return 0;
}

static int setup_24(void **state)
{
	struct hs_layout layout = layout_24();
	*state = jvm_new(&layout);
	return 0;
}

static int teardown(void **state)
{
	jvm_free(*state);
	return 0;
}

/* --- UNSIGNED5 --- */

/* Every number comes back from its bytes, with and without the excluded byte. */
static void test_unsigned5_values(void **state)
{
	static const uint32_t more[] = {0xfff, 0x12345, 0xffffff, 0x7fffffff, 0x80000000, 0xffffffff};
	for (uint8_t excluded = 0; excluded < 2; excluded++)
		for (uint32_t i = 0; i < 100000 + 6; i++) {
			uint8_t bytes[5];
			uint32_t value = i < 100000 ? i : more[i - 100000];
			size_t n = encode(value, excluded, bytes);
			struct unsigned5 in = {.at = bytes, .end = bytes + n, .excluded = excluded};
			assert_int_equal(unsigned5_read(&in), value);
			assert_false(in.failed);
			assert_ptr_equal(in.at, in.end);
		}
}

/* A number cut short, or with an excluded byte in it, fails, and so does every later one. */
static void test_unsigned5_broken(void **state)
{
	static const uint8_t cut[] = {200, 200}, zero[] = {0, 7};
	struct unsigned5 in = {.at = cut, .end = cut + sizeof(cut)};
	assert_int_equal(unsigned5_read(&in), 0);
	assert_true(in.failed);
	in = (struct unsigned5){.at = zero, .end = zero + sizeof(zero), .excluded = 1};
	assert_int_equal(unsigned5_read(&in), 0);
	assert_int_equal(unsigned5_read(&in), 0);
	assert_true(in.failed);
}

static void test_unsigned5_signed(void **state)
{
	static const uint8_t bytes[] = {0, 1, 2, 3, 4};
	struct unsigned5 in = {.at = bytes, .end = bytes + sizeof(bytes)};
	static const int32_t expected[] = {0, -1, 1, -2, 2};
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(unsigned5_read_signed(&in), expected[i]);
}

/* --- lines --- */

/* An exact entry wins over a later one that is nearer; without one, the last before the bci. */
static void test_line_table(void **state)
{
	static const uint8_t table[] = {3, 4 << 3 | 2, 6 << 3 | 1, 0xff, 3, 2, 0}; /* 0:3 4:5 10:6 8:7 */
	assert_int_equal(hs_line_table_find(table, sizeof(table), 0, 0), 3);
	assert_int_equal(hs_line_table_find(table, sizeof(table), 0, 3), 3);
	assert_int_equal(hs_line_table_find(table, sizeof(table), 0, 4), 5);
	assert_int_equal(hs_line_table_find(table, sizeof(table), 0, 10), 6);
	assert_int_equal(hs_line_table_find(table, sizeof(table), 0, 9), 7);
	assert_int_equal(hs_line_table_find(table, sizeof(table), 0, 99), 6);
	assert_int_equal(hs_line_table_find(table, sizeof(table), 0, -1), 3);
	assert_int_equal(hs_line_table_find(NULL, 0, 0, 4), 0);
	assert_int_equal(hs_line_table_find((const uint8_t *)"\xff\xff", 2, 0, 4), 0);
}

/* --- code cache --- */

/* Every pc of a blob finds it, however many hops its segment is away; pcs outside of it find nothing. */
static void test_find_blob(void **state)
{
	struct jvm *jvm = *state;
	struct hs_blob found;
	uint64_t blob = put_blob(jvm, 4, "RuntimeStub - x", BLOB_BYTES, 3);
	for (uint64_t pc = blob; pc < blob + BLOB_BYTES; pc++) {
		assert_int_equal(hs_code_find(&jvm->hs.code, &jvm->hs.layout, jvm->memory, jvm->names, pc, &found), 0);
		assert_int_equal(found.start, blob);
	}
	assert_int_equal(found.kind, HS_SIZED);
	assert_int_equal(found.frame_words, 3);
	assert_int_equal(found.code, blob + CODE_OFFSET);
	assert_string_equal(found.name, "RuntimeStub - x");
	assert_int_equal(hs_code_find(&jvm->hs.code, &jvm->hs.layout, jvm->memory, jvm->names, HEAP, &found), -ENOENT);
	assert_int_equal(
	        hs_code_find(&jvm->hs.code, &jvm->hs.layout, jvm->memory, jvm->names, HEAP - 1, &found), -ENOENT);
}

/* A block that was freed is no code, though its bytes are still there. */
static void test_freed_block(void **state)
{
	struct jvm *jvm = *state;
	struct hs_blob found;
	uint64_t blob = put_blob(jvm, 4, "nmethod", BLOB_BYTES, 3);
	world_put8(&jvm->world,
	        blob - (uint32_t)jvm->hs.layout.size.heap_block + (uint32_t)jvm->hs.layout.off.block_used, 0);
	assert_int_equal(
	        hs_code_find(&jvm->hs.code, &jvm->hs.layout, jvm->memory, jvm->names, blob + CODE_OFFSET, &found),
	        -ENOENT);
}

/* A segment map that leads before its own start, and a blob that does not contain the pc that led to it, are refused.
 */
static void test_hostile_segment_map(void **state)
{
	struct jvm *jvm = *state;
	struct hs_blob found;
	uint64_t blob = put_blob(jvm, 4, "nmethod", BLOB_BYTES, 3);
	world_put8(&jvm->world, SEGMAP + 5, 6);
	assert_int_equal(
	        hs_code_find(&jvm->hs.code, &jvm->hs.layout, jvm->memory, jvm->names, blob + 0x90, &found), -EPROTO);
	world_put8(&jvm->world, SEGMAP + 5, 1);
	world_put32(&jvm->world, blob + (uint32_t)jvm->hs.layout.off.blob_size, 0x50);
	next_event(jvm);
	assert_int_equal(
	        hs_code_find(&jvm->hs.code, &jvm->hs.layout, jvm->memory, jvm->names, blob + 0x90, &found), -EPROTO);
	world_put32(&jvm->world, blob + (uint32_t)jvm->hs.layout.off.blob_size, BLOB_BYTES);
	world_put32(&jvm->world, blob + (uint32_t)jvm->hs.layout.off.blob_frame_size, 0x7fffffff);
	next_event(jvm);
	assert_int_equal(
	        hs_code_find(&jvm->hs.code, &jvm->hs.layout, jvm->memory, jvm->names, blob + 0x90, &found), -EPROTO);
}

/* --- methods --- */

static void test_method(void **state)
{
	struct jvm *jvm = *state;
	bool fresh;
	uint64_t address = put_method(jvm, 0, "java/util/List", "<init>", 0, 40);
	const struct hs_method *method = hs_method_get(jvm->hs.methods, jvm->memory, address, &fresh);
	assert_non_null(method);
	assert_true(fresh);
	assert_string_equal(method->name, "java.util.List.<init>");
	assert_string_equal(method->signature, "(I)V");
	assert_string_equal(method->file, "Source.java");
	assert_int_equal(hs_method_line(&jvm->hs.layout, method, 0), 40);
	assert_int_equal(hs_method_line(&jvm->hs.layout, method, 4), 40);
	assert_int_equal(hs_method_line(&jvm->hs.layout, method, 5), 41);
	assert_ptr_equal(hs_method_get(jvm->hs.methods, jvm->memory, address, &fresh), method);
	assert_false(fresh);
}

/* A hidden class is named as Java names it. */
static void test_hidden_class(void **state)
{
	struct jvm *jvm = *state;
	bool fresh;
	uint64_t address = put_method(jvm, 0, "a/B$$Lambda+0x00007f00", "run", 0x100, 1);
	const struct hs_method *method = hs_method_get(jvm->hs.methods, jvm->memory, address, &fresh);
	assert_string_equal(method->name, "a.B$$Lambda/0x00007f00.run");
	assert_int_equal(hs_method_line(&jvm->hs.layout, method, 0), -2);
}

/* Pointers that lead nowhere are no method, and nothing of them stays in the cache. */
static void test_no_method(void **state)
{
	struct jvm *jvm = *state;
	bool fresh;
	static const uint64_t none[] = {0, 7, 8, WORLD_BASE + WORLD_SIZE, UINT64_MAX - 7, METHODS};
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_null(hs_method_get(jvm->hs.methods, jvm->memory, none[i], &fresh));
	uint64_t address = put_method(jvm, 0, "A", "f", 0, 1);
	next_event(jvm);
	assert_non_null(hs_method_get(jvm->hs.methods, jvm->memory, address, &fresh));
}

/* --- compiled methods --- */

static int find_scopes(struct jvm *jvm, uint64_t blob, uint64_t pc, struct hs_scopes *ret)
{
	struct hs_blob found;
	struct hs_debug_info info;
	next_event(jvm);
	int r = hs_code_find(&jvm->hs.code, &jvm->hs.layout, jvm->memory, jvm->names, blob + CODE_OFFSET, &found);
	r = r ? r : hs_debug_info_read(&jvm->hs.layout, jvm->memory, &found, &info);
	return r ? r : hs_scopes_find(&jvm->hs.layout, jvm->memory, &found, &info, pc, ret);
}

static void test_scopes(void **state)
{
	struct jvm *jvm = *state;
	struct hs_scopes scopes;
	uint64_t blob = put_nmethod(jvm), code = blob + CODE_OFFSET;
	assert_int_equal(find_scopes(jvm, blob, code + 0x40, &scopes), 0);
	assert_true(scopes.exact);
	assert_int_equal(scopes.n, 2);
	assert_int_equal(scopes.scope[0].method, METHODS + METHOD_ROOM);
	assert_int_equal(scopes.scope[0].bci, 6);
	assert_int_equal(scopes.scope[1].method, METHODS);
	assert_int_equal(scopes.scope[1].bci, 3);

	assert_int_equal(find_scopes(jvm, blob, code + 0x10, &scopes), 0);
	assert_int_equal(scopes.n, 1);
	assert_int_equal(scopes.scope[0].bci, 0);
	/* Between two described pcs: what both have, and it is told. */
	assert_int_equal(find_scopes(jvm, blob, code + 0x11, &scopes), 0);
	assert_false(scopes.exact);
	assert_int_equal(scopes.n, 1);
	assert_int_equal(scopes.scope[0].method, METHODS);
	/* Before the first: the compiled method. */
	assert_int_equal(find_scopes(jvm, blob, code + 0x1, &scopes), 0);
	assert_int_equal(scopes.n, 1);
	/* After the last: nothing. */
	assert_int_equal(find_scopes(jvm, blob, code + 0x41, &scopes), -ENOENT);
}

/* A scope that names itself, or a later one, as its caller ends the walk instead of going round. */
static void test_circular_scopes(void **state)
{
	struct jvm *jvm = *state;
	struct hs_scopes scopes;
	uint64_t blob = put_nmethod(jvm);
	uint64_t at = places_of(&jvm->hs.layout, blob).scopes;
	for (uint32_t sender = 9; sender < 12; sender++) {
		struct scope_bytes self = scope(jvm, sender, 1, 3);
		world_put(&jvm->world, at + 9, self.bytes, self.n);
		assert_int_equal(find_scopes(jvm, blob, blob + CODE_OFFSET + 0x40, &scopes), -EPROTO);
	}
	struct scope_bytes beyond = scope(jvm, 0, 3, 3); /* a method that is not in the metadata, where it has an end */
	world_put(&jvm->world, at + 9, beyond.bytes, beyond.n);
	if (jvm->hs.layout.off.blob_mutable_data != HS_ABSENT)
		assert_int_equal(find_scopes(jvm, blob, blob + CODE_OFFSET + 0x40, &scopes), -EPROTO);
}

/* Sizes of two thousand million are refused, not read. */
static void test_huge_sizes(void **state)
{
	struct jvm *jvm = *state;
	const struct hs_offsets *off = &jvm->hs.layout.off;
	struct hs_scopes scopes;
	bool narrow = off->nmethod_immutable_data != HS_ABSENT; /* 16 bits there */
	const int32_t fields[] = {off->nmethod_scopes_pcs_offset, off->nmethod_immutable_data_size,
	        off->nmethod_scopes_data_offset, off->nmethod_dependencies_offset, off->nmethod_metadata_offset,
	        off->blob_mutable_data_size, off->blob_relocation_size};
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		uint64_t blob = put_nmethod(jvm);
		if (fields[i] == HS_ABSENT || (narrow && fields[i] == off->nmethod_metadata_offset))
			continue;
		world_put32(&jvm->world, blob + (uint32_t)fields[i], 0x80000000);
		assert_int_equal(find_scopes(jvm, blob, blob + CODE_OFFSET + 0x40, &scopes), -EPROTO);
	}
}

/* --- steps --- */

static struct walk begin_walk(struct jvm *jvm, struct stack *stack, uint64_t pc, uint64_t sp, uint64_t fp)
{
	struct walk walk = {.memory = jvm->memory, .names = jvm->names, .stack = stack, .depth = 100};
	next_event(jvm);
	stack->nframes = 0;
	regs_set(&walk.regs, REG_PC, pc);
	regs_set(&walk.regs, REG_SP, sp);
	regs_set(&walk.regs, REG_FP, fp);
	return walk;
}

/* A compiled frame is its inlined methods, innermost first, and its caller is two words from its top. */
static void test_step_compiled(void **state)
{
	struct jvm *jvm = *state;
	struct stack stack = {0};
	uint64_t blob = put_nmethod(jvm);
	struct walk walk = begin_walk(jvm, &stack, blob + CODE_OFFSET + 0x40, STACK, 0);
	world_put64(&jvm->world, STACK + 32, 0xf00);
	world_put64(&jvm->world, STACK + 40, 0xbeef);
	for (int again = 0; again < 2; again++) { /* decoded, then from the cache */
		assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_STEPPED);
		assert_int_equal(stack.nframes, 2);
		assert_string_equal(stack.frames[0].name, "Inner.b");
		assert_int_equal(stack.frames[0].line, 21);
		assert_true(stack.frames[0].inlined);
		assert_string_equal(stack.frames[1].name, "Outer.a");
		assert_int_equal(stack.frames[1].line, 10);
		assert_int_equal(stack.frames[1].tier, TIER_C2);
		assert_false(stack.frames[1].inlined);
		assert_int_equal(walk.regs.r[REG_PC], 0xbeef);
		assert_int_equal(walk.regs.r[REG_FP], 0xf00);
		assert_int_equal(walk.regs.r[REG_SP], STACK + 48);
		assert_false(regs_known(&walk.regs, 3));
		walk = begin_walk(jvm, &stack, blob + CODE_OFFSET + 0x40, STACK, 0);
	}
	free(stack.frames);
}

/* A return address that was patched to the deoptimisation handler: where the frame was is in the frame, and it is told.
 */
static void test_step_deoptimised(void **state)
{
	struct jvm *jvm = *state;
	struct stack stack = {0};
	uint64_t blob = put_nmethod(jvm);
	world_put64(&jvm->world, STACK + 0x18, blob + CODE_OFFSET + 0x10);
	struct walk walk = begin_walk(jvm, &stack, blob + 0x300, STACK, 0);
	assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_STEPPED);
	assert_int_equal(stack.nframes, 1);
	assert_string_equal(stack.frames[0].name, "Outer.a");
	assert_int_equal(stack.frames[0].how, HOW_DEOPT);
	/* … and a frame that says it was in the handler goes nowhere. */
	world_put64(&jvm->world, STACK + 0x18, blob + 0x300);
	walk = begin_walk(jvm, &stack, blob + 0x300, STACK, 0);
	assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_FAILED);
	free(stack.frames);
}

/* Where the interpreter keeps its place, below the frame pointer: src/hotspot/cpu/CPU/frame_CPU.hpp. */
#if defined(__aarch64__)
enum { BCP_BYTES = 72, BCP_BYTES_8 = 56 };
#else
enum { BCP_BYTES = 64, BCP_BYTES_8 = 56 };
#endif

/* The interpreter's frame says which method and bytecode; the caller's stack pointer is the saved one. */
static void test_step_interpreter(void **state)
{
	struct jvm *jvm = *state;
	struct stack stack = {0};
	uint64_t blob = put_blob(jvm, 4, "Interpreter", BLOB_BYTES, 0), fp = STACK + 0x100;
	uint64_t method = put_method(jvm, 0, "p/Main", "run", 0, 30);
	world_put64(&jvm->world, fp, 0xf00);
	world_put64(&jvm->world, fp + 8, 0xbeef);
	world_put64(&jvm->world, fp - 8, STACK + 0x140);
	world_put64(&jvm->world, fp - 24, method);
	unsigned slot = jvm->hs.layout.major >= 9 ? BCP_BYTES : BCP_BYTES_8;
	world_put64(&jvm->world, fp - slot, method + 0x100 + (uint32_t)jvm->hs.layout.size.const_method + 7);
	struct walk walk = begin_walk(jvm, &stack, blob + CODE_OFFSET, STACK + 0x80, fp);
	assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_STEPPED);
	assert_int_equal(stack.nframes, 1);
	assert_string_equal(stack.frames[0].name, "p.Main.run");
	assert_int_equal(stack.frames[0].line, 31);
	assert_int_equal(stack.frames[0].tier, TIER_INTERP);
	assert_int_equal(walk.regs.r[REG_PC], 0xbeef);
	assert_int_equal(walk.regs.r[REG_SP], STACK + 0x140);
	/* A saved stack pointer that does not grow, and a frame pointer that is not on the stack, are refused. */
	world_put64(&jvm->world, fp - 8, STACK + 0x80);
	walk = begin_walk(jvm, &stack, blob + CODE_OFFSET, STACK + 0x80, fp);
	assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_FAILED);
	walk = begin_walk(jvm, &stack, blob + CODE_OFFSET, STACK + 0x80, STACK + 0x40);
	assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_FAILED);
	free(stack.frames);
}

/* call_stub gives C++ its registers back. */
static void test_step_call_stub(void **state)
{
	struct jvm *jvm = *state;
	struct stack stack = {0};
	uint64_t blob = put_blob(jvm, 4, "StubRoutines (1)", BLOB_BYTES, 0), fp = STACK + 0x100;
	jvm->hs.code.call_stub_return = blob + CODE_OFFSET;
	world_put64(&jvm->world, fp, 0xf00);
	world_put64(&jvm->world, fp + 8, 0xbeef);
	world_put64(&jvm->world, fp - 56, 0x111);
	world_put64(&jvm->world, fp - 88, 0x555);
	struct walk walk = begin_walk(jvm, &stack, blob + CODE_OFFSET, STACK + 0x80, fp);
	assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_STEPPED);
	assert_string_equal(stack.frames[0].name, "call_stub");
	assert_int_equal(stack.frames[0].kind, FRAME_STUB);
	assert_int_equal(walk.regs.r[REG_SP], fp + 16);
#if defined(__x86_64__)
	assert_int_equal(walk.regs.r[X86_RBX], 0x111);
	assert_int_equal(walk.regs.r[X86_R15], 0x555);
#endif
	free(stack.frames);
}

#if defined(__x86_64__)
/* Interrupted while it pushes its slots, the interpreter has the rest in registers; what lies below the stack pointer is
 * not looked at. */
static void test_step_unfinished_interpreter(void **state)
{
	struct jvm *jvm = *state;
	struct stack stack = {0};
	uint64_t blob = put_blob(jvm, 4, "Interpreter", BLOB_BYTES, 0), fp = STACK + 0x100;
	uint64_t method = put_method(jvm, 0, "p/Main", "run", 0, 30);
	world_put64(&jvm->world, fp, 0xf00);
	world_put64(&jvm->world, fp + 8, blob + CODE_OFFSET + 4);
	world_put64(&jvm->world, fp - 8, STACK + 0x140);
	world_put64(&jvm->world, fp - 24, put_method(jvm, 1, "p/Stale", "old", 0, 50));
	struct walk walk = begin_walk(jvm, &stack, blob + CODE_OFFSET, fp - 16, fp);
	walk.top = true;
	regs_set(&walk.regs, X86_RBX, method);
	regs_set(&walk.regs, X86_R13, method + 0x100);
	assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_STEPPED);
	assert_int_equal(stack.nframes, 1);
	assert_string_equal(stack.frames[0].name, "p.Main.run");
	assert_int_equal(stack.frames[0].line, 30);
	assert_int_equal(stack.frames[0].how, HOW_APPROX);
	assert_int_equal(walk.regs.r[REG_PC], blob + CODE_OFFSET + 4);
	assert_int_equal(walk.regs.r[REG_SP], STACK + 0x140);
	assert_int_equal(walk.regs.r[REG_FP], 0xf00);
	free(stack.frames);
}
#endif

/* Below call_stub the anchor of the Java frame that called out before is the next to go to; one that leads backwards is
 * not taken. */
static void test_outer_anchor(void **state)
{
	struct jvm *jvm = *state;
	struct stack stack = {0};
	uint64_t blob = put_blob(jvm, 4, "StubRoutines (1)", BLOB_BYTES, 0), fp = STACK + 0x100;
	uint64_t wrapper = STACK + 0x300, anchor = wrapper + (uint32_t)jvm->hs.layout.off.wrapper_anchor;
	jvm->hs.code.call_stub_return = blob + CODE_OFFSET;
	world_put64(&jvm->world, fp + (uint64_t)(8LL * jvm->hs.layout.call_wrapper_slot), wrapper);
	for (uint64_t sp = STACK; sp <= STACK + 0x800; sp += 0x800) {
		world_put64(&jvm->world, anchor, sp);
		world_put64(&jvm->world, anchor + 8, 0xabc);
		struct walk walk = begin_walk(jvm, &stack, blob + CODE_OFFSET, STACK + 0x80, fp);
		assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_STEPPED);
		if (sp < fp) {
			assert_null(walk.anchor);
			continue;
		}
		assert_int_equal(walk.anchor[0], sp);
		assert_int_equal(walk.anchor[1], 0xabc);
	}
	free(stack.frames);
}

/* A first frame that is not where the thread's own anchor says is marked. */
static void test_anchor_disagrees(void **state)
{
	struct jvm *jvm = *state;
	struct stack stack = {0};
	uint64_t blob = put_nmethod(jvm), anchor[3] = {STACK};
	for (unsigned wrong = 0; wrong < 2; wrong++) {
		struct walk walk = begin_walk(jvm, &stack, blob + CODE_OFFSET + 0x40, STACK, 0);
		anchor[0] = STACK + 0x20 * wrong;
		walk.anchor = anchor;
		assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_STEPPED);
		assert_int_equal(stack.frames[0].how, wrong ? HOW_APPROX : HOW_CFI);
		assert_true(runtime_hotspot.validate(&jvm->hs, &walk));
	}
	free(stack.frames);
}

/* --- the cache --- */

/* Code that was replaced by other code at the same place is noticed after the walk, and named anew in the next. */
static void test_stale_code(void **state)
{
	struct jvm *jvm = *state;
	struct stack stack = {0};
	uint64_t blob = put_nmethod(jvm), pc = blob + CODE_OFFSET + 0x10;
	struct walk walk = begin_walk(jvm, &stack, pc, STACK, 0);
	assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_STEPPED);
	assert_true(runtime_hotspot.validate(&jvm->hs, &walk));
	put_method(jvm, 0, "Other", "z", 0, 50);
	hs_methods_clear(jvm->hs.methods);
	world_put32(&jvm->world, blob + (uint32_t)jvm->hs.layout.off.nmethod_compile_id, 78);

	walk = begin_walk(jvm, &stack, pc, STACK, 0);
	assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_STEPPED);
	assert_false(runtime_hotspot.validate(&jvm->hs, &walk));
	walk = begin_walk(jvm, &stack, pc, STACK, 0);
	assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_STEPPED);
	assert_string_equal(stack.frames[0].name, "Other.z");
	assert_true(runtime_hotspot.validate(&jvm->hs, &walk));
	free(stack.frames);
}

/* The same for an interpreted method whose class is another now. */
static void test_stale_method(void **state)
{
	struct jvm *jvm = *state;
	bool fresh;
	uint64_t address = put_method(jvm, 0, "A", "f", 0, 1);
	struct hs_method *method = hs_method_get(jvm->hs.methods, jvm->memory, address, &fresh);
	hs_cache_rely_on_method(jvm->hs.cache, &jvm->hs.layout, method);
	assert_int_equal(hs_cache_validate(jvm->hs.cache, jvm->memory), HS_VALID);
	put_symbol(jvm, METHODS + 0xf00, "B");
	world_put64(&jvm->world, METHODS + 0x600 + 24, METHODS + 0xf00);
	next_event(jvm);
	hs_cache_rely_on_method(jvm->hs.cache, &jvm->hs.layout, method);
	assert_int_equal(hs_cache_validate(jvm->hs.cache, jvm->memory), HS_STALE);
	method = hs_method_get(jvm->hs.methods, jvm->memory, address, &fresh);
	assert_true(fresh);
	assert_string_equal(method->name, "B.f");
}

/* A process that is gone leaves what is known of it, marked. */
static void test_gone(void **state)
{
	struct jvm *jvm = *state;
	struct stack stack = {0};
	uint64_t blob = put_nmethod(jvm), words[6] = {[4] = 0xf00, [5] = 0xbeef};
	struct walk walk = begin_walk(jvm, &stack, blob + CODE_OFFSET + 0x40, STACK, 0);
	assert_int_equal(hs_step(&jvm->hs, &walk), RUNTIME_STEPPED);
	assert_true(runtime_hotspot.validate(&jvm->hs, &walk));
	for (unsigned known = 0; known < 2; known++) {
		walk = begin_walk(jvm, &stack, blob + CODE_OFFSET + (known ? 0x40 : 0x10), STACK, 0);
		memory_begin(jvm->memory, 1, false, words, STACK, sizeof(words), 0);
		assert_int_equal(hs_step(&jvm->hs, &walk), known ? RUNTIME_STEPPED : RUNTIME_GONE);
	}
	assert_true(runtime_hotspot.validate(&jvm->hs, &walk));
	assert_string_equal(stack.frames[0].name, "Inner.b");
	assert_int_equal(stack.frames[0].how, HOW_APPROX);
	free(stack.frames);
}

#define ON(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define ON_ALL(test) ON(setup_8, test), ON(setup_17, test), ON(setup_24, test), ON(setup_25, test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unsigned5_values),
		cmocka_unit_test(test_unsigned5_broken),
		cmocka_unit_test(test_unsigned5_signed),
		cmocka_unit_test(test_line_table),
		ON_ALL(test_find_blob),
		ON_ALL(test_freed_block),
		ON_ALL(test_hostile_segment_map),
		ON_ALL(test_method),
		ON_ALL(test_hidden_class),
		ON_ALL(test_no_method),
		ON_ALL(test_scopes),
		ON_ALL(test_circular_scopes),
		ON_ALL(test_huge_sizes),
		ON_ALL(test_step_compiled),
		ON_ALL(test_step_deoptimised),
		ON_ALL(test_step_interpreter),
		ON_ALL(test_step_call_stub),
#if defined(__x86_64__)
		ON_ALL(test_step_unfinished_interpreter),
#endif
		ON_ALL(test_outer_anchor),
		ON_ALL(test_anchor_disagrees),
		ON_ALL(test_stale_code),
		ON_ALL(test_stale_method),
		ON_ALL(test_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
