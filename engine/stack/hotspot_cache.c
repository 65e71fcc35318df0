/* What is known about program counters, and the proof that it still holds.
 *
 * Naming a compiled frame from scratch takes some ten reads of the target's memory, most of them in pages of their own.
 * But the same few thousand pcs come again and again. So what was found is kept by pc and used at once, and the facts
 * it was derived from are compared after the walk, all of them in one system call: the compile id of an nmethod (never
 * used twice by a JVM), name and frame size of any other blob, and for an interpreted method the pointers to its code and to its class's name.
 * One that differs empties its entry, and the stack is walked again.
 *
 * Both tables are direct-mapped and of fixed size: memory is bounded whatever the target does. */
#include "engine/stack/hotspot_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	CACHE_BITS = 13,
	MAX_FACTS = 2048,
	SPANS_A_READ = 512,
	BYTES_A_READ = 32768,
	PAGE = 4096,
};

struct fact {
	uint64_t address, expected;
	uint64_t *key; /* of the entry that relies on it: zeroed if the fact does not hold */
	uint32_t at;   /* of what was read, in the bytes of its read */
	uint8_t len;
};

struct hs_cache {
	uint64_t round; /* grows with each validation; an entry's facts are noted once a round */
	size_t nfacts;
	struct fact facts[MAX_FACTS];
	struct memory_part spans[SPANS_A_READ];
	uint8_t bytes[BYTES_A_READ];
	struct hs_pc slots[1 << CACHE_BITS];
};

struct hs_cache *hs_cache_new(void)
{
	struct hs_cache *cache = calloc(1, sizeof(*cache));
	if (cache)
		cache->round = 1;
	return cache;
}

void hs_cache_clear(struct hs_cache *cache)
{
	for (size_t i = 0; i < 1 << CACHE_BITS; i++) {
		free(cache->slots[i].frames);
		memset(&cache->slots[i], 0, sizeof(cache->slots[i]));
	}
}

void hs_cache_free(struct hs_cache *cache)
{
	if (!cache)
		return;
	hs_cache_clear(cache);
	free(cache);
}

static struct hs_pc *slot_of(struct hs_cache *cache, uint64_t pc)
{
	return &cache->slots[pc * 0x9E3779B97F4A7C15ULL >> (64 - CACHE_BITS)];
}

struct hs_pc *hs_cache_find(struct hs_cache *cache, uint64_t pc)
{
	struct hs_pc *entry = slot_of(cache, pc);
	return pc && entry->pc == pc ? entry : NULL;
}

struct hs_pc *hs_cache_slot(struct hs_cache *cache, uint64_t pc)
{
	struct hs_pc *entry = slot_of(cache, pc);
	free(entry->frames);
	memset(entry, 0, sizeof(*entry));
	return entry;
}

/* More facts than fit: the entry is used now, but not kept, so that nothing unproven outlives the event. */
static void add_fact(struct hs_cache *cache, uint64_t *key, uint64_t address, uint64_t expected, uint8_t len)
{
	if (cache->nfacts == MAX_FACTS) {
		*key = 0;
		return;
	}
	cache->facts[cache->nfacts++] = (struct fact){.address = address, .expected = expected, .key = key, .len = len};
}

void hs_cache_rely_on_pc(struct hs_cache *cache, const struct hs_layout *layout, struct hs_pc *entry)
{
	const struct hs_blob *blob = &entry->blob;
	if (entry->round == cache->round)
		return;
	entry->round = cache->round;
	if (blob->kind == HS_NMETHOD || blob->kind == HS_NATIVE) {
		add_fact(cache, &entry->pc, blob->start + (uint32_t)layout->off.nmethod_compile_id, entry->compile_id,
		        4);
		return;
	}
	add_fact(cache, &entry->pc, blob->start + (uint32_t)layout->off.blob_name, blob->name_address, 8);
	if (blob->kind == HS_SIZED)
		add_fact(cache, &entry->pc, blob->start + (uint32_t)layout->off.blob_frame_size, blob->frame_words, 4);
}

void hs_cache_rely_on_method(struct hs_cache *cache, const struct hs_layout *layout, struct hs_method *method)
{
	const struct hs_offsets *off = &layout->off;
	uint64_t *key = &method->address;
	if (method->round == cache->round)
		return;
	method->round = cache->round;
	add_fact(cache, key, method->address + (uint32_t)off->method_const, method->const_method, 8);
	add_fact(cache, key, method->holder + (uint32_t)off->klass_name, method->class_name, 8);
}

static int compare_facts(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;
	return x->address < y->address ? -1 : x->address > y->address;
}

/* Whether a fact lies in the page of the span before it, whose end it then moves. */
static bool extends(const struct memory_part *span, const struct fact *fact)
{
	return (span->address & -(uint64_t)PAGE) == ((fact->address + fact->len - 1) & -(uint64_t)PAGE);
}

/* Makes spans of the sorted facts from `first` on, one a page, since pages are what a read costs. Returns how many facts fit. */
static size_t gather(struct hs_cache *cache, size_t first, size_t *ret_spans)
{
	size_t used = 0, n = 0, i = first;
	for (; i < cache->nfacts; i++) {
		struct fact *fact = &cache->facts[i];
		struct memory_part *span = n ? &cache->spans[n - 1] : NULL;
		uint64_t end = fact->address + fact->len;
		bool same = span && extends(span, fact);
		size_t start = same ? (size_t)((uint8_t *)span->buffer - cache->bytes) : used;
		size_t len = same ? (size_t)(end - span->address) : fact->len;
		if (same && len < span->len)
			len = span->len;
		if (start + len > BYTES_A_READ || (!same && n == SPANS_A_READ))
			break;
		if (!same) {
			span = &cache->spans[n++];
			*span = (struct memory_part){.address = fact->address, .buffer = cache->bytes + start};
		}
		span->len = len;
		used = start + len;
		fact->at = (uint32_t)(start + (fact->address - span->address));
	}
	*ret_spans = n;
	return i - first;
}

/* Reads and compares facts from `first` on: how many, or a read's error. */
static ssize_t check(struct hs_cache *cache, struct memory *memory, size_t first, bool *ret_stale)
{
	size_t nspans, n = gather(cache, first, &nspans);
	int r = memory_read_many(memory, cache->spans, nspans);
	if (r < 0)
		return r;
	for (size_t i = first; i < first + n; i++) {
		const struct fact *fact = &cache->facts[i];
		uint64_t found = 0;
		memcpy(&found, cache->bytes + fact->at, fact->len);
		if (found == fact->expected)
			continue;
		*fact->key = 0;
		*ret_stale = true;
	}
	return (ssize_t)n;
}

enum hs_validity hs_cache_validate(struct hs_cache *cache, struct memory *memory)
{
	bool stale = false;
	ssize_t n = 0;
	qsort(cache->facts, cache->nfacts, sizeof(cache->facts[0]), compare_facts);
	for (size_t i = 0; i < cache->nfacts && n >= 0; i += (size_t)n)
		n = check(cache, memory, i, &stale);
	cache->nfacts = 0;
	cache->round++;
	return n < 0 ? HS_UNREADABLE : stale ? HS_STALE : HS_VALID;
}
