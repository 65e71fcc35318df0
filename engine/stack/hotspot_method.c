/* Java methods: names, and lines.
 *
 *     Method ──▶ ConstMethod ──▶ ConstantPool ──▶ InstanceKlass ──▶ Symbol "java/lang/String"
 *                 │  bytecodes                └─▶ Symbol of the source file
 *                 │  line number table
 *                 └─ indices of the name's and the signature's Symbol in the pool
 *
 * All of these are raw pointers into metaspace, which no garbage collector moves; compressed class pointers and object
 * headers play no part. They can dangle when a class is unloaded, hence the bounds here, and the facts that
 * hotspot_cache.c compares later.
 *
 * The line number table follows the bytecodes: a byte is (bci delta << 3 | line delta), 0xff announces two signed
 * UNSIGNED5 deltas, 0 ends it.
 *
 * The cache is direct-mapped and of fixed size: a method that loses its slot is decoded again, nothing has to be
 * evicted. */
#include "engine/stack/hotspot_method.h"

#include "engine/stack/intern.h"
#include "engine/stack/unsigned5.h"

#include <stdlib.h>
#include <string.h>

enum {
	CACHE_BITS = 12,
	NAME_MAX_BYTES = 512, /* of one symbol; longer ones are cut */
	LINE_TABLE_MAX = 8192,
	LINE_TABLE_CHUNK = 256,
	ACC_NATIVE = 0x100,
	HAS_LINE_TABLE = 1,
	ESCAPE = 0xff,
};

struct hs_methods {
	const struct hs_layout *layout;
	struct intern *names;
	struct hs_method slots[1 << CACHE_BITS];
};

struct hs_methods *hs_methods_new(const struct hs_layout *layout, struct intern *names)
{
	struct hs_methods *methods = calloc(1, sizeof(*methods));
	if (!methods)
		return NULL;
	methods->layout = layout;
	methods->names = names;
	return methods;
}

static void empty(struct hs_method *slot)
{
	free(slot->line_table);
	memset(slot, 0, sizeof(*slot));
}

void hs_methods_clear(struct hs_methods *methods)
{
	for (size_t i = 0; i < 1 << CACHE_BITS; i++)
		empty(&methods->slots[i]);
}

void hs_methods_free(struct hs_methods *methods)
{
	if (!methods)
		return;
	hs_methods_clear(methods);
	free(methods);
}

/* A Symbol's text into `buffer` of size + 1: its length, cut to size; 0 = not readable or empty. */
static size_t read_symbol(
        const struct hs_layout *layout, struct memory *memory, uint64_t symbol, char *buffer, size_t size)
{
	const struct hs_offsets *off = &layout->off;
	bool failed = false;
	size_t len = off->symbol_length != HS_ABSENT
	                     ? memory_u16(memory, symbol + off->symbol_length, &failed)
	                     : memory_u32(memory, symbol + off->symbol_length_and_refcount, &failed) >> 16;
	if (failed || len == 0)
		return 0;
	if (len > size)
		len = size;
	if (memory_read(memory, symbol + off->symbol_body, buffer, len) < 0)
		return 0;
	buffer[len] = 0;
	return strlen(buffer); /* a NUL inside: what it names is not Java */
}

/* A pool slot's Symbol*. The low bits of a slot are a tag. */
static uint64_t pool_symbol(const struct hs_layout *layout, struct memory *memory, uint64_t pool, uint16_t index)
{
	bool failed = false;
	if (index == 0)
		return 0;
	uint64_t slot = memory_u64(memory, pool + layout->size.constant_pool + 8ULL * index, &failed);
	return failed ? 0 : slot & ~3ULL;
}

static const char *pool_string(const struct hs_methods *methods, struct memory *memory, uint64_t pool, uint16_t index)
{
	char text[NAME_MAX_BYTES + 1];
	uint64_t symbol = pool_symbol(methods->layout, memory, pool, index);
	size_t n = symbol ? read_symbol(methods->layout, memory, symbol, text, NAME_MAX_BYTES) : 0;
	return n ? intern_bytes(methods->names, text, n) : NULL;
}

/* As Java prints it: dots for slashes, but a hidden class's suffix "+0x…" becomes "/0x…". */
static void to_java_name(char *name)
{
	for (char *c = name; *c; c++) {
		if (*c == '/')
			*c = '.';
		else if (c[0] == '+' && c[1] == '0' && c[2] == 'x')
			*c = '/';
	}
}

static const char *qualified_name(
        const struct hs_methods *methods, struct memory *memory, uint64_t class_name, uint64_t method_name)
{
	char text[2 * NAME_MAX_BYTES + 2];
	size_t n = read_symbol(methods->layout, memory, class_name, text, NAME_MAX_BYTES);
	if (n == 0 || method_name == 0)
		return NULL;
	to_java_name(text);
	text[n++] = '.';
	size_t rest = read_symbol(methods->layout, memory, method_name, text + n, NAME_MAX_BYTES);
	return rest ? intern_bytes(methods->names, text, n + rest) : NULL;
}

/* The length of the line table at the start of `table` with its terminator, or 0 if it does not end there. */
static uint32_t line_table_length(const uint8_t *table, uint32_t n, uint8_t excluded)
{
	struct unsigned5 in = {.at = table, .end = table + n, .excluded = excluded};
	while (in.at < in.end && !in.failed) {
		uint8_t byte = *in.at++;
		if (byte == 0)
			return (uint32_t)(in.at - table);
		if (byte == ESCAPE) {
			unsigned5_read_signed(&in);
			unsigned5_read_signed(&in);
		}
	}
	return 0;
}

/* Its length is not written anywhere, so it is read in pieces until its end is in sight; it may end right before memory
 * that is not readable. No end within the bound: no lines. */
static void read_line_table(struct hs_method *method, struct memory *memory, uint8_t excluded)
{
	uint8_t table[LINE_TABLE_MAX];
	uint64_t at = method->code + method->code_size;
	uint32_t n = 0, len = 0;
	while (!len && n + LINE_TABLE_CHUNK <= LINE_TABLE_MAX) {
		uint32_t chunk = LINE_TABLE_CHUNK;
		uint32_t in_page = 4096 - (uint32_t)((at + n) & 4095);
		if (chunk > in_page)
			chunk = in_page;
		if (memory_read(memory, at + n, table + n, chunk) < 0)
			return;
		n += chunk;
		len = line_table_length(table, n, excluded);
	}
	if (!len)
		return;
	method->line_table = malloc(len);
	if (!method->line_table)
		return;
	memcpy(method->line_table, table, len);
	method->line_table_len = len;
}

static uint16_t source_file_index(
        const struct hs_layout *layout, struct memory *memory, uint64_t pool, uint64_t holder, bool *failed)
{
	if (layout->off.pool_source_file_index != HS_ABSENT)
		return memory_u16(memory, pool + layout->off.pool_source_file_index, failed);
	if (layout->off.instance_source_file_index != HS_ABSENT)
		return memory_u16(memory, holder + layout->off.instance_source_file_index, failed);
	return 0;
}

static bool decode(const struct hs_methods *methods, struct memory *memory, uint64_t address, struct hs_method *method)
{
	const struct hs_layout *layout = methods->layout;
	const struct hs_offsets *off = &layout->off;
	bool failed = false;

	method->const_method = memory_u64(memory, address + off->method_const, &failed);
	if (failed || !method->const_method || method->const_method & 7)
		return false;
	uint64_t const_method = method->const_method;
	uint64_t pool = memory_u64(memory, const_method + off->const_constants, &failed);
	method->holder = memory_u64(memory, pool + off->pool_holder, &failed);
	method->class_name = memory_u64(memory, method->holder + off->klass_name, &failed);
	uint16_t name = memory_u16(memory, const_method + off->const_name_index, &failed);
	uint16_t signature = memory_u16(memory, const_method + off->const_signature_index, &failed);
	uint16_t file = source_file_index(layout, memory, pool, method->holder, &failed);
	method->code = const_method + layout->size.const_method;
	method->code_size = memory_u16(memory, const_method + off->const_code_size, &failed);
	method->native = memory_u16(memory, address + off->method_access_flags, &failed) & ACC_NATIVE;
	bool lines = memory_u8(memory, const_method + off->const_flags, &failed) & HAS_LINE_TABLE;
	if (failed)
		return false;

	method->name = qualified_name(methods, memory, method->class_name, pool_symbol(layout, memory, pool, name));
	if (!method->name)
		return false;
	method->signature = pool_string(methods, memory, pool, signature);
	method->file = pool_string(methods, memory, pool, file);
	if (lines)
		read_line_table(method, memory, layout->unsigned5_excluded);
	method->address = address;
	return true;
}

struct hs_method *hs_method_get(struct hs_methods *methods, struct memory *memory, uint64_t address, bool *ret_fresh)
{
	*ret_fresh = false;
	if (!address || address & 7)
		return NULL;
	struct hs_method *slot = &methods->slots[address * 0x9E3779B97F4A7C15ULL >> (64 - CACHE_BITS)];
	if (slot->address == address)
		return slot;
	empty(slot);
	*ret_fresh = true;
	if (decode(methods, memory, address, slot))
		return slot;
	empty(slot);
	return NULL;
}

/* As Method::line_number_from_bci: an entry for exactly this bci, else that of the greatest bci before it. */
int32_t hs_line_table_find(const uint8_t *table, uint32_t len, uint8_t unsigned5_excluded, int32_t bci)
{
	struct unsigned5 in = {.at = table, .end = table + len, .excluded = unsigned5_excluded};
	int32_t best_bci = -1, best_line = 0;
	uint32_t at = 0, line = 0; /* deltas of a hostile table may wrap */
	if (bci < 0)
		bci = 0;
	while (in.at < in.end) {
		uint8_t byte = *in.at++;
		if (byte == 0)
			break;
		if (byte == ESCAPE) {
			at += (uint32_t)unsigned5_read_signed(&in);
			line += (uint32_t)unsigned5_read_signed(&in);
		} else {
			at += byte >> 3;
			line += byte & 7;
		}
		if (in.failed)
			break;
		if ((int32_t)at == bci)
			return (int32_t)line;
		if ((int32_t)at < bci && (int32_t)at >= best_bci) {
			best_bci = (int32_t)at;
			best_line = (int32_t)line;
		}
	}
	return best_line;
}

int32_t hs_method_line(const struct hs_layout *layout, const struct hs_method *method, int32_t bci)
{
	if (method->native)
		return -2;
	int32_t line = hs_line_table_find(method->line_table, method->line_table_len, layout->unsigned5_excluded, bci);
	return line > 0 ? line : 0;
}
