/* A field's value as text and as JSON. */
#ifndef RILLE_OUT_VALUE_H
#define RILLE_OUT_VALUE_H

#include "engine/base/text.h"
#include "engine/out/columns.h"
#include "engine/probe/schema.h"

/* For a terminal: 3, [3,4], SOCK_STREAM, "text", 127.0.0.1:80; `-` where the kernel side could not get it. */
void value_text(struct text *out, const struct column *column, const struct value *value);

/* As JSON: numbers exact to 64 bits; a decoder that gives names (constants, errors, flags, addresses) makes strings of
 * them, and leaves a number where no name fits; one that only writes a number differently (hex, ns, …) changes nothing;
 * text is a string, bytes are a string of hexadecimal digits, a socket address is an object; null where it is missing.
 */
void value_json(struct text *out, const struct column *column, const struct value *value);

/* "text" with quotes and backslashes inside escaped, and everything harmful to a terminal. */
void value_quoted(struct text *out, const char *s, size_t n);

/* A script's own value. */
void cell_text(struct text *out, const struct cell *cell);
void cell_json(struct text *out, const struct cell *cell);

#endif
