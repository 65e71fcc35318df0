/* A libjvm.so that is none: its tables are nonsense of several kinds (-DKIND=n). */
#include <stdint.h>
#include <stdlib.h>

struct entry {
	const char *type, *field, *type_string;
	int32_t is_static;
	uint64_t offset;
	void *address;
};

struct type {
	const char *name, *super;
	int32_t a, b, c;
	uint64_t size;
};

static uint64_t noise[4096];

#if KIND == 0 /* pointers into noise */
static struct entry structs[64];
static struct type types[64];
#define STRIDE sizeof(struct entry)
#elif KIND == 1 /* enormous strides and a table without an end */
static struct entry structs[64];
static struct type types[64];
#define STRIDE 0x80000000ull
#else /* the right names with offsets, sizes and addresses out of this world, and a heap list that holds itself */
static struct entry structs[] = {
        {"CodeCache", "_heaps", "GrowableArray<CodeHeap*>*", 1, 0, noise},
        {"CodeCache", "_low_bound", "address", 1, 0, &noise[8]},
        {"CodeCache", "_high_bound", "address", 1, 0, &noise[9]},
        {"GrowableArrayBase", "_len", "int", 0, 0, 0},
        {"GrowableArray<int>", "_data", "E*", 0, 8, 0},
        {"CodeHeap", "_memory", "VirtualSpace", 0, 0x7fffffffffffffff, 0},
        {"CodeHeap", "_segmap", "VirtualSpace", 0, 0, 0},
        {"CodeHeap", "_log2_segment_size", "int", 0, 4, 0},
        {"VirtualSpace", "_low", "char*", 0, 0, 0},
        {"VirtualSpace", "_high", "char*", 0, 0xffffffff, 0},
        {"CodeBlob", "_name", "const char*", 0, 0x10000000, 0},
        {"Method", "_constMethod", "ConstMethod*", 0, 8, 0},
        {0, 0, 0, 0, 0, 0},
};
static struct type types[] = {
        {"HeapBlock", 0, 0, 0, 0, 0xffffffffffffffff},
        {"ConstMethod", 0, 0, 0, 0, 0x80000000},
        {"PcDesc", 0, 0, 0, 0, 0},
        {0, 0, 0, 0, 0, 0},
};
#define STRIDE sizeof(struct entry)
#endif

struct entry *gHotSpotVMStructs = structs;
struct type *gHotSpotVMTypes = types;
struct type *gHotSpotVMIntConstants = types;
struct type *gHotSpotVMLongConstants = types;
uint64_t gHotSpotVMStructEntryTypeNameOffset = 0, gHotSpotVMStructEntryFieldNameOffset = 8;
uint64_t gHotSpotVMStructEntryTypeStringOffset = 16, gHotSpotVMStructEntryIsStaticOffset = 24;
uint64_t gHotSpotVMStructEntryOffsetOffset = 32, gHotSpotVMStructEntryAddressOffset = 40;
uint64_t gHotSpotVMStructEntryArrayStride = STRIDE;
uint64_t gHotSpotVMTypeEntryTypeNameOffset = 0, gHotSpotVMTypeEntrySuperclassNameOffset = 8;
uint64_t gHotSpotVMTypeEntryIsOopTypeOffset = 16, gHotSpotVMTypeEntryIsIntegerTypeOffset = 20;
uint64_t gHotSpotVMTypeEntryIsUnsignedOffset = 24, gHotSpotVMTypeEntrySizeOffset = 32;
uint64_t gHotSpotVMTypeEntryArrayStride = sizeof(struct type);
uint64_t gHotSpotVMIntConstantEntryNameOffset = 0, gHotSpotVMIntConstantEntryValueOffset = 8;
uint64_t gHotSpotVMIntConstantEntryArrayStride = STRIDE;
uint64_t gHotSpotVMLongConstantEntryNameOffset = 0, gHotSpotVMLongConstantEntryValueOffset = 8;
uint64_t gHotSpotVMLongConstantEntryArrayStride = STRIDE;

__attribute__((constructor)) static void make_noise(void)
{
	uint32_t seed = 1;
	for (size_t i = 0; i < sizeof(noise) / sizeof(*noise); i++) {
		seed = seed * 1664525 + 1013904223;
		/* half of it points into itself, the rest at nothing */
		noise[i] = seed & 1 ? (uintptr_t)&noise[seed >> 20] : (uint64_t)seed << 32 | seed;
	}
	noise[8] = 0x1000; /* all memory is Java's */
	noise[9] = 0x7fffffffffff;
#if KIND == 0
	for (size_t i = 0; i < 64; i++) {
		uint64_t *words = (uint64_t *)&structs[i];
		for (size_t w = 0; w < sizeof(structs[i]) / 8; w++)
			words[w] = noise[(i * 7 + w) % 4096];
	}
#endif
}

__attribute__((noinline)) void through(void (*fn)(void))
{
	fn();
	__asm__ volatile("");
}
