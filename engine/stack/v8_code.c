/* Machine code and bytecode of V8: which position in which function a pc stands for.
 *
 * Positions are kept as a table of signed base-128 pairs (code offset, position), each a difference to the one before.
 * In optimised code a position has an inlining id: an index into the code's list of (position of the call, function),
 * so one pc gives a chain of functions. Baseline code has no positions of its own: its table gives the length of
 * machine code of each bytecode, so walking both in step finds the bytecode of a pc.
 *
 * A Code object is kept by its range and used again only if the words that it was read from are unchanged. */
#include "engine/stack/v8.h"

#include "engine/stack/intern.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
	MAX_CACHED = 4096,
	MAX_CODE = 64 << 20,
	MAX_HEADER = 256,   /* from an instruction stream's start to its first instruction */
	MAX_BACK = 1 << 20, /* how far before a pc the header is looked for */
	MAX_INLINED = 64,
	INLINING_BYTES = 16, /* of an inlining position: u64 position, s32 function, padding */
};

/* What a Code object's facts depend on. */
struct identity {
	uint64_t start, data, positions;
	uint32_t size, flags;
};

struct v8_code {
	uint64_t address; /* of the Code object: the key */
	struct identity identity;
	uint8_t *positions, *inlining;
	uint64_t *literals; /* the first `ninlined` are the inlined functions, tagged */
	uint32_t npositions, ninlining, ninlined;
	uint64_t shared; /* the outermost function, tagged; 0 = not known */
	UT_hash_handle hh;
};

uint64_t v8_uvlq(struct v8_cursor *cursor)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (cursor->p >= cursor->end)
			break;
		uint8_t byte = *cursor->p++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	cursor->failed = true;
	return 0;
}

int64_t v8_vlq(struct v8_cursor *cursor)
{
	uint64_t value = v8_uvlq(cursor);
	return (int64_t)(value >> 1 ^ -(value & 1));
}

/* The next code offset's difference. Its sign says whether a statement begins here; since V8 14 two bits below it say
 * that, and whether a debugger may stop here. */
static uint64_t next_step(const struct v8_layout *layout, struct v8_cursor *cursor)
{
	if (layout->positions_breakable)
		return v8_uvlq(cursor) >> 2;
	int64_t step = v8_vlq(cursor);
	return step >= 0 ? (uint64_t)step : ~(uint64_t)step;
}

uint64_t v8_position_at(const struct v8_layout *layout, const uint8_t *table, size_t len, int64_t offset)
{
	struct v8_cursor cursor = {.p = table, .end = table + len};
	uint64_t at = UINT64_MAX, position = 0; /* modulo 2^64: differences may be hostile */
	while (cursor.p < cursor.end) {
		at += next_step(layout, &cursor);
		if (cursor.failed || (int64_t)at > offset)
			break;
		uint64_t change = (uint64_t)v8_vlq(&cursor);
		if (cursor.failed)
			break;
		position += change;
	}
	return position;
}

static int32_t script_position(uint64_t position)
{
	return position & 1 ? -1 : (int32_t)(position >> 1 & 0x3fffffff) - 1;
}

static unsigned inlining_id(uint64_t position)
{
	return position >> 31 & 0xffff;
}

static void code_clear(struct v8_code *code)
{
	free(code->positions);
	free(code->inlining);
	free(code->literals);
	code->positions = code->inlining = NULL;
	code->literals = NULL;
	code->npositions = code->ninlining = code->ninlined = 0;
	code->shared = 0;
}

static void codes_drop(struct v8 *v8)
{
	struct v8_code *code, *next;
	HASH_ITER (hh, v8->codes, code, next) {
		HASH_DEL(v8->codes, code);
		code_clear(code);
		free(code);
	}
}

static bool read_identity(const struct v8 *v8, struct memory *memory, uint64_t address, struct identity *ret)
{
	const struct v8_layout *l = &v8->layout;
	bool failed = false;
	ret->start = address + (uint32_t)l->code_start;
	if (!l->code_inline)
		ret->start = memory_u64(memory, ret->start, &failed);
	ret->data = memory_u64(memory, address + l->code_data, &failed);
	ret->positions = memory_u64(memory, address + l->code_positions, &failed);
	ret->size = memory_u32(memory, address + l->code_size, &failed);
	ret->flags = memory_u32(memory, address + l->code_flags, &failed);
	return !failed && ret->size && ret->size <= MAX_CODE;
}

static bool holds(const struct identity *identity, uint64_t pc)
{
	return pc > identity->start && pc - identity->start <= identity->size;
}

static bool equal(const struct identity *a, const struct identity *b)
{
	return a->start == b->start && a->data == b->data && a->positions == b->positions && a->size == b->size &&
	       a->flags == b->flags;
}

static int kind_of(const struct v8 *v8, const struct identity *identity)
{
	return (int)(identity->flags >> v8->layout.kind_shift &
	             (uint32_t)v8->layout.kind_mask >> v8->layout.kind_shift);
}

/* The kinds after baseline are maglev and turbofan, in the order in which functions are tiered up. */
enum frame_tier v8_code_tier(const struct v8 *v8, const struct v8_code *code)
{
	int kind = kind_of(v8, &code->identity) - v8->layout.kind_baseline;
	return kind == 0 ? TIER_BASELINE : kind == 1 ? TIER_MAGLEV : kind == 2 ? TIER_TURBOFAN : TIER_NONE;
}

/* An element of the deoptimisation data, an array of tagged words. */
static uint64_t element(const struct v8 *v8, const uint64_t *words, uint32_t n, int32_t index)
{
	return index >= 0 && (uint32_t)index < n ? words[index] : 0;
}

static void read_inlined(struct v8 *v8, struct memory *memory, struct v8_code *code, const uint64_t *data, uint32_t n)
{
	const struct v8_layout *l = &v8->layout;
	uint64_t inlined = element(v8, data, n, l->deopt_inlined);
	struct v8_object array;
	uint32_t count;
	if (!v8_is_smi(inlined) || v8_smi(inlined) <= 0)
		return;
	if (!v8_object(v8, memory, element(v8, data, n, l->deopt_literals), &array) ||
	        (!v8_is_weak_array(l, array.type) && !v8_is_array(l, array.type)))
		return;
	code->literals = (uint64_t *)v8_array(v8, memory, &array, 8, V8_MAX_TABLE, &count);
	if (!code->literals)
		return;
	code->ninlined = (uint32_t)v8_smi(inlined) < count ? (uint32_t)v8_smi(inlined) : count;
	if (v8_object(v8, memory, element(v8, data, n, l->deopt_inlining), &array) && v8_is_bytes(l, array.type))
		code->inlining = v8_array(v8, memory, &array, 1, V8_MAX_TABLE, &code->ninlining);
}

/* Trusted objects point to others through a wrapper. */
static uint64_t unwrap(struct v8 *v8, struct memory *memory, uint64_t tagged)
{
	struct v8_object object;
	bool failed = false;
	if (!v8_object(v8, memory, tagged, &object) || object.type != v8->layout.type_shared_wrapper)
		return tagged;
	return memory_u64(memory, object.address + 8, &failed);
}

static void read_code(struct v8 *v8, struct memory *memory, struct v8_code *code)
{
	struct v8_object object;
	uint32_t n;
	code_clear(code);
	if (v8_object(v8, memory, code->identity.positions, &object) && v8_is_bytes(&v8->layout, object.type))
		code->positions = v8_array(v8, memory, &object, 1, V8_MAX_TABLE, &code->npositions);
	if (kind_of(v8, &code->identity) == v8->layout.kind_baseline)
		return; /* the word is its bytecode array */
	if (!v8_object(v8, memory, code->identity.data, &object) || !v8_is_array(&v8->layout, object.type))
		return;
	uint64_t *data = (uint64_t *)v8_array(v8, memory, &object, 8, V8_MAX_TABLE, &n);
	if (!data)
		return;
	code->shared = unwrap(v8, memory, element(v8, data, n, v8->layout.deopt_shared));
	read_inlined(v8, memory, code, data, n);
	free(data);
}

static struct v8_code *code_slot(struct v8 *v8, uint64_t address)
{
	struct v8_code *code;
	HASH_FIND(hh, v8->codes, &address, sizeof(address), code);
	if (code)
		return code;
	if (HASH_COUNT(v8->codes) >= MAX_CACHED)
		codes_drop(v8);
	code = calloc(1, sizeof(*code));
	if (!code)
		return NULL;
	code->address = address;
	HASH_ADD(hh, v8->codes, address, sizeof(code->address), code);
	if (code->hh.tbl)
		return code;
	free(code); /* out of memory */
	return NULL;
}

/* The Code object at a tagged pointer, if it holds pc. */
static struct v8_code *code_at(struct v8 *v8, struct memory *memory, uint64_t tagged, uint64_t pc)
{
	struct v8_object object;
	struct identity identity;
	if (!v8_object(v8, memory, tagged, &object) || object.type != v8->layout.type_code ||
	        !read_identity(v8, memory, object.address, &identity) || !holds(&identity, pc))
		return NULL;
	struct v8_code *code = code_slot(v8, object.address);
	if (code && !equal(&code->identity, &identity)) {
		code->identity = identity;
		read_code(v8, memory, code);
	}
	return code;
}

/* An instruction stream begins with its map and a pointer to its Code object (or is that object), whose start of
 * instructions is close behind. So two words that look like pointers are a candidate, and the Code object's own range is
 * the proof. */
static struct v8_code *candidate(
        struct v8 *v8, struct memory *memory, uint64_t at, const uint64_t words[2], uint64_t pc)
{
	if (at >= pc || !v8_is_object(words[0]) || !v8_is_object(words[1]) || words[0] >> 47 || words[1] >> 47)
		return NULL;
	struct v8_code *code = code_at(v8, memory, v8->layout.code_inline ? at + 1 : words[1], pc);
	return code && code->identity.start > at && code->identity.start - at <= MAX_HEADER ? code : NULL;
}

static struct v8_code *code_before(struct v8 *v8, struct memory *memory, uint64_t pc, uint64_t low)
{
	enum { WORDS = 512 };
	uint64_t page[WORDS + 1] = {0}; /* and the first word of the page after it: a pair may cross */
	uint64_t stop = pc - low > MAX_BACK ? pc - MAX_BACK : low;
	for (uint64_t base = pc & ~4095ULL; base + 4096 > stop && base >= 4096; base -= 4096) {
		page[WORDS] = page[0];
		if (memory_read(memory, base, page, WORDS * 8))
			return NULL;
		for (unsigned i = WORDS; i-- > 0;) {
			struct v8_code *code = candidate(v8, memory, base + 8ULL * i, &page[i], pc);
			if (code)
				return code;
		}
	}
	return NULL;
}

/* pc → Code object, so that the search is made once. */
struct v8_pc {
	uint64_t pc, code;
	UT_hash_handle hh;
};

static void pcs_free(struct v8 *v8)
{
	struct v8_pc *entry, *next;
	HASH_ITER (hh, v8->pcs, entry, next) {
		HASH_DEL(v8->pcs, entry);
		free(entry);
	}
}

static void remember(struct v8 *v8, uint64_t pc, const struct v8_code *code)
{
	struct v8_pc *entry;
	HASH_FIND(hh, v8->pcs, &pc, sizeof(pc), entry);
	if (!entry) {
		if (HASH_COUNT(v8->pcs) >= MAX_CACHED)
			pcs_free(v8);
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return;
		entry->pc = pc;
		HASH_ADD(hh, v8->pcs, pc, sizeof(entry->pc), entry);
		if (!entry->hh.tbl) { /* out of memory */
			free(entry);
			return;
		}
	}
	entry->code = code->address;
}

struct v8_code *v8_code_get(
        struct v8 *v8, struct memory *memory, uint64_t pc, uint64_t function, const struct mapping *mapping)
{
	struct v8_pc *entry;
	bool failed = false;
	HASH_FIND(hh, v8->pcs, &pc, sizeof(pc), entry);
	struct v8_code *code = entry ? code_at(v8, memory, entry->code + 1, pc) : NULL;
	if (code)
		return code;
	uint64_t tagged = function ? memory_u64(memory, function + v8->layout.function_code, &failed) : 0;
	code = failed ? NULL : code_at(v8, memory, tagged, pc);
	if (!code && mapping)
		code = code_before(v8, memory, pc, mapping->start);
	if (code)
		remember(v8, pc, code);
	return code;
}

void v8_codes_free(struct v8 *v8)
{
	pcs_free(v8);
	codes_drop(v8);
}

/* ---- bytecode */

int32_t v8_bytecode_position(struct v8 *v8, struct memory *memory, const struct v8_object *bytecodes, int64_t offset)
{
	struct v8_object table;
	uint32_t len;
	if (!v8_slot(v8, memory, bytecodes->address + v8->layout.bytecode_positions, &table) ||
	        !v8_is_bytes(&v8->layout, table.type))
		return -1; /* positions are collected when a stack trace first needs them */
	uint8_t *data = v8_array(v8, memory, &table, 1, V8_MAX_TABLE, &len);
	if (!data)
		return -1;
	int32_t position = script_position(v8_position_at(&v8->layout, data, len, offset));
	free(data);
	return position;
}

/* The length of the bytecode at p, with its Wide or ExtraWide prefix; 0 = none such. */
static uint32_t bytecode_length(const struct v8 *v8, const uint8_t *p, const uint8_t *end)
{
	enum { WIDE, EXTRA_WIDE, DEBUG_WIDE, DEBUG_EXTRA_WIDE };
	if (p >= end)
		return 0;
	uint32_t prefix = p[0] <= DEBUG_EXTRA_WIDE, scale = !prefix ? 0 : p[0] == WIDE || p[0] == DEBUG_WIDE ? 1 : 2;
	if (p + prefix >= end || p[prefix] >= v8->opcodes)
		return 0;
	return prefix + v8->opcode_sizes[scale * v8->opcodes + p[prefix]];
}

/* The table's first length is the prologue's, then one a bytecode. A return address may be the end of its bytecode's
 * code. */
static int32_t walk_baseline(
        const struct v8 *v8, const struct v8_code *code, const uint8_t *bytecodes, uint32_t n, uint64_t pc)
{
	struct v8_cursor cursor = {.p = code->positions, .end = code->positions + code->npositions};
	uint64_t end = v8_uvlq(&cursor);
	uint32_t offset = 0;
	if (cursor.failed || pc <= end)
		return cursor.failed ? -1 : 0;
	for (;;) {
		end += v8_uvlq(&cursor);
		if (cursor.failed)
			return -1;
		if (pc <= end)
			return (int32_t)offset;
		uint32_t len = offset < n ? bytecode_length(v8, bytecodes + offset, bytecodes + n) : 0;
		if (!len)
			return -1;
		offset += len;
	}
}

int32_t v8_baseline_offset(struct v8 *v8, struct memory *memory, const struct v8_code *code,
        const struct v8_object *bytecodes, uint64_t pc)
{
	bool failed = false;
	uint64_t length = memory_u64(memory, bytecodes->address + v8->layout.array_length, &failed);
	if (failed || !v8->opcodes || !code->positions || !v8_is_smi(length) || v8_smi(length) <= 0 ||
	        v8_smi(length) > V8_MAX_TABLE)
		return -1;
	uint32_t n = (uint32_t)v8_smi(length);
	uint8_t *data = malloc(n);
	int32_t offset = -1;
	if (data && !memory_read(memory, bytecodes->address + v8->layout.bytecode_data, data, n))
		offset = walk_baseline(v8, code, data, n, pc - code->identity.start);
	free(data);
	return offset;
}

/* ---- optimised code */

struct inlining {
	uint64_t position; /* of the call, in the function that it was inlined into */
	int32_t function;  /* index of the literal, < 0 = the outermost function */
};

static bool inlining_at(const struct v8_code *code, unsigned id, struct inlining *ret)
{
	size_t at = (size_t)(id - 1) * INLINING_BYTES;
	if (!id || at + INLINING_BYTES > code->ninlining)
		return false;
	memcpy(&ret->position, code->inlining + at, sizeof(ret->position));
	memcpy(&ret->function, code->inlining + at + sizeof(ret->position), sizeof(ret->function));
	return true;
}

static struct v8_function *inlined_function(
        struct v8 *v8, struct memory *memory, const struct v8_code *code, int32_t index)
{
	if (index < 0 || (uint32_t)index >= code->ninlined)
		return NULL;
	uint64_t tagged = code->literals[index];
	return v8_function_get(v8, memory, (tagged & 3) == 3 ? tagged - 2 : tagged); /* 11 = a weak reference */
}

bool v8_code_frames(struct v8 *v8, struct walk *walk, struct v8_code *code, uint64_t pc, struct v8_function *function)
{
	enum frame_tier tier = v8_code_tier(v8, code);
	if (!function)
		function = v8_function_get(v8, walk->memory, code->shared);
	if (!function)
		return false;
	uint64_t position = v8_position_at(
	        &v8->layout, code->positions, code->npositions, (int64_t)(pc - code->identity.start) - 1);
	unsigned id = inlining_id(position);
	for (unsigned n = 0; id; n++) {
		struct inlining inlining;
		if (n >= MAX_INLINED || !inlining_at(code, id, &inlining) || inlining_id(inlining.position) >= id)
			return false;
		struct v8_function *inlined =
		        inlining.function < 0 ? function : inlined_function(v8, walk->memory, code, inlining.function);
		if (!inlined || !v8_add_frame(v8, walk, pc, inlined, script_position(position), tier, true))
			return false;
		position = inlining.position;
		id = inlining_id(position);
	}
	return v8_add_frame(v8, walk, pc, function, script_position(position), tier, false);
}
