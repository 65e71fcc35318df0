/* One ELF file that is or was mapped: program headers, unwind information, symbols. Read with pread() into our own
 * memory. */
#ifndef RILLE_STACK_MODULE_H
#define RILLE_STACK_MODULE_H

#include "engine/proc/proc.h"
#include "engine/stack/memory.h"
#include "engine/stack/regs.h"

#include <stdbool.h>
#include <stdint.h>

struct module;

/* The module of a mapping, opened and parsed on first use and kept in its mapped_file; NULL if it cannot be read or is
 * no ELF file (remembered, not tried again while the file is the same). */
struct module *module_of(struct process *process, const struct mapping *mapping);
/* From a descriptor (taken over), for tests and for separate debug files. */
struct module *module_open(int fd, const char *path);
void module_free(void *module);
/* Where separate debug files are; borrowed, NULL = /usr/lib/debug. Before the first name is asked for. */
void module_set_debug_root(struct module *module, const char *debug_root);
/* Whether va is in the file's first instructions, which nobody called. */
bool module_at_entry(const struct module *module, uint64_t va);

/* Address in the process → virtual address in the ELF file. */
uint64_t module_address(const struct module *module, const struct mapping *mapping, uint64_t address);
/* … and the load bias: process address = bias + ELF virtual address. */
uint64_t module_bias(const struct module *module, const struct mapping *mapping);

struct symbol {
	uint64_t address; /* ELF virtual address */
	uint64_t size;
	const char *name; /* demangled, interned */
};
/* The function whose [address, address+size) holds va, from .symtab, .dynsym, .gnu_debugdata or a separate debug
 * file. */
const struct symbol *module_symbol(struct module *module, uint64_t va);
/* A symbol by (mangled) name: from .dynsym, then .symtab. 0 = none. Any type (objects too). */
uint64_t module_lookup(struct module *module, const char *name);
/* … and its size in bytes. */
uint64_t module_lookup_sized(struct module *module, const char *name, uint64_t *ret_size);
/* Reads initialised data at an ELF virtual address from the file: 0 or -EFAULT. */
int module_read(struct module *module, uint64_t va, void *buffer, size_t len);
/* Source file and line from DWARF, if the file itself has it. */
bool module_line(struct module *module, uint64_t va, const char **ret_file, int *ret_line);
const char *module_path(const struct module *module);
const char *module_build_id(const struct module *module); /* hexadecimal or NULL */

/* One step of call frame information at `va` (for a return address: the address minus one, so that it lies in the
 * call). STEP_OK: regs are the caller's. `ret_signal`: the frame is a signal trampoline, so the caller's pc is
 * exact. */
enum step { STEP_OK, STEP_ROOT, STEP_NO_CFI, STEP_UNREADABLE };
enum step module_step(struct module *module, uint64_t va, struct memory *memory, struct regs *regs, bool *ret_signal);

#endif
