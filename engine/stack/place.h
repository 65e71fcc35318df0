/* What is known of one address of a module; see module.c. */
#ifndef RILLE_STACK_PLACE_H
#define RILLE_STACK_PLACE_H

#include "engine/stack/module.h"

struct row;

struct place {
	struct place *next;
	uint64_t va;
	const struct row *row;       /* NULL: none */
	const struct symbol *symbol; /* NULL: none */
	const char *file;
	int line;
	uint64_t site; /* its part of struct stack.site; 0 = not computed yet */
	bool row_tried, symbol_tried, line_tried;
};

/* Of this address, made if need be; valid until the next call for this module. NULL: out of memory. */
struct place *module_place(struct module *module, uint64_t va);
const struct row *place_row(struct module *module, struct place *place);
enum step place_step(
        struct module *module, struct place *place, struct memory *memory, struct regs *regs, bool *ret_signal);
const struct symbol *place_symbol(struct module *module, struct place *place);
bool place_line(struct module *module, struct place *place, const char **ret_file, int *ret_line);

#endif
