/* Source file and line of an address, from DWARF. */
#ifndef RILLE_STACK_LINES_H
#define RILLE_STACK_LINES_H

#include "engine/stack/elffile.h"

struct lines;

/* NULL: the file has no line tables of its own. */
struct lines *lines_load(const struct elf_file *elf);
void lines_free(struct lines *lines);
/* `*ret_file` lives as long as `lines`. */
bool lines_find(struct lines *lines, uint64_t va, const char **ret_file, int *ret_line);

#endif
