/* Any bytes as a section of frame description entries, and any registers and stack to apply its rows to. The first byte
 * chooses the kind of section, the next 64 fill the registers and the stack. */
#include "engine/stack/fde.h"
#include "engine/stack/row.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEED = 64, STACK = 512 };
static const uint64_t SP = 0x7fff0000, VA = 0x1000;

static void apply(const struct row *row, const uint8_t seed[SEED])
{
	struct memory *memory = memory_new();
	struct regs regs;
	uint8_t stack[STACK];
	for (size_t i = 0; i < STACK; i++)
		stack[i] = seed[i % SEED] + i / SEED;
	for (size_t i = 0; i < RILLE_NREGS; i++)
		regs.r[i] = SP + seed[i % SEED] * 8;
	regs.valid = ~0ULL << (seed[0] % 8);
	if (!memory)
		return;
	memory_begin(memory, 1, false, stack, SP, sizeof(stack), 0);
	row_apply(row, memory, &regs);
	memory_free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 + SEED)
		return 0;
	const uint8_t *seed = data + 1;
	size_t len = size - 1 - SEED;
	struct elf_file elf = {.fd = -1, .size = len};
	elf.image = malloc(len + 1);
	if (!elf.image)
		return 0;
	memcpy(elf.image, data + 1 + SEED, len);
	struct fde_index index = {
	        .section = {.elf = &elf, .offset = 0, .va = VA, .size = len, .debug_frame = data[0] & 1}};
	for (unsigned i = 0; i < 32; i++) {
		struct arena arena = {0};
		struct fde fde;
		const struct row *row;
		uint64_t va = i < 16 ? i * 16 : VA + seed[i] * 16;
		if (!fde_find(&index, va, &fde)) {
			if (!row_make(&fde, va, &arena, &row))
				apply(row, seed);
			fde_fini(&fde);
		}
		arena_fini(&arena);
	}
	fde_index_fini(&index);
	elf_close(&elf);
	return 0;
}
