/* Names of the kernel's functions. */
#ifndef RILLE_STACK_KALLSYMS_H
#define RILLE_STACK_KALLSYMS_H

#include <stdint.h>

struct kallsyms;

/* Reads /proc/kallsyms; without permission it has no addresses and nothing is found. NULL: out of memory. */
struct kallsyms *kallsyms_load(void);
void kallsyms_free(struct kallsyms *kallsyms);
/* The symbol at or before an address, its module ("ext4") or NULL, and where it starts; NULL if none. */
const char *kallsyms_find(
        const struct kallsyms *kallsyms, uint64_t address, const char **ret_module, uint64_t *ret_start);

#endif
