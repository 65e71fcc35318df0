/* The text of an integer: the name of a constant, a duration, a size.
 *
 * A prefix of constants ("AF_") says which family a value belongs to (family.c). When a probe is set up the family is copied,
 * one name a value, in order of value, and an event's value is looked up in that: no search through ten thousand
 * constants and no allocation for an event. */
#include "engine/probe/decode.h"
#include "engine/base/grow.h"
#include "engine/base/nearest.h"
#include "engine/probe/family.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- a decoder's names --- */

static uint64_t width_mask(uint8_t width)
{
	return width >= 8 ? UINT64_MAX : (1ull << width * 8) - 1;
}

/* Whether a value of this width can be the constant: CLONE_INTO_CGROUP is 1 << 33. */
static bool fits(int64_t constant, uint8_t width)
{
	uint64_t high = (uint64_t)constant & ~width_mask(width);
	return !high || high == ~width_mask(width);
}

static int by_value(const void *a, const void *b)
{
	const struct decoder_name *x = a, *y = b;
	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Which of two names of one value is shown: the preferred one, then the shorter (SO_RCVTIMEO, not SO_RCVTIMEO_OLD), then
 * the first by name. */
static bool is_better(const struct family *family, const char *a, const char *b)
{
	bool prefer_a = family && family_prefers(family, a), prefer_b = family && family_prefers(family, b);
	if (prefer_a != prefer_b)
		return prefer_a;
	return strlen(a) < strlen(b);
}

static void drop_aliases(struct decoder *decoder, const struct family *family)
{
	size_t kept = 0;
	qsort(decoder->names, decoder->nnames, sizeof(*decoder->names), by_value);
	for (size_t i = 0; i < decoder->nnames; i++) {
		struct decoder_name *last = kept ? &decoder->names[kept - 1] : NULL;
		if (!last || last->value != decoder->names[i].value)
			decoder->names[kept++] = decoder->names[i];
		else if (is_better(family, decoder->names[i].name, last->name))
			*last = decoder->names[i];
	}
	decoder->nnames = kept;
}

/* A combination of flags that each have a name (IN_CLOSE) says nothing new; one with a bit of its own (O_TMPFILE) does.
 */
static void drop_combinations(struct decoder *decoder)
{
	uint64_t single = decoder->enum_mask;
	size_t kept = 0;
	for (size_t i = 0; i < decoder->nnames; i++)
		if (__builtin_popcountll(decoder->names[i].value) == 1)
			single |= decoder->names[i].value;
	for (size_t i = 0; i < decoder->nnames; i++) {
		uint64_t v = decoder->names[i].value;
		bool is_number = !(v & ~decoder->enum_mask);
		if (is_number || __builtin_popcountll(v) == 1 || v & ~single)
			decoder->names[kept++] = decoder->names[i];
	}
	decoder->nnames = kept;
}

/* Combinations first, since their bits must not be taken for others; otherwise in order of value. */
static int by_bits(const void *a, const void *b)
{
	const struct decoder_name *x = a, *y = b;
	int bits_x = __builtin_popcountll(x->value), bits_y = __builtin_popcountll(y->value);
	if (bits_x != bits_y && (bits_x > 1 || bits_y > 1))
		return bits_x > bits_y ? -1 : 1;
	return by_value(a, b);
}

static int collect(struct decoder *decoder, const char *prefix)
{
	const struct family *family = family_find(prefix);
	size_t n, len = strlen(prefix);
	const struct constant *run = family_run(prefix, &n);
	decoder->enum_mask = family && decoder->format == FORMAT_FLAGS ? family->enum_mask : 0;
	for (size_t i = 0; i < n; i++) {
		if (!run[i].name[len] || family_is_bound(run[i].name) ||
		        (family && family_skips(family, run[i].name)) || !fits(run[i].value, decoder->width))
			continue;
		if (grow(&decoder->names, &decoder->names_cap, decoder->nnames + 1, sizeof(*decoder->names)))
			return -ENOMEM;
		decoder->names[decoder->nnames++] =
		        (struct decoder_name){(uint64_t)run[i].value & width_mask(decoder->width), run[i].name};
	}
	if (!decoder->nnames)
		return 0;
	drop_aliases(decoder, family);
	if (decoder->format == FORMAT_FLAGS) {
		drop_combinations(decoder);
		qsort(decoder->names, decoder->nnames, sizeof(*decoder->names), by_bits);
	}
	return 0;
}

int decoder_init(struct decoder *decoder, const struct field_schema *field, struct err *err)
{
	memset(decoder, 0, sizeof(*decoder));
	decoder->format = field->format;
	decoder->kind = field->kind;
	decoder->width = field->width;
	if (field->format != FORMAT_ENUM && field->format != FORMAT_FLAGS)
		return 0;
	int r = collect(decoder, field->prefix);
	if (r)
		decoder_fini(decoder);
	return r ? err_nomem(err) : 0;
}

void decoder_fini(struct decoder *decoder)
{
	free(decoder->names);
	decoder->names = NULL;
	decoder->nnames = decoder->names_cap = 0;
}

/* --- what `as` names --- */

static const struct {
	const char *name;
	enum format_kind format;
} FORMATS[] = {
        {"hex", FORMAT_HEX},
        {"octal", FORMAT_OCTAL},
        {"ns", FORMAT_NS},
        {"bytes", FORMAT_BYTES},
        {"errno", FORMAT_ERRNO},
        {"ip", FORMAT_IP},
};

static int unknown_format(const char *as, struct err *err)
{
	struct nearest nearest;
	nearest_init(&nearest, as);
	for (size_t i = 0; i < sizeof(FORMATS) / sizeof(FORMATS[0]); i++)
		nearest_offer(&nearest, FORMATS[i].name);
	family_offer(&nearest);
	err_set(err, -EINVAL, ERR_SCRIPT, "unknown-format",
	        "there is no format \"%s\", and no constant begins like that", as);
	if (nearest.best)
		err_hint(err, "did you mean \"%s\"?", nearest.best);
	else
		err_hint(err, "hex, octal, ns, bytes, errno, ip, or a prefix of constants like \"AF_\"");
	return -EINVAL;
}

int decode_format(const char *as, enum format_kind *ret_format, char ret_prefix[32], struct err *err)
{
	size_t n, len = strlen(as);
	ret_prefix[0] = '\0';
	for (size_t i = 0; i < sizeof(FORMATS) / sizeof(FORMATS[0]); i++)
		if (!strcmp(FORMATS[i].name, as)) {
			*ret_format = FORMATS[i].format;
			return 0;
		}
	const struct family *family = family_find(as);
	if (!len || len >= 32 || !isupper((unsigned char)as[0]))
		return unknown_format(as, err);
	/* A whole name, or half a word, is not a prefix: "AF" would show AF_INET6 as well as AFFS's. */
	family_run(as, &n);
	if (!n || (!family && as[len - 1] != '_'))
		return unknown_format(as, err);
	memcpy(ret_prefix, as, len + 1);
	*ret_format = family ? family->format : family_guess(as);
	return 0;
}

/* --- names --- */

static const char *find(const struct decoder *decoder, uint64_t value)
{
	const struct decoder_name *names = decoder->names;
	for (size_t low = 0, high = decoder->nnames; low < high;) {
		size_t middle = low + (high - low) / 2;
		if (names[middle].value == value)
			return names[middle].name;
		if (names[middle].value < value)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const char *errno_name(int64_t value)
{
	/* What a system call returns inside the kernel before it is begun again; programs never see these. */
	static const char *const INTERNAL[] = {
	        "ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND", "ENOIOCTLCMD", "ERESTART_RESTARTBLOCK"};
	uint64_t n = value < 0 ? -(uint64_t)value : (uint64_t)value;
	if (n >= 512 && n < 512 + sizeof(INTERNAL) / sizeof(INTERNAL[0]))
		return INTERNAL[n - 512];
	return n && n < 4096 ? strerrorname_np((int)n) : NULL;
}

const char *decode_name(const struct decoder *decoder, int64_t value)
{
	if (decoder->format == FORMAT_ERRNO)
		return errno_name(value);
	return decoder->format == FORMAT_ENUM ? find(decoder, (uint64_t)value & width_mask(decoder->width)) : NULL;
}

static void add_word(struct text *out, size_t start, const char *word)
{
	if (out->len > start)
		text_addc(out, '|');
	text_adds(out, word);
}

static void add_rest(struct text *out, size_t start, uint64_t rest)
{
	add_word(out, start, "0x");
	text_addx(out, rest);
}

/* "SOCK_STREAM|SOCK_CLOEXEC|0x4000". Of the bits in enum_mask one name, of the others one each. */
static void decode_flags(const struct decoder *decoder, uint64_t value, struct text *out)
{
	size_t start = out->len;
	uint64_t number = value & decoder->enum_mask, left = value & ~decoder->enum_mask;
	const char *number_name = NULL;
	for (size_t i = 0; i < decoder->nnames && !number_name; i++)
		if (decoder->names[i].value == number && (decoder->enum_mask || !value))
			number_name = decoder->names[i].name;
	if (number_name)
		text_adds(out, number_name);
	else if (number)
		add_rest(out, start, number);
	for (size_t i = 0; i < decoder->nnames && left; i++) {
		uint64_t bits = decoder->names[i].value;
		if (!bits || (bits & left) != bits || bits & decoder->enum_mask)
			continue;
		add_word(out, start, decoder->names[i].name);
		left &= ~bits;
	}
	if (left)
		add_rest(out, start, left);
	else if (out->len == start)
		text_addc(out, '0');
}

/* --- numbers --- */

struct unit {
	uint64_t size;
	const char *name;
};

/* Three digits at most, the last ones rounded, no trailing zeros: 1.5, 12.3, 850. */
static void add_scaled(uint64_t value, const struct unit *unit, struct text *out)
{
	uint64_t whole = value / unit->size, rest = value % unit->size;
	unsigned scale = whole >= 100 ? 1 : whole >= 10 ? 10 : 100;
	uint64_t parts = (uint64_t)((double)rest / (double)unit->size * scale + 0.5);
	whole += parts / scale;
	parts %= scale;
	text_addu(out, whole);
	if (parts) {
		text_addc(out, '.');
		if (scale == 100 && parts < 10)
			text_addc(out, '0');
		text_addu(out, scale == 100 && parts % 10 == 0 ? parts / 10 : parts);
	}
	text_addc(out, ' ');
	text_adds(out, unit->name);
}

static void decode_ns(int64_t value, struct text *out)
{
	static const struct unit UNITS[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "us"}, {1, "ns"}};
	uint64_t v = value < 0 ? -(uint64_t)value : (uint64_t)value;
	const struct unit *unit = UNITS;
	/* 999.6 us is shown as 1 ms: what would round up to a thousand has the next unit. */
	while (unit->size > 1 && v < unit->size - unit->size / 2000)
		unit++;
	if (value < 0)
		text_addc(out, '-');
	add_scaled(v, unit, out);
}

/* Up to 1023 of a unit are shown in it; 1023.5 and more would round to 1024. */
static void decode_size(uint64_t v, struct text *out)
{
	static const struct unit UNITS[] = {
	        {1ull << 40, "TiB"}, {1ull << 30, "GiB"}, {1ull << 20, "MiB"}, {1ull << 10, "KiB"}, {1, "B"}};
	const struct unit *unit = UNITS;
	while (unit->size > 1 && v < unit->size - unit->size / 2048)
		unit++;
	add_scaled(v, unit, out);
}

static void decode_octal(uint64_t v, struct text *out)
{
	char digits[24];
	size_t n = sizeof(digits);
	do
		digits[--n] = (char)('0' + (v & 7));
	while (v >>= 3);
	if (digits[n] != '0')
		text_addc(out, '0');
	text_add(out, digits + n, sizeof(digits) - n);
}

void decode_ip(const void *data, size_t len, struct text *out)
{
	static const char HEX[] = "0123456789abcdef";
	char buf[INET6_ADDRSTRLEN];
	const uint8_t *bytes = data;
	if ((len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6, data, buf, sizeof(buf))) {
		text_adds(out, buf);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		text_addc(out, HEX[bytes[i] >> 4]);
		text_addc(out, HEX[bytes[i] & 15]);
	}
}

static void decode_number(const struct decoder *decoder, int64_t value, struct text *out)
{
	if (decoder->kind == VALUE_BOOL)
		text_adds(out, value ? "true" : "false");
	else if (decoder->kind == VALUE_UINT)
		text_addu(out, (uint64_t)value);
	else
		text_addi(out, value);
}

static void add_name(const struct decoder *decoder, int64_t value, struct text *out)
{
	const char *name = decode_name(decoder, value);
	if (name)
		text_adds(out, name);
	else
		decode_number(decoder, value, out);
}

void decode(const struct decoder *decoder, int64_t value, struct text *out)
{
	uint64_t bits = (uint64_t)value & width_mask(decoder->width);
	uint8_t width = decoder->width && decoder->width < 8 ? decoder->width : 8;
	switch (decoder->format) {
	case FORMAT_HEX:
		text_adds(out, "0x");
		text_addx(out, bits);
		return;
	case FORMAT_OCTAL:
		decode_octal(bits, out);
		return;
	case FORMAT_NS:
		decode_ns(value, out);
		return;
	case FORMAT_BYTES:
		if (value < 0 && decoder->kind != VALUE_UINT)
			decode_number(decoder, value, out); /* an error instead of a size */
		else
			decode_size((uint64_t)value, out);
		return;
	case FORMAT_IP:
		decode_ip(&bits, width, out);
		return;
	case FORMAT_ENUM:
	case FORMAT_ERRNO:
		add_name(decoder, value, out);
		return;
	case FORMAT_FLAGS:
		decode_flags(decoder, bits, out);
		return;
	case FORMAT_NONE:
		decode_number(decoder, value, out);
		return;
	}
}
