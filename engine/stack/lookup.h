/* Finding one symbol by its name. */
#ifndef RILLE_STACK_LOOKUP_H
#define RILLE_STACK_LOOKUP_H

#include "engine/stack/elffile.h"

/* A defined symbol of that (mangled) name, of any type, from .dynsym, else from .symtab. */
bool elf_lookup(const struct elf_file *elf, const char *name, uint64_t *ret_value, uint64_t *ret_size);

#endif
