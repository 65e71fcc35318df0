/* The file belongs to the target and may change or shrink while we read it. It is therefore read with pread() into
 * memory of our own and never mapped (a mapping of a truncated file ends in SIGBUS); each number from it is checked
 * where it is used, by one of the read functions here, and nothing is believed on the strength of an earlier check.
 *
 * Formats: System V gABI, chapters 4 and 5; compressed sections as in its "Compressed sections". */
#include "engine/stack/elffile.h"

#include "engine/proc/build_id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
	MAX_PROGRAM_HEADERS = 64,
	MAX_SECTIONS = 2048,
	MAX_SECTION_NAMES = 1 << 20,
	MAX_NOTES = 4096,
};
static const uint64_t MAX_FILE = 4ULL << 30;

#if defined(__aarch64__)
enum { MACHINE = EM_AARCH64, LARGEST_PAGE = 65536 };
#else
enum { MACHINE = EM_X86_64, LARGEST_PAGE = 4096 };
#endif

size_t elf_read_some(const struct elf_file *elf, uint64_t offset, void *buffer, size_t len)
{
	if (offset >= elf->size)
		return 0;
	if (len > elf->size - offset)
		len = elf->size - offset;
	if (elf->fd < 0) {
		memcpy(buffer, elf->image + offset, len);
		return len;
	}
	size_t done = 0;
	while (done < len) {
		ssize_t n = pread(elf->fd, (char *)buffer + done, len - done, offset + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += n;
	}
	return done;
}

int elf_read(const struct elf_file *elf, uint64_t offset, void *buffer, size_t len)
{
	return elf_read_some(elf, offset, buffer, len) == len ? 0 : -EFAULT;
}

bool elf_offset(const struct elf_file *elf, uint64_t va, uint64_t *ret_offset, uint64_t *ret_left)
{
	for (size_t i = 0; i < elf->nsegments; i++) {
		const struct elf_segment *segment = &elf->segments[i];
		if (va - segment->va < segment->file_size) {
			*ret_offset = segment->offset + (va - segment->va);
			*ret_left = segment->file_size - (va - segment->va);
			return true;
		}
	}
	return false;
}

int elf_read_va(const struct elf_file *elf, uint64_t va, void *buffer, size_t len)
{
	uint64_t offset, left;
	if (!elf_offset(elf, va, &offset, &left) || left < len)
		return -EFAULT;
	return elf_read(elf, offset, buffer, len);
}

/* A mapping starts at a page, so it may start in the file before the segment that it is for: lld puts segments behind
 * each other with no padding, and the first bytes of the page are then those of the segment before it. */
uint64_t elf_va_of_offset(const struct elf_file *elf, uint64_t offset)
{
	const struct elf_segment *found = NULL;
	for (size_t i = 0; i < elf->nsegments; i++) {
		const struct elf_segment *segment = &elf->segments[i];
		uint64_t page_start = segment->offset & -(uint64_t)LARGEST_PAGE;
		bool inside = offset >= page_start && offset < segment->offset + segment->file_size;
		if (inside && (!found || segment->executable))
			found = segment;
	}
	return found ? offset - found->offset + found->va : offset;
}

static void take_notes(struct elf_file *elf, const Elf64_Phdr *header)
{
	uint8_t notes[MAX_NOTES];
	if (elf->build_id_len)
		return;
	size_t want = header->p_filesz < sizeof(notes) ? header->p_filesz : sizeof(notes);
	size_t len = elf_read_some(elf, header->p_offset, notes, want);
	elf->build_id_len = build_id_in_notes(notes, len, header->p_align, elf->build_id);
}

static void take_header(struct elf_file *elf, const Elf64_Phdr *header)
{
	switch (header->p_type) {
	case PT_LOAD:
		if (elf->nsegments == ELF_SEGMENTS || header->p_vaddr > UINT64_MAX - header->p_memsz ||
		        header->p_offset > UINT64_MAX - header->p_filesz)
			return;
		elf->segments[elf->nsegments++] = (struct elf_segment){
		        .va = header->p_vaddr,
		        .offset = header->p_offset,
		        .file_size = header->p_filesz,
		        .memory_size = header->p_memsz,
		        .executable = header->p_flags & PF_X,
		};
		return;
	case PT_GNU_EH_FRAME:
		elf->eh_frame_hdr_va = header->p_vaddr;
		elf->eh_frame_hdr_size = header->p_filesz;
		return;
	case PT_NOTE:
		take_notes(elf, header);
		return;
	}
}

static int parse_headers(struct elf_file *elf)
{
	Elf64_Ehdr header;
	if (elf_read(elf, 0, &header, sizeof(header)) || memcmp(header.e_ident, ELFMAG, SELFMAG) ||
	        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
	        header.e_machine != MACHINE || header.e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	Elf64_Phdr headers[MAX_PROGRAM_HEADERS];
	size_t n = header.e_phnum < MAX_PROGRAM_HEADERS ? header.e_phnum : MAX_PROGRAM_HEADERS;
	if (elf_read(elf, header.e_phoff, headers, n * sizeof(*headers)))
		return -ENOEXEC;
	elf->entry = header.e_entry;
	for (size_t i = 0; i < n; i++)
		take_header(elf, &headers[i]);
	if (header.e_shentsize == sizeof(Elf64_Shdr)) {
		elf->section_headers = header.e_shoff;
		elf->nsections = header.e_shnum;
		elf->section_names = header.e_shstrndx;
	}
	return 0;
}

int elf_open(struct elf_file *ret, int fd)
{
	struct stat st;
	memset(ret, 0, sizeof(*ret));
	ret->fd = fd;
	int r = -EIO;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (uint64_t)st.st_size <= MAX_FILE) {
		ret->size = st.st_size;
		r = parse_headers(ret);
	}
	if (r)
		elf_close(ret);
	return r;
}

int elf_open_image(struct elf_file *ret, uint8_t *image, uint64_t size)
{
	memset(ret, 0, sizeof(*ret));
	ret->fd = -1;
	ret->image = image;
	ret->size = size;
	int r = parse_headers(ret);
	if (r)
		elf_close(ret);
	return r;
}

void elf_close(struct elf_file *elf)
{
	if (elf->fd >= 0)
		close(elf->fd);
	free(elf->image);
	memset(elf, 0, sizeof(*elf));
	elf->fd = -1;
}

/* The section names' own section, NUL-terminated; NULL if it makes no sense. */
static char *read_names(const struct elf_file *elf, const Elf64_Shdr *headers, size_t n, size_t *ret_len)
{
	if (elf->section_names >= n)
		return NULL;
	const Elf64_Shdr *section = &headers[elf->section_names];
	if (section->sh_type == SHT_NOBITS || section->sh_size > MAX_SECTION_NAMES)
		return NULL;
	char *names = malloc(section->sh_size + 1);
	if (!names)
		return NULL;
	*ret_len = elf_read_some(elf, section->sh_offset, names, section->sh_size);
	names[*ret_len] = 0;
	return names;
}

static void take_section(
        const struct elf_file *elf, const Elf64_Shdr *header, const char *name, struct elf_section *ret)
{
	size_t len = strnlen(name, ELF_SECTION_NAME - 1);
	memcpy(ret->name, name, len);
	ret->type = header->sh_type;
	ret->link = header->sh_link;
	ret->flags = header->sh_flags;
	ret->va = header->sh_addr;
	ret->offset = header->sh_offset;
	ret->size = header->sh_size;
	ret->entry_size = header->sh_entsize;
	bool inside = header->sh_offset <= elf->size && header->sh_size <= elf->size - header->sh_offset;
	if (!inside && header->sh_type != SHT_NOBITS)
		ret->type = SHT_NULL;
}

struct elf_section *elf_sections(const struct elf_file *elf, size_t *ret_n)
{
	size_t n = elf->nsections < MAX_SECTIONS ? elf->nsections : MAX_SECTIONS, names_len = 0;
	*ret_n = 0;
	if (!n)
		return NULL;
	Elf64_Shdr *headers = calloc(n, sizeof(*headers));
	struct elf_section *sections = calloc(n, sizeof(*sections));
	char *names = NULL;
	if (headers && sections && !elf_read(elf, elf->section_headers, headers, n * sizeof(*headers)))
		names = read_names(elf, headers, n, &names_len);
	for (size_t i = 0; names && i < n; i++) {
		const char *name = headers[i].sh_name < names_len ? names + headers[i].sh_name : "";
		take_section(elf, &headers[i], name, &sections[i]);
	}
	if (names) {
		*ret_n = n;
	} else {
		free(sections);
		sections = NULL;
	}
	free(names);
	free(headers);
	return sections;
}

const struct elf_section *elf_section_named(const struct elf_section *sections, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (sections[i].type != SHT_NULL && !strcmp(sections[i].name, name))
			return &sections[i];
	return NULL;
}

static uint8_t *inflate_section(const uint8_t *packed, size_t len, size_t limit, size_t *ret_len)
{
	Elf64_Chdr header;
	if (len < sizeof(header))
		return NULL;
	memcpy(&header, packed, sizeof(header));
	if (header.ch_type != ELFCOMPRESS_ZLIB || header.ch_size > limit)
		return NULL;
	uint8_t *data = malloc(header.ch_size + 1);
	uLongf size = header.ch_size;
	if (data && uncompress(data, &size, packed + sizeof(header), len - sizeof(header)) != Z_OK) {
		free(data);
		return NULL;
	}
	*ret_len = size;
	return data;
}

uint8_t *elf_section_data(const struct elf_file *elf, const struct elf_section *section, size_t limit, size_t *ret_len)
{
	if (section->type == SHT_NULL || section->type == SHT_NOBITS || section->size > limit)
		return NULL;
	uint8_t *data = malloc(section->size + 1);
	if (!data || elf_read(elf, section->offset, data, section->size)) {
		free(data);
		return NULL;
	}
	*ret_len = section->size;
	if (!(section->flags & SHF_COMPRESSED))
		return data;
	uint8_t *unpacked = inflate_section(data, section->size, limit, ret_len);
	free(data);
	return unpacked;
}
