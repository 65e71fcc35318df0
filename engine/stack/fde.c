/* .eh_frame is a list of entries, .eh_frame_hdr a sorted table of where they are (LSB, "Exception Frames"; DWARF 5,
 * section 6.4.1). The table is searched in the file: first by single reads of eight bytes, the last page of it at once.
 * That takes some microseconds, which is no cost since the resulting row is kept (module.c), while tables in memory
 * would cost 350 KB for one libjvm. Where the table is missing or of another form than linkers write, one is made by
 * reading the section through, and the same is done for .debug_frame, which never has one. */
#include "engine/stack/fde.h"

#include "engine/base/grow.h"
#include "engine/stack/reader.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

/* Encodings of pointers: the low bits say the form, the high ones what it is relative to (LSB, "DWARF Exception Header
 * Encoding"). */
enum {
	PE_ABSPTR = 0x00,
	PE_ULEB128 = 0x01,
	PE_UDATA2 = 0x02,
	PE_UDATA4 = 0x03,
	PE_UDATA8 = 0x04,
	PE_SLEB128 = 0x09,
	PE_SDATA2 = 0x0a,
	PE_SDATA4 = 0x0b,
	PE_SDATA8 = 0x0c,
	PE_FORM = 0x0f,
	PE_PCREL = 0x10,
	PE_DATAREL = 0x30,
	PE_RELATION = 0x70,
	PE_OMIT = 0xff,
};

enum { MAX_ENTRY = 1 << 20, MAX_SECTION = 256 << 20, MAX_ENTRIES = 4 << 20, PAGE_ENTRIES = 512 };

struct fde_place {
	uint64_t start;
	uint64_t offset; /* of the entry in the section */
};

static uint64_t read_form(struct reader *reader, uint8_t encoding)
{
	switch (encoding & PE_FORM) {
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		return read_fixed(reader, 8);
	case PE_UDATA2:
		return read_fixed(reader, 2);
	case PE_UDATA4:
		return read_fixed(reader, 4);
	case PE_SDATA2:
		return read_signed(reader, 2);
	case PE_SDATA4:
		return read_signed(reader, 4);
	case PE_ULEB128:
		return read_uleb(reader);
	case PE_SLEB128:
		return read_sleb(reader);
	default:
		reader->failed = true;
		return 0;
	}
}

/* `va`: where the pointer itself stands. */
static uint64_t read_pointer(struct reader *reader, uint8_t encoding, uint64_t va, uint64_t data_base)
{
	uint64_t value = read_form(reader, encoding);
	switch (encoding & PE_RELATION) {
	case 0:
		return value;
	case PE_PCREL:
		return value + va;
	case PE_DATAREL:
		return value + data_base;
	default:
		reader->failed = true;
		return 0;
	}
}

static int section_read(const struct fde_section *section, uint64_t at, void *buffer, size_t len)
{
	if (at > section->size || len > section->size - at)
		return -EINVAL;
	if (section->image) {
		memcpy(buffer, section->image + at, len);
		return 0;
	}
	return elf_read(section->elf, section->offset + at, buffer, len) ? -EINVAL : 0;
}

/* The part of an entry behind its length. */
struct entry {
	uint64_t offset; /* of the part, in the section */
	uint64_t len, next;
	bool wide; /* the 64-bit format */
};

static int entry_find(const struct fde_section *section, uint64_t at, struct entry *ret)
{
	uint32_t len;
	uint64_t wide_len;
	int r = section_read(section, at, &len, sizeof(len));
	if (r)
		return r;
	ret->offset = at + 4;
	ret->len = len;
	ret->wide = len == UINT32_MAX;
	if (ret->wide) {
		if (section_read(section, at + 4, &wide_len, sizeof(wide_len)))
			return -EINVAL;
		ret->offset = at + 12;
		ret->len = wide_len;
	}
	if (ret->len > section->size || ret->offset > section->size - ret->len)
		return -EINVAL;
	ret->next = ret->offset + ret->len;
	return 0;
}

static int entry_read(const struct fde_section *section, const struct entry *entry, uint8_t **ret)
{
	if (!entry->len || entry->len > MAX_ENTRY)
		return -EINVAL;
	*ret = malloc(entry->len);
	if (!*ret)
		return -ENOMEM;
	return section_read(section, entry->offset, *ret, entry->len);
}

static bool is_cie(const struct fde_section *section, const struct entry *entry, uint64_t id)
{
	if (!section->debug_frame)
		return id == 0;
	return id == (entry->wide ? UINT64_MAX : UINT32_MAX);
}

static size_t id_bytes(const struct fde_section *section, const struct entry *entry)
{
	return section->debug_frame && entry->wide ? 8 : 4;
}

static void skip_personality(struct reader *reader)
{
	uint8_t encoding = read_fixed(reader, 1);
	if (encoding != PE_OMIT)
		read_form(reader, encoding);
}

/* Letters we do not know end the reading: the augmentation's length says where the code begins all the same. */
static void parse_augmentation(struct reader *reader, const char *letters, struct cie *ret)
{
	uint64_t len = read_uleb(reader);
	struct reader data = {.at = reader->at};
	data.end = data.at + (len < reader_left(reader) ? len : reader_left(reader));
	read_bytes(reader, len);
	ret->augmented = true;
	for (; *letters; letters++) {
		if (*letters == 'R')
			ret->encoding = read_fixed(&data, 1);
		else if (*letters == 'P')
			skip_personality(&data);
		else if (*letters == 'L')
			read_fixed(&data, 1);
		else if (*letters == 'S')
			ret->signal = true;
		else if (*letters != 'B')
			break;
	}
	reader->failed |= data.failed;
}

static int parse_cie(const uint8_t *bytes, size_t len, bool debug_frame, struct cie *ret)
{
	struct reader reader = {.at = bytes, .end = bytes + len};
	memset(ret, 0, sizeof(*ret));
	uint8_t version = read_fixed(&reader, 1);
	if (version != 1 && version != 3 && !(debug_frame && version == 4))
		return -EINVAL;
	const char *augmentation = (const char *)reader.at;
	const uint8_t *end = memchr(reader.at, 0, reader_left(&reader));
	if (!end)
		return -EINVAL;
	reader.at = end + 1;
	if (version == 4 && (read_fixed(&reader, 1) != 8 || read_fixed(&reader, 1) != 0))
		return -EINVAL; /* size of an address, of a segment selector */
	ret->code_align = read_uleb(&reader);
	ret->data_align = read_sleb(&reader);
	ret->return_register = version == 1 ? read_fixed(&reader, 1) : read_uleb(&reader);
	if (augmentation[0] == 'z')
		parse_augmentation(&reader, augmentation + 1, ret);
	else if (augmentation[0])
		return -EINVAL;
	ret->code = reader.at;
	ret->code_end = reader.end;
	return reader.failed ? -EINVAL : 0;
}

static int read_cie(const struct fde_section *section, uint64_t at, uint8_t **ret_bytes, struct cie *ret)
{
	struct entry entry;
	int r = entry_find(section, at, &entry);
	if (!r)
		r = entry_read(section, &entry, ret_bytes);
	if (r)
		return r;
	struct reader reader = {.at = *ret_bytes, .end = *ret_bytes + entry.len};
	if (!is_cie(section, &entry, read_fixed(&reader, id_bytes(section, &entry))))
		return -EINVAL;
	return parse_cie(reader.at, reader_left(&reader), section->debug_frame, ret);
}

/* Where the CIE of an FDE is, in the section; UINT64_MAX if the pointer leaves it. */
static uint64_t cie_of(const struct fde_section *section, const struct entry *entry, uint64_t id)
{
	if (section->debug_frame)
		return id < section->size ? id : UINT64_MAX;
	return id <= entry->offset ? entry->offset - id : UINT64_MAX;
}

static int parse_fde(const struct fde_section *section, const struct entry *entry, struct reader *reader,
        const uint8_t *bytes, struct fde *ret)
{
	uint64_t va = section->va + entry->offset + (reader->at - bytes);
	ret->start = read_pointer(reader, ret->cie.encoding, va, 0);
	uint64_t len = read_form(reader, ret->cie.encoding);
	ret->end = ret->start + len;
	if (ret->cie.augmented)
		read_bytes(reader, read_uleb(reader));
	ret->code = reader->at;
	ret->code_end = reader->end;
	ret->code_va = section->va + entry->offset + (reader->at - bytes);
	return reader->failed || ret->end < ret->start ? -EINVAL : 0;
}

static int read_fde(const struct fde_section *section, uint64_t at, struct fde *ret)
{
	struct entry entry;
	int r = entry_find(section, at, &entry);
	if (!r)
		r = entry_read(section, &entry, &ret->bytes[0]);
	if (r)
		return r;
	struct reader reader = {.at = ret->bytes[0], .end = ret->bytes[0] + entry.len};
	uint64_t id = read_fixed(&reader, id_bytes(section, &entry));
	if (is_cie(section, &entry, id))
		return -EINVAL;
	r = read_cie(section, cie_of(section, &entry, id), &ret->bytes[1], &ret->cie);
	return r ? r : parse_fde(section, &entry, &reader, ret->bytes[0], ret);
}

/* The sorted table, if it is of the one form that linkers write: pairs of 32-bit offsets from the header's start. */
static void take_header_table(struct fde_index *index, uint64_t offset, const struct elf_file *elf)
{
	uint8_t bytes[32];
	size_t len = elf_read_some(elf, offset, bytes, sizeof(bytes));
	struct reader reader = {.at = bytes, .end = bytes + len};
	uint64_t va = elf->eh_frame_hdr_va, section_offset, left;
	uint8_t version = read_fixed(&reader, 1), section_encoding = read_fixed(&reader, 1);
	uint8_t count_encoding = read_fixed(&reader, 1), table_encoding = read_fixed(&reader, 1);
	uint64_t section_va = read_pointer(&reader, section_encoding, va + 4, va);
	if (reader.failed || version != 1 || !elf_offset(elf, section_va, &section_offset, &left))
		return;
	index->section = (struct fde_section){.elf = elf, .offset = section_offset, .va = section_va, .size = left};
	if (count_encoding == PE_OMIT || table_encoding != (PE_DATAREL | PE_SDATA4))
		return;
	uint64_t count = read_form(&reader, count_encoding), table = reader.at - bytes;
	if (reader.failed || elf->eh_frame_hdr_size < table)
		return;
	uint64_t room = (elf->eh_frame_hdr_size - table) / 8;
	index->table_offset = offset + table;
	index->table_base = va;
	index->table_entries = count < room ? count : room < MAX_ENTRIES ? room : MAX_ENTRIES;
}

static void take_section(struct fde_index *index, const struct elf_file *elf, const char *name, bool debug_frame)
{
	size_t n;
	struct elf_section *sections = elf_sections(elf, &n);
	const struct elf_section *found = elf_section_named(sections, n, name);
	if (found && found->type != SHT_NOBITS) {
		index->section = (struct fde_section){.elf = elf,
		        .offset = found->offset,
		        .va = found->va,
		        .size = found->size,
		        .debug_frame = debug_frame};
		size_t len;
		if (found->flags & SHF_COMPRESSED) {
			index->section.image = elf_section_data(elf, found, MAX_SECTION, &len);
			index->section.size = index->section.image ? len : 0;
		}
	}
	free(sections);
}

void fde_index_eh(struct fde_index *ret, const struct elf_file *elf)
{
	uint64_t offset, left;
	memset(ret, 0, sizeof(*ret));
	if (elf->eh_frame_hdr_size && elf_offset(elf, elf->eh_frame_hdr_va, &offset, &left))
		take_header_table(ret, offset, elf);
	if (!ret->table_entries)
		take_section(ret, elf, ".eh_frame", false);
}

void fde_index_debug(struct fde_index *ret, const struct elf_file *elf)
{
	memset(ret, 0, sizeof(*ret));
	take_section(ret, elf, ".debug_frame", true);
}

void fde_index_fini(struct fde_index *index)
{
	free(index->section.image);
	free(index->places);
	memset(index, 0, sizeof(*index));
}

/* Below: the table in the file. */

struct table_entry {
	int32_t start, entry;
};

static int read_table(const struct fde_index *index, uint32_t i, struct table_entry *ret, size_t n)
{
	return elf_read(index->section.elf, index->table_offset + (uint64_t)i * sizeof(*ret), ret, n * sizeof(*ret));
}

/* The offset in the section of the last entry that starts at or before va. */
static int search_table(const struct fde_index *index, uint64_t va, uint64_t *ret)
{
	int64_t wanted = (int64_t)(va - index->table_base);
	uint32_t low = 0, high = index->table_entries; /* the entry is in [low, high) */
	while (high - low > PAGE_ENTRIES) {
		uint32_t middle = low + (high - low) / 2;
		struct table_entry entry;
		if (read_table(index, middle, &entry, 1))
			return -EINVAL;
		if (entry.start <= wanted)
			low = middle;
		else
			high = middle;
	}
	struct table_entry page[PAGE_ENTRIES];
	size_t n = high - low, past = 0;
	if (read_table(index, low, page, n))
		return -EINVAL;
	for (size_t end = n; past < end;) {
		size_t middle = past + (end - past) / 2;
		if (page[middle].start <= wanted)
			past = middle + 1;
		else
			end = middle;
	}
	if (!past)
		return -ENOENT;
	uint64_t entry_va = index->table_base + (int64_t)page[past - 1].entry;
	if (entry_va < index->section.va)
		return -EINVAL;
	*ret = entry_va - index->section.va;
	return 0;
}

/* Below: our own table. */

static int by_start(const void *a, const void *b)
{
	const struct fde_place *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* Entries that make no sense are passed over; a length that does not ends the list. */
static int make_places(struct fde_index *index)
{
	struct fde_section whole = index->section;
	size_t cap = 0;
	index->made = true;
	if (!whole.size || whole.size > MAX_SECTION)
		return 0;
	uint8_t *image = whole.image ? NULL : malloc(whole.size);
	if (image && section_read(&whole, 0, image, whole.size)) {
		free(image);
		return 0;
	}
	if (image)
		whole.image = image;
	struct entry entry;
	int r = 0;
	for (uint64_t at = 0; !r && !entry_find(&whole, at, &entry) && index->nplaces < MAX_ENTRIES; at = entry.next) {
		struct fde fde = {0};
		if (!entry.len && !whole.debug_frame)
			break;
		if (!read_fde(&whole, at, &fde) && fde.end > fde.start) {
			r = grow(&index->places, &cap, index->nplaces + 1, sizeof(*index->places));
			if (!r)
				index->places[index->nplaces++] = (struct fde_place){fde.start, at};
		}
		fde_fini(&fde);
	}
	free(image);
	if (index->nplaces)
		qsort(index->places, index->nplaces, sizeof(*index->places), by_start);
	return r;
}

static int search_places(struct fde_index *index, uint64_t va, uint64_t *ret)
{
	if (!index->made && make_places(index))
		return -ENOMEM;
	size_t past = 0;
	for (size_t end = index->nplaces; past < end;) {
		size_t middle = past + (end - past) / 2;
		if (index->places[middle].start <= va)
			past = middle + 1;
		else
			end = middle;
	}
	if (!past)
		return -ENOENT;
	*ret = index->places[past - 1].offset;
	return 0;
}

int fde_find(struct fde_index *index, uint64_t va, struct fde *ret)
{
	uint64_t at;
	int r = index->table_entries ? search_table(index, va, &at) : search_places(index, va, &at);
	if (r)
		return r;
	memset(ret, 0, sizeof(*ret));
	r = read_fde(&index->section, at, ret);
	if (!r && (va < ret->start || va >= ret->end))
		r = -ENOENT;
	if (r)
		fde_fini(ret);
	return r;
}

void fde_fini(struct fde *fde)
{
	free(fde->bytes[0]);
	free(fde->bytes[1]);
	memset(fde, 0, sizeof(*fde));
}
