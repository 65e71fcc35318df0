/* The text of an integer: the name of a constant, a duration, a size. A decoder never changes a value. */
#ifndef RILLE_PROBE_DECODE_H
#define RILLE_PROBE_DECODE_H

#include "engine/base/err.h"
#include "engine/base/text.h"
#include "engine/probe/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct decoder_name {
	uint64_t value;
	const char *name; /* static */
};

/* Prepared once a field, so that decoding an event looks at the few constants of one prefix and allocates nothing. */
struct decoder {
	enum format_kind format;
	enum value_kind kind;
	uint8_t width;
	uint64_t enum_mask; /* FORMAT_FLAGS: these bits are one number, not flags (SOCK_: 0xf, O_: 3); 0 = none */
	struct decoder_name *names;
	size_t nnames, names_cap;
};

/* What `as` names: "hex", "octal", "ns", "bytes", "errno", "ip", or a prefix of constants ("AF_", "SOCK_"), which is
 * FORMAT_ENUM or FORMAT_FLAGS by what its constants look like. -EINVAL with the tag unknown-format and a hint. */
int decode_format(const char *as, enum format_kind *ret_format, char ret_prefix[32], struct err *err);

/* Fails only for want of memory. The decoder borrows nothing from the field. A format of FORMAT_NONE is fine. */
int decoder_init(struct decoder *decoder, const struct field_schema *field, struct err *err);
void decoder_fini(struct decoder *decoder);

/* Appends the text of one element, as value_int() gives it. Without a format, or where no constant fits, the number. */
void decode(const struct decoder *decoder, int64_t value, struct text *out);

/* The constant's name where the value has exactly one name (enum, errno), else NULL: for sinks that show both. */
const char *decode_name(const struct decoder *decoder, int64_t value);

/* "ENOENT" for 2 and -2; NULL if there is no such error. */
const char *errno_name(int64_t value);

/* Appends an address of 4 or 16 bytes in network order; other lengths as hexadecimal. */
void decode_ip(const void *data, size_t len, struct text *out);

/* --- the way back (encode.c) --- */

/* The number that a decoder shows as this text: names of constants and errors, addresses. False: it shows none so. */
bool encode(const struct decoder *decoder, const char *text, size_t len, int64_t *ret);

/* The bytes of an address, 4 or 16; 0 if the text is none. */
size_t encode_ip(const char *text, size_t len, uint8_t ret[16]);

/* What decode_format() takes; NULL for FORMAT_NONE. */
const char *format_name(enum format_kind format, const char *prefix);

#endif
