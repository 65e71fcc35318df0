/* Strings kept once, for as long as the resolver lives: frames point to them. */
#ifndef RILLE_STACK_INTERN_H
#define RILLE_STACK_INTERN_H

#include <stddef.h>

struct intern;

struct intern *intern_new(void);
void intern_free(struct intern *intern);
/* The one copy of these bytes, NUL-terminated (they hold no NUL). NULL: out of memory. */
const char *intern_bytes(struct intern *intern, const char *bytes, size_t len);
const char *intern_text(struct intern *intern, const char *text);

#endif
