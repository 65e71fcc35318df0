/* The functions of a module by address: a compact index over symbol tables that stay in their files. */
#ifndef RILLE_STACK_SYMBOLS_H
#define RILLE_STACK_SYMBOLS_H

#include "engine/stack/elffile.h"
#include "engine/stack/module.h"

struct symbols;

/* Reads the index of what the file and its debug data have. NULL: out of memory. `elf` is borrowed for its life. */
struct symbols *symbols_load(const struct elf_file *elf, const char *path, const char *debug_root);
void symbols_free(struct symbols *symbols);
/* The function that covers va; NULL if none does. Lives as long as `symbols`. */
const struct symbol *symbols_find(struct symbols *symbols, uint64_t va);

#endif
