/* The separate files that distributions put symbols and line tables into. */
#ifndef RILLE_STACK_DEBUGFILE_H
#define RILLE_STACK_DEBUGFILE_H

#include "engine/stack/elffile.h"

/* Opens the debug file of `elf`, found by build id or .gnu_debuglink. `path` is the file's own. A descriptor, or
 * -ENOENT. */
int debugfile_open(const struct elf_file *elf, const char *path, const char *debug_root);
/* Unpacks .gnu_debugdata ("mini debug info": a small symbol table, xz). 0, -ENOENT, -EINVAL. */
int debugdata_open(const struct elf_file *elf, struct elf_file *ret);

#endif
