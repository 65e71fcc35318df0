/* Where things stand in a script: from the strings and tables that Lua returned back to lines and columns. */
#ifndef RILLE_SCRIPT_LOCATE_H
#define RILLE_SCRIPT_LOCATE_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct locator;

enum { LOCATE_NONE = -1 }; /* a node that is not in the source as a literal */

/* Reads `text`; `file` and `text` are borrowed for the locator's life. NULL when out of memory. Any text will do: it
 * need not be valid Lua. */
struct locator *locator_new(const char *file, const char *text, size_t len);
void locator_free(struct locator *locator);

/* The table constructor after the file's last `return`, or LOCATE_NONE. */
int locate_root(const struct locator *locator);
/* The value at a key, or at a position (from 1), of the table constructor `table`; LOCATE_NONE if that is not there to
 * see. */
int locate_key(const struct locator *locator, int table, const char *key);
int locate_item(const struct locator *locator, int table, size_t index);

/* Where a node's value begins; a string's first byte after its quote. Line 0 for LOCATE_NONE. */
struct pos locate_pos(const struct locator *locator, int node);
/* Where its key begins; for an item without key, its value. */
struct pos locate_key_pos(const struct locator *locator, int node);
/* True if the node is a string literal of that value. */
bool locate_is_string(const struct locator *locator, int node, const char *value, size_t len);

/* A string that is not where the table's shape says: the next literal of that value not yet asked for, else the first
 * of that value, anywhere in the file. Line 0 if the file has none. */
struct pos locate_string(struct locator *locator, const char *value, size_t len);

/* The last token `text` on a line; if there is none, the line's first token. For messages that say only "line 3 near
 * 'x'". */
struct pos locate_on_line(const struct locator *locator, uint32_t line, const char *text, size_t len);
/* The file's last `return`, else its first token. */
struct pos locate_return(const struct locator *locator);
/* The place of the end of the file. */
struct pos locate_end(const struct locator *locator);

#endif
