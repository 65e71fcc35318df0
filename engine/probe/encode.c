/* The way back from a decoder's text to the number, for traces that are read again.
 *
 * A constant is looked up among the names that the decoder shows, so what it wrote it reads; a name that it would not
 * show (of a newer kernel's headers, or an alias) is looked up among all constants. Errors lose their sign when they are
 * written: the positive number stands for both. */
#include "engine/probe/catalog.h"
#include "engine/probe/decode.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool encode_name(const struct decoder *decoder, const char *word, size_t len, uint64_t *ret)
{
	char name[128];
	if (len >= sizeof(name))
		return false;
	memcpy(name, word, len);
	name[len] = 0;
	for (size_t i = 0; i < decoder->nnames; i++)
		if (strcmp(decoder->names[i].name, name) == 0) {
			*ret = decoder->names[i].value;
			return true;
		}
	const struct constant *constant = constant_find(name);
	if (constant)
		*ret = (uint64_t)constant->value;
	return constant;
}

static bool encode_hex(const char *word, size_t len, uint64_t *ret)
{
	char digits[24], *end;
	if (len < 3 || len >= sizeof(digits) || word[0] != '0' || word[1] != 'x')
		return false;
	memcpy(digits, word, len);
	digits[len] = 0;
	errno = 0;
	*ret = strtoull(digits + 2, &end, 16);
	return !*end && !errno && digits[2] != '-' && digits[2] != '+';
}

/* "SOCK_STREAM|SOCK_CLOEXEC|0x4000"; one name is the same without a bar. */
static bool encode_flags(const struct decoder *decoder, const char *text, size_t len, int64_t *ret)
{
	uint64_t all = 0, bits;
	for (;;) {
		const char *bar = memchr(text, '|', len);
		size_t n = bar ? (size_t)(bar - text) : len;
		if (!encode_hex(text, n, &bits) && !encode_name(decoder, text, n, &bits))
			return false;
		all |= bits;
		if (!bar)
			break;
		text += n + 1;
		len -= n + 1;
	}
	*ret = (int64_t)all;
	return true;
}

static bool encode_errno(const char *text, size_t len, int64_t *ret)
{
	for (int64_t n = 1; n < 1024; n++) {
		const char *name = errno_name(n);
		if (name && strlen(name) == len && memcmp(name, text, len) == 0) {
			*ret = n;
			return true;
		}
	}
	return false;
}

size_t encode_ip(const char *text, size_t len, uint8_t ret[16])
{
	char copy[INET6_ADDRSTRLEN];
	if (len >= sizeof(copy) || memchr(text, 0, len))
		return 0;
	memcpy(copy, text, len);
	copy[len] = 0;
	if (inet_pton(AF_INET, copy, ret) == 1)
		return 4;
	return inet_pton(AF_INET6, copy, ret) == 1 ? 16 : 0;
}

/* Of 4 bytes; other widths are written as their bytes in hexadecimal. */
static bool encode_ip_number(const char *text, size_t len, int64_t *ret)
{
	uint8_t bytes[16] = {0};
	size_t n = encode_ip(text, len, bytes);
	if (!n)
		for (n = 0; n < 8 && 2 * n + 2 <= len; n++) {
			char digits[] = {text[2 * n], text[2 * n + 1], 0}, *end;
			bytes[n] = (uint8_t)strtoul(digits, &end, 16);
			if (*end)
				return false;
		}
	if (!n || n > sizeof(*ret))
		return false;
	memcpy(ret, bytes, sizeof(*ret));
	return true;
}

bool encode(const struct decoder *decoder, const char *text, size_t len, int64_t *ret)
{
	*ret = 0;
	switch (decoder->format) {
	case FORMAT_ENUM:
	case FORMAT_FLAGS:
		return encode_flags(decoder, text, len, ret);
	case FORMAT_ERRNO:
		return encode_errno(text, len, ret);
	case FORMAT_IP:
		return encode_ip_number(text, len, ret);
	default:
		return false;
	}
}

const char *format_name(enum format_kind format, const char *prefix)
{
	static const char *const names[] = {[FORMAT_HEX] = "hex",
	        [FORMAT_OCTAL] = "octal",
	        [FORMAT_NS] = "ns",
	        [FORMAT_BYTES] = "bytes",
	        [FORMAT_ERRNO] = "errno",
	        [FORMAT_IP] = "ip"};
	if (format == FORMAT_ENUM || format == FORMAT_FLAGS)
		return prefix;
	return (size_t)format < sizeof(names) / sizeof(*names) ? names[format] : NULL;
}
