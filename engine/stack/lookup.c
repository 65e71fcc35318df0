/* A runtime's tables are found by some dozens of names in binaries with 10 MB of strings. So exported names are asked
 * for as the dynamic linker does, through .gnu.hash, which costs a few small reads each. Only names that are not
 * exported are searched for: first where the string table has them, then which symbol points there. Both passes go
 * through the file in pieces, so that no table is ever held in memory. */
#include "engine/stack/lookup.h"

#include <stdlib.h>
#include <string.h>

enum {
	MAX_NAME = 256,
	MAX_HOPS = 1 << 16, /* symbols of one hash bucket */
	MAX_PLACES = 16,    /* of one name in a string table: longer names may end in it */
	PIECE = 1 << 16,
	SYMBOLS = PIECE / sizeof(Elf64_Sym),
};

/* A part of a section. All or nothing. */
static bool read_part(
        const struct elf_file *elf, const struct elf_section *section, uint64_t at, void *buffer, size_t len)
{
	return at <= section->size && len <= section->size - at && !elf_read(elf, section->offset + at, buffer, len);
}

static uint32_t hash_of(const char *name)
{
	uint32_t hash = 5381;
	for (; *name; name++)
		hash = hash * 33 + (unsigned char)*name;
	return hash;
}

struct hash_header {
	uint32_t buckets, first, bloom_words, bloom_shift;
};

static bool has_name(const struct elf_file *elf, const struct elf_section *strings, uint64_t at, const char *name)
{
	char text[MAX_NAME];
	size_t len = strlen(name) + 1;
	return read_part(elf, strings, at, text, len) && !memcmp(text, name, len);
}

/* Where the chain of a hash begins: the number of its first symbol, 0 = no such name. */
static uint32_t chain_start(
        const struct elf_file *elf, const struct elf_section *table, const struct hash_header *header, uint32_t hash)
{
	uint64_t word;
	uint32_t start;
	uint64_t bloom = sizeof(*header) + 8ULL * (hash / 64 % header->bloom_words);
	uint64_t bucket = sizeof(*header) + 8ULL * header->bloom_words + 4ULL * (hash % header->buckets);
	if (!read_part(elf, table, bloom, &word, sizeof(word)))
		return 0;
	if (!(word >> hash % 64 & 1) || !(word >> (hash >> header->bloom_shift % 32) % 64 & 1))
		return 0;
	return read_part(elf, table, bucket, &start, sizeof(start)) && start >= header->first ? start : 0;
}

static bool lookup_hashed(const struct elf_file *elf, const struct elf_section *sections, size_t n,
        const struct elf_section *table, const char *name, Elf64_Sym *ret)
{
	struct hash_header header;
	if (table->link >= n || sections[table->link].link >= n || !read_part(elf, table, 0, &header, sizeof(header)) ||
	        !header.buckets || !header.bloom_words)
		return false;
	const struct elf_section *symbols = &sections[table->link], *strings = &sections[symbols->link];
	uint64_t chains = sizeof(header) + 8ULL * header.bloom_words + 4ULL * header.buckets;
	uint32_t hash = hash_of(name), i = chain_start(elf, table, &header, hash);
	for (uint32_t hops = 0; i && hops < MAX_HOPS; hops++, i++) {
		uint32_t entry;
		if (!read_part(elf, table, chains + 4ULL * (i - header.first), &entry, sizeof(entry)))
			return false;
		if ((entry | 1) == (hash | 1) &&
		        read_part(elf, symbols, (uint64_t)i * sizeof(*ret), ret, sizeof(*ret)) &&
		        ret->st_shndx != SHN_UNDEF && has_name(elf, strings, ret->st_name, name))
			return true;
		if (entry & 1)
			return false;
	}
	return false;
}

/* Where a string table has the name, also as the end of a longer one: how many places, at most MAX_PLACES. */
static size_t find_name(const struct elf_file *elf, const struct elf_section *strings, const char *name, uint8_t *piece,
        uint32_t places[MAX_PLACES])
{
	size_t n = 0, len = strlen(name) + 1;
	for (uint64_t at = 0; at + len <= strings->size && n < MAX_PLACES; at += PIECE - len) {
		uint64_t left = strings->size - at;
		size_t got = elf_read_some(elf, strings->offset + at, piece, left < PIECE ? (size_t)left : PIECE);
		const uint8_t *from = piece, *found;
		while (n < MAX_PLACES && (found = memmem(from, got - (size_t)(from - piece), name, len))) {
			uint64_t place = at + (uint64_t)(found - piece);
			if (place > UINT32_MAX)
				return n;
			if (!n || places[n - 1] != place)
				places[n++] = (uint32_t)place;
			from = found + 1;
		}
		if (got < PIECE)
			break;
	}
	return n;
}

static bool is_one_of(uint32_t name, const uint32_t places[MAX_PLACES], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (places[i] == name)
			return true;
	return false;
}

static bool search_symbols(const struct elf_file *elf, const struct elf_section *table,
        const uint32_t places[MAX_PLACES], size_t nplaces, uint8_t *piece, Elf64_Sym *ret)
{
	uint64_t n = table->size / sizeof(*ret);
	for (uint64_t first = 0; first < n; first += SYMBOLS) {
		size_t count = n - first < SYMBOLS ? (size_t)(n - first) : (size_t)SYMBOLS;
		if (!read_part(elf, table, first * sizeof(*ret), piece, count * sizeof(*ret)))
			return false;
		for (size_t i = 0; i < count; i++) {
			memcpy(ret, piece + i * sizeof(*ret), sizeof(*ret));
			if (ret->st_shndx != SHN_UNDEF && is_one_of(ret->st_name, places, nplaces))
				return true;
		}
	}
	return false;
}

static bool lookup_searched(const struct elf_file *elf, const struct elf_section *table,
        const struct elf_section *strings, const char *name, Elf64_Sym *ret)
{
	uint32_t places[MAX_PLACES];
	uint8_t *piece = malloc(PIECE);
	size_t n = piece ? find_name(elf, strings, name, piece, places) : 0;
	bool found = n && search_symbols(elf, table, places, n, piece, ret);
	free(piece);
	return found;
}

static const struct elf_section *section_of_type(const struct elf_section *sections, size_t n, uint32_t type)
{
	for (size_t i = 0; i < n; i++)
		if (sections[i].type == type)
			return &sections[i];
	return NULL;
}

static bool lookup(
        const struct elf_file *elf, const struct elf_section *sections, size_t n, const char *name, Elf64_Sym *ret)
{
	static const uint32_t types[] = {SHT_DYNSYM, SHT_SYMTAB};
	const struct elf_section *hashes = section_of_type(sections, n, SHT_GNU_HASH);
	if (hashes && lookup_hashed(elf, sections, n, hashes, name, ret))
		return true;
	for (size_t t = hashes ? 1 : 0; t < 2; t++) {
		const struct elf_section *table = section_of_type(sections, n, types[t]);
		if (table && table->link < n && lookup_searched(elf, table, &sections[table->link], name, ret))
			return true;
	}
	return false;
}

bool elf_lookup(const struct elf_file *elf, const char *name, uint64_t *ret_value, uint64_t *ret_size)
{
	Elf64_Sym symbol;
	size_t n;
	if (strlen(name) >= MAX_NAME)
		return false;
	struct elf_section *sections = elf_sections(elf, &n);
	bool found = lookup(elf, sections, n, name, &symbol);
	free(sections);
	if (found) {
		*ret_value = symbol.st_value;
		*ret_size = symbol.st_size;
	}
	return found;
}
