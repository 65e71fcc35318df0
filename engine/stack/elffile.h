/* The parts of an ELF file that unwinding and naming need, from a file or from memory. */
#ifndef RILLE_STACK_ELFFILE_H
#define RILLE_STACK_ELFFILE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ELF_SEGMENTS = 16, ELF_SECTION_NAME = 24 };

struct elf_segment {
	uint64_t va, offset, file_size, memory_size;
	bool executable;
};

struct elf_file {
	int fd; /* -1: in memory */
	uint8_t *image;
	uint64_t size;
	uint64_t entry;
	struct elf_segment segments[ELF_SEGMENTS]; /* PT_LOAD, in order of address */
	size_t nsegments;
	uint64_t eh_frame_hdr_va, eh_frame_hdr_size; /* 0, 0 = none */
	uint8_t build_id[20];
	uint8_t build_id_len;
	uint64_t section_headers;
	uint16_t nsections, section_names;
};

/* A section header with its name, cut to fit. */
struct elf_section {
	char name[ELF_SECTION_NAME];
	uint32_t type, link;
	uint64_t flags, va, offset, size, entry_size;
};

/* Takes over the descriptor (also when it fails). 0, -ENOEXEC (no 64-bit ELF file of this machine), -EIO. */
int elf_open(struct elf_file *ret, int fd);
/* Takes over the image, which was malloc()ed. */
int elf_open_image(struct elf_file *ret, uint8_t *image, uint64_t size);
void elf_close(struct elf_file *elf);

/* All or nothing: 0 or -EFAULT. */
int elf_read(const struct elf_file *elf, uint64_t offset, void *buffer, size_t len);
/* As much as there is, up to len. */
size_t elf_read_some(const struct elf_file *elf, uint64_t offset, void *buffer, size_t len);
/* Where an address is in the file, with the bytes that follow it in its segment; false if nowhere. */
bool elf_offset(const struct elf_file *elf, uint64_t va, uint64_t *ret_offset, uint64_t *ret_left);
int elf_read_va(const struct elf_file *elf, uint64_t va, void *buffer, size_t len);
/* The address that a byte of the file is meant to be mapped at, by its executable segment; the offset itself if none.
 */
uint64_t elf_va_of_offset(const struct elf_file *elf, uint64_t offset);

/* All sections that lie inside the file (or have no bytes in it). The caller frees. NULL, 0 if there are none. */
struct elf_section *elf_sections(const struct elf_file *elf, size_t *ret_n);
/* By name; NULL. */
const struct elf_section *elf_section_named(const struct elf_section *sections, size_t n, const char *name);
/* A whole section in memory, at most `limit` bytes, unpacked if it is compressed; the caller frees. NULL. */
uint8_t *elf_section_data(const struct elf_file *elf, const struct elf_section *section, size_t limit, size_t *ret_len);

#endif
