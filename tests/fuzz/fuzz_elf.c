/* Any bytes as an ELF file: headers, sections, notes, symbol tables, packed debug data, and the rows of its own
 * .eh_frame. */
#include "engine/stack/elffile.h"
#include "engine/stack/module.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(struct module *module, uint64_t va)
{
	struct memory *memory = memory_new();
	struct regs regs = {.valid = (1ULL << NREGS) - 1};
	uint64_t stack[64] = {0};
	bool signal;
	uint8_t bytes[16];
	if (!memory)
		return;
	regs_set(&regs, REG_SP, 0x7fff0000);
	regs_set(&regs, REG_FP, 0x7fff0080);
	memory_begin(memory, 1, false, stack, 0x7fff0000, sizeof(stack), 0);
	module_step(module, va, memory, &regs, &signal);
	module_symbol(module, va);
	module_read(module, va, bytes, sizeof(bytes));
	memory_free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
		close(fd);
		return 0;
	}
	struct module *module = module_open(fd, "/nowhere/fuzz");
	if (!module)
		return 0;
	module_set_debug_root(module, "/nowhere");
	Elf64_Ehdr header = {0};
	memcpy(&header, data, size < sizeof(header) ? size : sizeof(header));
	for (uint64_t va = 0; va < 0x4000; va += 0x35b)
		ask(module, va);
	ask(module, header.e_entry);
	module_lookup(module, "main");
	module_free(module);
	return 0;
}
