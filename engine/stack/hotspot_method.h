/* Java methods: from a Method* to class, name, source file and line. */
#ifndef RILLE_STACK_HOTSPOT_METHOD_H
#define RILLE_STACK_HOTSPOT_METHOD_H

#include "engine/stack/hotspot_layout.h"
#include "engine/stack/memory.h"

#include <stdbool.h>
#include <stdint.h>

struct intern;

/* One decoded method. Strings are interned. */
struct hs_method {
	uint64_t address; /* Method*; 0 = empty slot */
	/* What the rest follows from; equal pointers mean that the class is still the same. */
	uint64_t const_method, holder, class_name;
	uint64_t code; /* the first bytecode */
	uint32_t code_size;
	uint32_t line_table_len;
	uint8_t *line_table; /* compressed, owned; NULL = compiled without lines */
	const char *name;    /* "java.lang.String.<init>" */
	const char *signature;
	const char *file; /* NULL = not known */
	bool native;
	uint64_t round; /* of validation: hotspot_cache.c */
};

struct hs_methods;

struct hs_methods *hs_methods_new(const struct hs_layout *layout, struct intern *names);
void hs_methods_free(struct hs_methods *methods);
/* Forgets everything. */
void hs_methods_clear(struct hs_methods *methods);

/* The method at an address, from the cache or decoded; NULL if the address is no method or cannot be read. A cached
 * method may be stale (its class was unloaded, and something else is there now) until it has been validated; *ret_fresh
 * tells. It lives until the next call. */
struct hs_method *hs_method_get(struct hs_methods *methods, struct memory *memory, uint64_t address, bool *ret_fresh);

/* The source line of a bytecode index; 0 = not known, -2 = native. bci < 0 (entry of a synchronized method) counts as
 * 0, as in a Throwable. */
int32_t hs_method_line(const struct hs_layout *layout, const struct hs_method *method, int32_t bci);
/* The same for a table on its own. */
int32_t hs_line_table_find(const uint8_t *table, uint32_t len, uint8_t unsigned5_excluded, int32_t bci);

#endif
