/* HotSpot's code cache: heaps, segment maps, blobs.
 *
 * Code lives in one to three heaps (JDK 8: one). A heap is cut into segments of equal size, and a byte map says for
 * each segment how many segments back its block starts: 0 = here, 255 = free, and since a byte cannot count far, a
 * number can lead to a segment that leads further. A block starts with a small header that says whether it is used,
 * then comes the CodeBlob: its name tells what it is, and its frame size is what an unwinder needs most.
 *
 * Blobs are told apart by name, since that is the one thing that did not change from JDK 8 to 25. */
#include "engine/stack/hotspot_code.h"

#include "engine/stack/intern.h"

#include <errno.h>
#include <string.h>

enum {
	SEGMENT_FREE = 0xff,
	MAX_HOPS = 4096,
	MIN_SEGMENT_SHIFT = 4,
	MAX_SEGMENT_SHIFT = 16,
	MAX_FRAME_WORDS = 0x40000,
	NAME_SIZE = 96,
};
static const uint64_t max_cache_bytes = 1ULL << 34;

static bool read_heap(const struct hs_layout *layout, struct memory *memory, uint64_t heap, struct hs_heap *ret)
{
	const struct hs_offsets *off = &layout->off;
	bool failed = false;
	ret->low = memory_u64(memory, heap + off->heap_memory + off->space_low, &failed);
	ret->high = memory_u64(memory, heap + off->heap_memory + off->space_high, &failed);
	ret->map_low = memory_u64(memory, heap + off->heap_segmap + off->space_low, &failed);
	ret->map_high = memory_u64(memory, heap + off->heap_segmap + off->space_high, &failed);
	ret->segment_shift = memory_u32(memory, heap + off->heap_log2_segment_size, &failed);
	return !failed;
}

static bool heap_ok(const struct hs_heap *heap)
{
	return heap->low <= heap->high && heap->high - heap->low <= max_cache_bytes &&
	       heap->map_low <= heap->map_high && heap->segment_shift >= MIN_SEGMENT_SHIFT &&
	       heap->segment_shift <= MAX_SEGMENT_SHIFT;
}

static int add_heap(struct hs_code *code, const struct hs_layout *layout, struct memory *memory, uint64_t address)
{
	struct hs_heap heap;
	if (!read_heap(layout, memory, address, &heap))
		return -EFAULT;
	if (!heap_ok(&heap))
		return -EPROTO;
	code->heaps[code->nheaps++] = heap;
	return 0;
}

/* JDK 8: one heap, whose reserved range is not exported, so the bounds grow with what is committed. */
static int read_single_heap(struct hs_code *code, const struct hs_layout *layout, struct memory *memory)
{
	bool failed = false;
	uint64_t heap = memory_u64(memory, layout->at.code_heap, &failed);
	if (failed || !heap)
		return -EAGAIN;
	int r = add_heap(code, layout, memory, heap);
	if (r < 0)
		return r;
	code->low = code->heaps[0].low;
	code->high = code->heaps[0].high;
	return 0;
}

static int read_heaps(struct hs_code *code, const struct hs_layout *layout, struct memory *memory)
{
	bool failed = false;
	uint64_t array = memory_u64(memory, layout->at.code_heaps, &failed);
	if (failed || !array)
		return -EAGAIN;
	uint32_t n = memory_u32(memory, array + layout->off.array_len, &failed);
	uint64_t data = memory_u64(memory, array + layout->off.array_data, &failed);
	code->low = memory_u64(memory, layout->at.code_low, &failed);
	code->high = memory_u64(memory, layout->at.code_high, &failed);
	if (failed || n == 0)
		return -EAGAIN;
	if (n > HS_MAX_HEAPS || code->low >= code->high || code->high - code->low > max_cache_bytes)
		return -EPROTO;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t heap = memory_u64(memory, data + 8ULL * i, &failed);
		int r = failed ? -EFAULT : add_heap(code, layout, memory, heap);
		if (r < 0)
			return r;
	}
	return 0;
}

static uint64_t optional_static(struct memory *memory, uint64_t address)
{
	bool failed = false;
	return address ? memory_u64(memory, address, &failed) : 0;
}

int hs_code_refresh(struct hs_code *code, const struct hs_layout *layout, struct memory *memory)
{
	struct hs_code fresh = {0};
	int r = layout->at.code_heaps ? read_heaps(&fresh, layout, memory) : read_single_heap(&fresh, layout, memory);
	if (r < 0)
		return r;
	fresh.call_stub_return = optional_static(memory, layout->at.call_stub_return);
	fresh.continuation_return = optional_static(memory, layout->at.continuation_return);
	*code = fresh;
	return 0;
}

/* The start of the block that holds segment `at` of the heap, as the segment map says. */
static int find_block(const struct hs_heap *heap, struct memory *memory, uint64_t at, uint64_t *ret)
{
	for (int hops = 0; hops < MAX_HOPS; hops++) {
		bool failed = false;
		if (at >= heap->map_high - heap->map_low)
			return -EPROTO;
		uint8_t back = memory_u8(memory, heap->map_low + at, &failed);
		if (failed)
			return -EFAULT;
		if (back == 0) {
			*ret = heap->low + (at << heap->segment_shift);
			return 0;
		}
		if (back == SEGMENT_FREE)
			return -ENOENT;
		if (back > at)
			return -EPROTO;
		at -= back;
	}
	return -EPROTO;
}

static bool starts_with(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

static enum hs_blob_kind classify(const struct hs_blob *blob)
{
	if (!strcmp(blob->name, "nmethod"))
		return HS_NMETHOD;
	if (!strcmp(blob->name, "native nmethod"))
		return HS_NATIVE;
	if (!strcmp(blob->name, "Interpreter"))
		return HS_INTERPRETER;
	if (strstr(blob->name, "ontinuation"))
		return HS_CONTINUATION;
	if (blob->frame_words == 0 && (starts_with(blob->name, "StubRoutines") || starts_with(blob->name, "Stub Gen") ||
	                                      strstr(blob->name, "upcall")))
		return HS_FRAMED;
	return blob->frame_words ? HS_SIZED : HS_OTHER;
}

static int read_name(struct hs_blob *blob, struct memory *memory, struct intern *names)
{
	char name[NAME_SIZE];
	ssize_t n = memory_read_string(memory, blob->name_address, name, sizeof(name));
	if (n == -E2BIG) /* no name that we know, and cut is good enough to show */
		n = sizeof(name) - 1;
	if (n < 0)
		return (int)n;
	blob->name = intern_bytes(names, name, (size_t)n);
	return blob->name ? 0 : -ENOMEM;
}

static int read_blob(const struct hs_layout *layout, struct memory *memory, uint64_t start, struct hs_blob *blob)
{
	const struct hs_offsets *off = &layout->off;
	bool failed = false;
	blob->start = start;
	blob->name_address = memory_u64(memory, start + off->blob_name, &failed);
	blob->size = memory_u32(memory, start + off->blob_size, &failed);
	blob->frame_words = memory_u32(memory, start + off->blob_frame_size, &failed);
	if (off->blob_code_offset != HS_ABSENT)
		blob->code = start + memory_u32(memory, start + off->blob_code_offset, &failed);
	else
		blob->code = memory_u64(memory, start + off->blob_code_begin, &failed);
	blob->frame_complete = -1;
	if (off->blob_frame_complete != HS_ABSENT) /* 16 bits since JDK 23; what is compared with it is small */
		blob->frame_complete = layout->major >= 23
		                               ? (int16_t)memory_u16(memory, start + off->blob_frame_complete, &failed)
		                               : (int32_t)memory_u32(memory, start + off->blob_frame_complete, &failed);
	if (failed)
		return -EFAULT;
	if ((int32_t)blob->frame_words < 0) /* stubs that are never walked have -1 */
		blob->frame_words = 0;
	return blob->frame_words <= MAX_FRAME_WORDS ? 0 : -EPROTO;
}

int hs_code_find(const struct hs_code *code, const struct hs_layout *layout, struct memory *memory,
        struct intern *names, uint64_t pc, struct hs_blob *ret)
{
	const struct hs_heap *heap = code->heaps;
	const struct hs_heap *end = heap + code->nheaps;
	while (heap < end && (pc < heap->low || pc >= heap->high))
		heap++;
	if (heap == end)
		return -ENOENT;

	uint64_t block;
	bool failed = false;
	int r = find_block(heap, memory, (pc - heap->low) >> heap->segment_shift, &block);
	if (r < 0)
		return r;
	if (!memory_u8(memory, block + layout->off.block_used, &failed))
		return failed ? -EFAULT : -ENOENT;
	r = read_blob(layout, memory, block + layout->size.heap_block, ret);
	if (r < 0)
		return r;
	if (pc < ret->start || pc - ret->start >= ret->size || ret->code < ret->start ||
	        ret->code - ret->start >= ret->size)
		return -EPROTO;
	r = read_name(ret, memory, names);
	if (r < 0)
		return r;
	ret->kind = classify(ret);
	return 0;
}
