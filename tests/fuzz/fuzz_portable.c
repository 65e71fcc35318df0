/* An object of unknown origin. The first byte chooses: the rest is a whole file, or a file whose seal is put right (what an
 * attacker would do), or the body of a description, which gets a file and a seal around it. What is read is declared
 * as rille_load_object() does, up to attaching. */
#include "engine/probe/portable.h"
#include "rille.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void load(const void *data, size_t len)
{
	const struct rille_options options = {.size = sizeof(options), .cache_dir = "", .compiler = "/nonexistent"};
	struct portable made;
	struct err err = {0};
	if (portable_read(&made, data, len, &err) == 0)
		portable_fini(&made);
	else if (!err.code || !err.tag || !err.message[0])
		abort(); /* every failure says what it is */
	rille *r = rille_new(&options);
	if (r && rille_load_object(r, data, len) < 0 && !rille_last_error(r)->message[0])
		abort();
	rille_free(r);
}

/* A file with nothing but the section. */
static uint8_t *wrap(const uint8_t *body, size_t n, size_t *ret_len)
{
	static const char names[] = "\0.shstrtab\0.rille";
	enum { HEAD = 16 + 32 + 32, NAMES_AT = sizeof(Elf64_Ehdr), SECTION_AT = NAMES_AT + 24 };
	size_t headers = (SECTION_AT + HEAD + n + 7) / 8 * 8;
	*ret_len = headers + 3 * sizeof(Elf64_Shdr);
	uint8_t *file = calloc(1, *ret_len);
	if (!file)
		return NULL;
	Elf64_Ehdr elf = {.e_type = ET_REL,
	        .e_machine = EM_BPF,
	        .e_version = EV_CURRENT,
	        .e_shoff = headers,
	        .e_ehsize = sizeof(elf),
	        .e_shentsize = sizeof(Elf64_Shdr),
	        .e_shnum = 3,
	        .e_shstrndx = 1};
	memcpy(elf.e_ident, "\177ELF\2\1\1", 7);
	Elf64_Shdr sections[3] = {
	        {0},
	        {.sh_name = 1, .sh_type = SHT_STRTAB, .sh_offset = NAMES_AT, .sh_size = sizeof(names)},
	        {.sh_name = 11, .sh_type = SHT_PROGBITS, .sh_offset = SECTION_AT, .sh_size = HEAD + n},
	};
	memcpy(file, &elf, sizeof(elf));
	memcpy(file + NAMES_AT, names, sizeof(names));
	memcpy(file + SECTION_AT, "rille-object-1\n", 16);
	memcpy(file + SECTION_AT + HEAD, body, n);
	memcpy(file + headers, sections, sizeof(sections));
	return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size ? size - 1 : 0;
	uint8_t *file = NULL;
	struct err err;
	if (!size)
		return 0;
	if (data[0] % 3 == 2) {
		file = wrap(data + 1, len, &len);
	} else if ((file = malloc(len ? len : 1)) != NULL) {
		memcpy(file, data + 1, len);
	}
	if (file && (data[0] % 3 == 0 || portable_seal(file, len, &err) == 0))
		load(file, len);
	free(file);
	return 0;
}
