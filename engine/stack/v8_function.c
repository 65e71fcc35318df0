/* Functions and scripts of V8: from a SharedFunctionInfo to a name, a script and lines.
 *
 * A function is found by the address of its SharedFunctionInfo. The garbage collector may have moved it and put another
 * one there, so the words that the cached facts came from (name, script) are read each time and compared: one small
 * read instead of twenty. Lines come from the script's table of line ends if V8 has made one, else from counting in its
 * source text, which is done as far as it was needed and kept. */
#include "engine/stack/v8.h"

#include "engine/base/grow.h"
#include "engine/stack/intern.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { MAX_CACHED = 8192, SCOPE_SLOTS = 8, MAX_LOCALS = 1 << 16, INLINED_LOCALS = 75, CHUNK = 16384 };

struct v8_script {
	uint64_t address, source; /* the key, and what its facts depend on */
	const char *name;
	int32_t *ends; /* position of each line's end */
	size_t nends, cap;
	uint32_t scanned; /* characters of the source that were searched for line ends; UINT32_MAX = all are known */
	UT_hash_handle hh;
};

struct v8_function {
	uint64_t address;
	uint64_t name_word, script_word; /* what the facts below depend on */
	const char *name;
	struct v8_script *script;
	int32_t start; /* position of its first character, -1 = not known */
	UT_hash_handle hh;
};

const char *v8_function_name(const struct v8_function *function)
{
	return function->name;
}

const char *v8_function_file(const struct v8_function *function)
{
	return function->script ? function->script->name : NULL;
}

static const char *intern_string(struct v8 *v8, struct memory *memory, const struct v8_object *string)
{
	char text[V8_NAME];
	int len = v8_string(v8, memory, string, text, sizeof(text));
	return len > 0 ? intern_bytes(v8->names, text, (size_t)len) : NULL;
}

/* Where the slots after a ScopeInfo's local variables begin: two slots a local, or one and a hash table for many. */
static bool after_locals(const struct v8 *v8, struct memory *memory, uint64_t slots, uint64_t *ret)
{
	bool failed = false;
	uint64_t word = memory_u64(memory, slots + 8ULL * (uint64_t)v8->layout.scope_locals, &failed);
	if (failed || !v8_is_smi(word) || v8_smi(word) < 0 || v8_smi(word) > MAX_LOCALS)
		return false;
	uint64_t locals = (uint64_t)v8_smi(word);
	uint64_t used = locals < INLINED_LOCALS ? 2 * locals : locals + 1;
	*ret = slots + 8 * ((uint64_t)v8->layout.scope_first + used);
	return true;
}

/* A ScopeInfo's optional slots depend on flag bits that change from version to version, so they are recognised by what
 * they hold. In order: the function's name and its variable's index, an inferred name, the start and end positions,
 * then an object. So the first string is the name that stack traces show, and the last two small integers before an
 * object are the positions. */
static void read_scope(
        struct v8 *v8, struct memory *memory, const struct v8_object *scope, struct v8_function *function)
{
	uint64_t at, slot[SCOPE_SLOTS];
	if (!after_locals(v8, memory, scope->address + 8, &at) || memory_read(memory, at, slot, sizeof(slot)))
		return;
	for (size_t i = 0, run = 0; i < SCOPE_SLOTS; i++) {
		struct v8_object object;
		if (v8_is_smi(slot[i])) {
			run++;
			continue;
		}
		if (run >= 2 && v8_smi(slot[i - 2]) >= 0 && v8_smi(slot[i - 2]) <= v8_smi(slot[i - 1])) {
			function->start = v8_smi(slot[i - 2]);
			break;
		}
		run = 0;
		if (!function->name && v8_object(v8, memory, slot[i], &object) && v8_is_string(v8, &object))
			function->name = intern_string(v8, memory, &object);
	}
	if (v8->layout.scope_position && !memory_read(memory, scope->address + 8 + v8->layout.scope_position, &at, 8) &&
	        v8_is_smi(at))
		function->start = v8_smi(at);
}

static void script_free(struct v8 *v8, struct v8_script *script)
{
	HASH_DEL(v8->scripts, script);
	free(script->ends);
	free(script);
}

/* V8's own table, made when a stack trace needed it. */
static void read_line_ends(struct v8 *v8, struct memory *memory, struct v8_script *script)
{
	struct v8_object array;
	uint32_t count;
	if (v8->layout.script_line_ends <= 0 ||
	        !v8_slot(v8, memory, script->address + v8->layout.script_line_ends, &array) ||
	        !v8_is_array(&v8->layout, array.type))
		return;
	uint64_t *words = (uint64_t *)v8_array(v8, memory, &array, 8, V8_MAX_LINES * 8ULL, &count);
	if (!words)
		return;
	bool good = !grow(&script->ends, &script->cap, count, sizeof(*script->ends));
	for (uint32_t i = 0; good && i < count; i++) {
		good = v8_is_smi(words[i]);
		script->ends[i] = v8_smi(words[i]);
	}
	free(words);
	for (uint32_t i = 1; good && i < count; i++)
		good = script->ends[i - 1] < script->ends[i];
	script->nends = good ? count : 0;
	script->scanned = good ? UINT32_MAX : 0;
}

static struct v8_script *script_get(struct v8 *v8, struct memory *memory, uint64_t tagged)
{
	struct v8_object object, name;
	struct v8_script *script;
	bool failed = false;
	if (!v8_object(v8, memory, tagged, &object) || object.type != v8->layout.type_script)
		return NULL;
	uint64_t source = memory_u64(memory, object.address + v8->layout.script_source, &failed);
	if (failed)
		return NULL;
	HASH_FIND(hh, v8->scripts, &object.address, sizeof(object.address), script);
	if (script && script->source == source)
		return script;
	if (!script) {
		script = calloc(1, sizeof(*script));
		if (!script)
			return NULL;
		script->address = object.address;
		HASH_ADD(hh, v8->scripts, address, sizeof(script->address), script);
		if (!script->hh.tbl) { /* out of memory */
			free(script);
			return NULL;
		}
	}
	script->source = source;
	script->name = NULL;
	script->nends = script->scanned = 0;
	if (v8_slot(v8, memory, object.address + v8->layout.script_name, &name))
		script->name = intern_string(v8, memory, &name);
	return script;
}

static void functions_drop_all(struct v8 *v8)
{
	struct v8_function *function, *next;
	HASH_ITER (hh, v8->functions, function, next) {
		HASH_DEL(v8->functions, function);
		free(function);
	}
}

static struct v8_function *function_slot(struct v8 *v8, uint64_t address)
{
	struct v8_function *function;
	HASH_FIND(hh, v8->functions, &address, sizeof(address), function);
	if (function)
		return function;
	if (HASH_COUNT(v8->functions) >= MAX_CACHED)
		functions_drop_all(v8);
	function = calloc(1, sizeof(*function));
	if (!function)
		return NULL;
	function->address = address;
	HASH_ADD(hh, v8->functions, address, sizeof(function->address), function);
	if (function->hh.tbl)
		return function;
	free(function); /* out of memory */
	return NULL;
}

static void function_read(struct v8 *v8, struct memory *memory, struct v8_function *function)
{
	struct v8_object name;
	function->name = NULL;
	function->start = -1;
	function->script = script_get(v8, memory, function->script_word);
	if (!v8_object(v8, memory, function->name_word, &name))
		return;
	if (name.type == v8->layout.type_scope)
		read_scope(v8, memory, &name, function);
	else if (v8_is_string(v8, &name))
		function->name = intern_string(v8, memory, &name);
}

struct v8_function *v8_function_get(struct v8 *v8, struct memory *memory, uint64_t shared)
{
	struct v8_object object;
	bool failed = false;
	if (!v8_object(v8, memory, shared, &object) || object.type != v8->layout.type_shared)
		return NULL;
	uint64_t name = memory_u64(memory, object.address + v8->layout.shared_name, &failed);
	uint64_t script = memory_u64(memory, object.address + v8->layout.shared_script, &failed);
	struct v8_function *function = failed ? NULL : function_slot(v8, object.address);
	if (!function || (function->name_word == name && function->script_word == script))
		return function;
	function->name_word = name;
	function->script_word = script;
	function_read(v8, memory, function);
	return function;
}

/* Searches `n` characters, which begin at position `from`, for line ends: \n, \r\n (one end, at the \r), \r. */
static bool find_ends(
        struct v8_script *script, const uint8_t *chars, uint32_t n, unsigned width, uint32_t from, bool after_cr)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t c = width == 1 ? chars[i] : chars[i * 2] | (uint32_t)chars[i * 2 + 1] << 8;
		bool end = c == '\r' || (c == '\n' && !after_cr) || c == 0x2028 || c == 0x2029;
		after_cr = c == '\r';
		if (!end)
			continue;
		if (script->nends >= V8_MAX_LINES ||
		        grow(&script->ends, &script->cap, script->nends + 1, sizeof(*script->ends)))
			return false;
		script->ends[script->nends++] = (int32_t)(from + i);
	}
	return true;
}

/* Makes sure that all line ends up to `position` are known. */
static bool scan_to(struct v8 *v8, struct memory *memory, struct v8_script *script, uint32_t position)
{
	struct v8_object source;
	uint64_t chars;
	uint32_t count;
	unsigned width;
	if (script->scanned > position)
		return true;
	if (!v8_object(v8, memory, script->source, &source) ||
	        !v8_flat_string(v8, memory, &source, &chars, &count, &width) || position > count)
		return false;
	while (script->scanned <= position && script->scanned < count) {
		uint8_t buffer[CHUNK];
		uint32_t n = CHUNK / width, left = count - script->scanned;
		n = n < left ? n : left;
		bool after_cr = script->nends && script->ends[script->nends - 1] + 1 == (int32_t)script->scanned;
		if (memory_read(memory, chars + (uint64_t)script->scanned * width, buffer, n * width) ||
		        !find_ends(script, buffer, n, width, script->scanned, after_cr))
			return false;
		script->scanned += n;
	}
	return true;
}

int v8_function_line(struct v8 *v8, struct memory *memory, struct v8_function *function, int32_t position)
{
	struct v8_script *script = function->script;
	if (position < 0)
		position = function->start;
	if (!script || position < 0)
		return 0;
	if (!script->scanned)
		read_line_ends(v8, memory, script);
	if (!scan_to(v8, memory, script, (uint32_t)position))
		return 0;
	size_t low = 0, high = script->nends; /* lines that end before the position */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (script->ends[middle] < position)
			low = middle + 1;
		else
			high = middle;
	}
	return (int)low + 1;
}

void v8_functions_free(struct v8 *v8)
{
	struct v8_script *script, *next;
	functions_drop_all(v8);
	HASH_ITER (hh, v8->scripts, script, next)
		script_free(v8, script);
}
