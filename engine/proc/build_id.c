/* The GNU build id: a note of type 3 named "GNU" in a PT_NOTE segment (gABI, "Note Section"). It names the contents of
 * a file better than a path or an inode does. The file is hostile: counts and sizes are bounded. */
#include "engine/proc/build_id.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

enum { MAX_HEADERS = 64, MAX_NOTES = 4096 };

uint8_t build_id_in_notes(const uint8_t *notes, size_t len, uint64_t align, uint8_t ret[BUILD_ID_MAX])
{
	size_t step = align == 8 ? 8 : 4;
	size_t at = 0;
	while (len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		memcpy(&note, notes + at, sizeof(note));
		at += sizeof(note);
		size_t name = ((size_t)note.n_namesz + step - 1) & -step, desc = note.n_descsz;
		if (name > len - at || desc > len - at - name)
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && !memcmp(notes + at, "GNU", 4) && desc &&
		        desc <= BUILD_ID_MAX) {
			memcpy(ret, notes + at + name, desc);
			return desc;
		}
		at += name;
		desc = (desc + step - 1) & -step;
		if (desc > len - at)
			return 0;
		at += desc;
	}
	return 0;
}

uint8_t build_id_read(int fd, uint8_t ret[BUILD_ID_MAX])
{
	Elf64_Ehdr header;
	Elf64_Phdr segments[MAX_HEADERS];
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG) ||
	        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr))
		return 0;
	size_t n = header.e_phnum < MAX_HEADERS ? header.e_phnum : MAX_HEADERS;
	if (pread(fd, segments, n * sizeof(*segments), header.e_phoff) != (ssize_t)(n * sizeof(*segments)))
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (segments[i].p_type != PT_NOTE)
			continue;
		uint8_t notes[MAX_NOTES];
		size_t want = segments[i].p_filesz < MAX_NOTES ? segments[i].p_filesz : MAX_NOTES;
		ssize_t len = pread(fd, notes, want, segments[i].p_offset);
		uint8_t found = len > 0 ? build_id_in_notes(notes, len, segments[i].p_align, ret) : 0;
		if (found)
			return found;
	}
	return 0;
}
