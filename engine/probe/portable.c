/* Objects that are made on one machine and loaded on another, which has no compiler.
 *
 * The loader needs more than the programs: what the records look like, which parameters there are, what a script wants to
 * be called for. It could be told all of that, and would have to distrust all of it. Instead the object carries, in a section
 * of its own, what was declared (the script's text, or the probes) and the SHA-256 of the C that came of it. The loading
 * side declares and generates again, without compiling. If the same C comes out, the object is what the compiler would have
 * made of it, and everything else about it is known at first hand: offsets of structures are relocated by libbpf when
 * it is loaded, and who is traced is decided by variables. If another text comes out (tracepoints with other fields, another
 * version of the engine, a setting that changes the program), the object does not fit, and that is what the user is told.
 *
 * The section, numbers in the machine's order, text as a u32 length and the bytes (length 0xffffffff: there is none):
 *
 *     "rille-object-1\n\0"   16 bytes
 *     seal                   32: SHA-256 of the whole file with this field zero
 *     digest                 32: of the C text
 *     version, kernel, machine            text
 *     stack sides, depth                  u32 each
 *     filter                              text
 *     1, name, source, n × (name, text)   u32, text …: a script and the files that it requires
 *     2, n × probe                        u32 …: probes declared from C
 *
 * The seal finds damage, not malice: whoever can write an object can seal it. Its code passes the verifier, and its
 * script the sandbox; yet it is to be trusted as much as a program that is run as root. */
#include "engine/probe/portable.h"
#include "engine/probe/gen_impl.h"

#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define SECTION ".rille"

static const char magic[16] = "rille-object-1\n";
enum { SEAL_AT = 16, DIGEST_AT = SEAL_AT + PORTABLE_DIGEST, BODY_AT = DIGEST_AT + PORTABLE_DIGEST };
enum { KIND_SCRIPT = 1, KIND_PROBES = 2 };
enum { MOST_FILES = 256 };
static const uint32_t NO_TEXT = 0xffffffff;

void portable_digest(const struct text *source, uint8_t ret[PORTABLE_DIGEST])
{
	SHA2_CTX sha;
	SHA256Init(&sha);
	SHA256Update(&sha, (const uint8_t *)text_str(source), source->len);
	SHA256Final(ret, &sha);
}

/* --- writing --- */

static void put_u32(struct text *out, uint32_t n)
{
	text_add(out, &n, sizeof(n));
}

static void put_bytes(struct text *out, const char *s, size_t len)
{
	put_u32(out, (uint32_t)len);
	text_add(out, s, len);
}

static void put_text(struct text *out, const char *s)
{
	if (s)
		put_bytes(out, s, strlen(s));
	else
		put_u32(out, NO_TEXT);
}

static void put_probe(struct text *out, const struct spec_probe *probe)
{
	put_text(out, probe->on.text);
	put_text(out, probe->where.text);
	put_u32(out, probe->stack.sides);
	put_u32(out, probe->stack.depth);
	put_u32(out, probe->stack.max_bytes);
	put_u32(out, (uint32_t)probe->nfields);
	for (size_t i = 0; i < probe->nfields; i++) {
		put_text(out, probe->fields[i].name.text);
		put_text(out, probe->fields[i].expr.text);
		put_text(out, probe->fields[i].as.text);
	}
}

static void put_declared(struct text *out, const struct spec *spec)
{
	put_text(out, spec->filter.text);
	put_u32(out, spec->source ? KIND_SCRIPT : KIND_PROBES);
	if (spec->source) {
		put_text(out, spec->name);
		put_text(out, spec->source);
		put_u32(out, (uint32_t)spec->nfiles);
		for (size_t i = 0; i < spec->nfiles; i++) {
			put_text(out, spec->files[i].name);
			put_bytes(out, spec->files[i].text, spec->files[i].len);
		}
		return;
	}
	put_u32(out, (uint32_t)spec->nprobes);
	for (size_t i = 0; i < spec->nprobes; i++)
		put_probe(out, &spec->probes[i]);
}

int portable_describe(const struct spec *spec, const struct gen_options *options, const char *version,
        struct text *source, struct err *err)
{
	struct text bytes = {0};
	struct utsname name;
	uint8_t sums[2 * PORTABLE_DIGEST] = {0};
	uname(&name);
	portable_digest(source, sums + PORTABLE_DIGEST);
	text_add(&bytes, magic, sizeof(magic));
	text_add(&bytes, sums, sizeof(sums));
	put_text(&bytes, version);
	put_text(&bytes, name.release);
	put_text(&bytes, name.machine);
	put_u32(&bytes, options->force_stack);
	put_u32(&bytes, options->depth);
	put_declared(&bytes, spec);
	text_printf(source, "char rille_description[%zu] SEC(\"" SECTION "\") =\n", bytes.len + 1);
	for (size_t at = 0; at < bytes.len; at += 64) {
		emit_c_string(source, bytes.data + at, bytes.len - at < 64 ? bytes.len - at : 64);
		text_addc(source, '\n');
	}
	text_adds(source, ";\n");
	bool failed = text_failed(&bytes) || text_failed(source);
	text_fini(&bytes);
	return failed ? err_nomem(err) : 0;
}

/* --- the section --- */

static int bad_object(struct err *err, const char *why)
{
	err_set(err, -EINVAL, ERR_SCRIPT, "bad-object", "this is not an object that can be loaded: %s", why);
	err_hint(err, "objects are made by 'rille emit FILE --object OUT'");
	return -EINVAL;
}

bool portable_is_object(const void *data, size_t len)
{
	return len > SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0;
}

/* Where the section's bytes lie in the file, or 0. */
static size_t find_section(Elf *elf, size_t len, size_t *ret_len)
{
	size_t names;
	if (elf_kind(elf) != ELF_K_ELF || elf_getshdrstrndx(elf, &names) < 0)
		return 0;
	for (Elf_Scn *section = elf_nextscn(elf, NULL); section; section = elf_nextscn(elf, section)) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header))
			continue;
		const char *name = elf_strptr(elf, names, header.sh_name);
		if (!name || strcmp(name, SECTION) != 0 || header.sh_type != SHT_PROGBITS)
			continue;
		if (header.sh_offset == 0 || header.sh_offset > len || header.sh_size > len - header.sh_offset)
			return 0;
		*ret_len = header.sh_size;
		return header.sh_offset;
	}
	return 0;
}

static int locate(const void *data, size_t len, size_t *ret_at, size_t *ret_len, struct err *err)
{
	if (!portable_is_object(data, len))
		return bad_object(err, "it is no ELF file");
	if (elf_version(EV_CURRENT) == EV_NONE)
		return bad_object(err, "libelf does not work");
	Elf *elf = elf_memory((char *)(uintptr_t)data, len); /* which is not written to */
	if (!elf)
		return bad_object(err, "it is no ELF file");
	*ret_at = find_section(elf, len, ret_len);
	elf_end(elf);
	if (!*ret_at)
		return bad_object(err, "it has no section " SECTION);
	if (*ret_len < BODY_AT || memcmp((const char *)data + *ret_at, magic, sizeof(magic)) != 0)
		return bad_object(err, "its description is of another version");
	return 0;
}

/* The file's sum, with the seal taken for zeros. */
static void sum_of(const uint8_t *data, size_t len, size_t seal, uint8_t ret[PORTABLE_DIGEST])
{
	static const uint8_t zeros[PORTABLE_DIGEST];
	SHA2_CTX sha;
	SHA256Init(&sha);
	SHA256Update(&sha, data, seal);
	SHA256Update(&sha, zeros, sizeof(zeros));
	SHA256Update(&sha, data + seal + PORTABLE_DIGEST, len - seal - PORTABLE_DIGEST);
	SHA256Final(ret, &sha);
}

int portable_seal(void *data, size_t len, struct err *err)
{
	size_t at, n;
	int r = locate(data, len, &at, &n, err);
	if (r == 0)
		sum_of(data, len, at + SEAL_AT, (uint8_t *)data + at + SEAL_AT);
	return r;
}

/* --- reading: every length is checked against what is left --- */

struct cursor {
	const uint8_t *at;
	size_t left;
	bool bad, no_memory;
};

static uint32_t get_u32(struct cursor *c)
{
	uint32_t n = 0;
	if (c->left < sizeof(n)) {
		c->bad = true;
		return 0;
	}
	memcpy(&n, c->at, sizeof(n));
	c->at += sizeof(n);
	c->left -= sizeof(n);
	return n;
}

static char *get_bytes(struct cursor *c, size_t *ret_len)
{
	uint32_t len = get_u32(c);
	if (c->bad || len == NO_TEXT)
		return NULL;
	char *copy = len <= c->left ? malloc((size_t)len + 1) : NULL;
	if (!copy) {
		c->bad |= len > c->left;
		c->no_memory |= len <= c->left;
		return NULL;
	}
	memcpy(copy, c->at, len);
	copy[len] = '\0';
	c->at += len;
	c->left -= len;
	*ret_len = len;
	return copy;
}

/* A text without zero bytes. */
static char *get_text(struct cursor *c)
{
	size_t len = 0;
	char *text = get_bytes(c, &len);
	c->bad |= text && strlen(text) != len;
	return text;
}

/* One that must be there. */
static char *need_text(struct cursor *c)
{
	char *text = get_text(c);
	c->bad |= !text && !c->no_memory;
	return text;
}

static void get_probe(struct cursor *c, struct spec_probe *probe)
{
	probe->on.text = need_text(c);
	probe->where.text = get_text(c);
	probe->stack.sides = get_u32(c);
	probe->stack.depth = get_u32(c);
	probe->stack.max_bytes = get_u32(c);
	uint32_t n = get_u32(c);
	c->bad |= n > SCHEMA_MAX_FIELDS || probe->stack.sides > (STACK_USER | STACK_KERNEL);
	for (uint32_t i = 0; i < n && !c->bad && !c->no_memory; i++) {
		struct spec_field *field = spec_add_field(probe);
		c->no_memory |= !field;
		if (!field)
			return;
		field->name.text = need_text(c);
		field->expr.text = need_text(c);
		field->as.text = get_text(c);
	}
}

static void get_probes(struct cursor *c, struct spec *spec)
{
	uint32_t n = get_u32(c);
	c->bad |= n == 0 || n > SPEC_MAX_PROBES;
	for (uint32_t i = 0; i < n && !c->bad && !c->no_memory; i++) {
		struct spec_probe *probe = spec_add_probe(spec);
		c->no_memory |= !probe;
		if (probe)
			get_probe(c, probe);
	}
}

static void get_script(struct cursor *c, struct spec *spec)
{
	spec->name = need_text(c);
	spec->source = need_text(c);
	uint32_t n = get_u32(c);
	c->bad |= n > MOST_FILES;
	for (uint32_t i = 0; i < n && !c->bad && !c->no_memory; i++) {
		size_t len = 0;
		char *name = need_text(c), *text = get_bytes(c, &len);
		c->bad |= !text && !c->no_memory;
		c->no_memory |= name && text && spec_add_file(spec, name, text, len) < 0;
		free(name);
		free(text);
	}
}

static void get_declared(struct cursor *c, struct portable *ret)
{
	ret->force_stack = get_u32(c);
	ret->depth = get_u32(c);
	c->bad |= ret->force_stack > (STACK_USER | STACK_KERNEL) || ret->depth > SPEC_MAX_DEPTH;
	ret->spec.filter.text = get_text(c);
	uint32_t kind = get_u32(c);
	ret->is_script = kind == KIND_SCRIPT;
	if (kind == KIND_SCRIPT)
		get_script(c, &ret->spec);
	else if (kind == KIND_PROBES)
		get_probes(c, &ret->spec);
	else
		c->bad = true;
}

static int check_machine(const char *made_on, struct err *err)
{
	struct utsname here;
	if (!made_on || uname(&here) < 0 || strcmp(made_on, here.machine) == 0)
		return 0;
	err_set(err, -EINVAL, ERR_SCRIPT, "foreign-object", "this object was made for %.32s, this machine is %s",
	        made_on, here.machine);
	err_hint(err, "emit it on a machine of this kind");
	return -EINVAL;
}

int portable_read(struct portable *ret, const void *data, size_t len, struct err *err)
{
	size_t at, n;
	uint8_t sum[PORTABLE_DIGEST];
	memset(ret, 0, sizeof(*ret));
	int r = locate(data, len, &at, &n, err);
	if (r < 0)
		return r;
	const uint8_t *section = (const uint8_t *)data + at;
	sum_of(data, len, at + SEAL_AT, sum);
	if (memcmp(sum, section + SEAL_AT, sizeof(sum)) != 0)
		return bad_object(err, "it is damaged");
	memcpy(ret->digest, section + DIGEST_AT, sizeof(ret->digest));
	struct cursor c = {section + BODY_AT, n - BODY_AT, false, false};
	ret->version = need_text(&c);
	ret->kernel = need_text(&c);
	char *machine = need_text(&c);
	get_declared(&c, ret);
	r = c.no_memory ? err_nomem(err)
	    : c.bad     ? bad_object(err, "its description makes no sense")
	                : check_machine(machine, err);
	free(machine);
	if (r < 0)
		portable_fini(ret);
	return r;
}

void portable_fini(struct portable *portable)
{
	spec_fini(&portable->spec);
	free(portable->version);
	free(portable->kernel);
	memset(portable, 0, sizeof(*portable));
}
