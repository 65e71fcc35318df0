/* Names of members in the format jsonl: what a field is called there, and back. */
#ifndef RILLE_OUT_JSONL_NAMES_H
#define RILLE_OUT_JSONL_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* An event's own member has this name, or has it without the underscores at its end: a field of this name gets one more. So
 * whoever reads takes one away and has the name. */
bool jsonl_is_reserved(const char *name);
/* How much of a member's name is the field's. */
size_t jsonl_name_length(const char *key);

#endif
