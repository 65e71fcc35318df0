/* Where debug files are is GDB's convention ("Debugging Information in Separate Files"): by build id under
 * ROOT/.build-id/xx/yyyy.debug, else the name and CRC in .gnu_debuglink, beside the file, in .debug beside it, and
 * under ROOT. A file found by build id must have that build id, one found by name must have that CRC: symbols of
 * another build are worse than none. */
#include "engine/stack/debugfile.h"

#include "engine/proc/build_id.h"
#include "engine/stack/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { MAX_DEBUGLINK = 4096, MAX_PACKED = 32 << 20, MAX_UNPACKED = 128 << 20, LZMA_MEMORY = 128 << 20 };

static int open_regular(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static int open_by_build_id(const struct elf_file *elf, const char *root)
{
	char path[PATH_MAX], hex[2 * BUILD_ID_MAX + 1];
	uint8_t found[BUILD_ID_MAX];
	if (elf->build_id_len < 2)
		return -ENOENT;
	for (size_t i = 0; i < elf->build_id_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", elf->build_id[i]);
	snprintf(path, sizeof(path), "%s/.build-id/%.2s/%s.debug", root, hex, hex + 2);
	int fd = open_regular(path);
	if (fd < 0)
		return fd;
	if (build_id_read(fd, found) == elf->build_id_len && !memcmp(found, elf->build_id, elf->build_id_len))
		return fd;
	close(fd);
	return -ENOENT;
}

/* The name and the CRC behind it, on a multiple of four. */
static bool read_debuglink(const struct elf_file *elf, char name[NAME_MAX + 1], uint32_t *ret_crc)
{
	size_t n, len;
	struct elf_section *sections = elf_sections(elf, &n);
	const struct elf_section *section = elf_section_named(sections, n, ".gnu_debuglink");
	uint8_t *data = section ? elf_section_data(elf, section, MAX_DEBUGLINK, &len) : NULL;
	free(sections);
	if (!data)
		return false;
	size_t name_len = strnlen((char *)data, len);
	size_t crc_at = (name_len + 4) & ~(size_t)3;
	bool ok = name_len && name_len <= NAME_MAX && crc_at + 4 <= len && !memchr(data, '/', name_len);
	if (ok) {
		memcpy(name, data, name_len + 1);
		memcpy(ret_crc, data + crc_at, 4);
	}
	free(data);
	return ok;
}

static bool has_crc(int fd, uint32_t wanted)
{
	enum { CHUNK = 64 << 10 };
	uint8_t *chunk = malloc(CHUNK);
	uLong crc = crc32(0, NULL, 0);
	ssize_t n = -1;
	for (off_t at = 0; chunk && (n = pread(fd, chunk, CHUNK, at)) > 0; at += n)
		crc = crc32(crc, chunk, n);
	free(chunk);
	return !n && crc == wanted;
}

static int open_by_name(const struct elf_file *elf, const char *path, const char *root)
{
	const struct {
		const char *before, *between;
	} places[] = {{"", ""}, {"", ".debug/"}, {root, ""}};
	char name[NAME_MAX + 1], at[PATH_MAX];
	uint32_t crc;
	const char *slash = path ? strrchr(path, '/') : NULL;
	if (!slash || !read_debuglink(elf, name, &crc))
		return -ENOENT;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		int len = snprintf(at, sizeof(at), "%s%.*s/%s%s", places[i].before, (int)(slash - path), path,
		        places[i].between, name);
		if (len >= (int)sizeof(at) || !strcmp(at, path))
			continue;
		int fd = open_regular(at);
		if (fd >= 0 && has_crc(fd, crc))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -ENOENT;
}

int debugfile_open(const struct elf_file *elf, const char *path, const char *debug_root)
{
	if (!debug_root)
		debug_root = "/usr/lib/debug";
	int fd = open_by_build_id(elf, debug_root);
	return fd >= 0 ? fd : open_by_name(elf, path, debug_root);
}

/* xz to the end; NULL if it is damaged or larger than any symbol table we would want. */
static uint8_t *unpack(const uint8_t *packed, size_t len, size_t *ret_len)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	uint8_t *data = NULL;
	size_t cap = 0;
	lzma_ret r = lzma_stream_decoder(&stream, LZMA_MEMORY, 0);
	stream.next_in = packed;
	stream.avail_in = len;
	while (r == LZMA_OK && (cap ? cap * 2 : 256 << 10) <= MAX_UNPACKED) {
		size_t want = cap ? cap * 2 : 256 << 10;
		uint8_t *more = realloc(data, want);
		if (!more)
			break;
		data = more;
		stream.next_out = data + cap;
		stream.avail_out = want - cap;
		cap = want;
		while (r == LZMA_OK && stream.avail_out)
			r = lzma_code(&stream, LZMA_FINISH);
	}
	*ret_len = stream.total_out;
	lzma_end(&stream);
	if (r == LZMA_STREAM_END)
		return data;
	free(data);
	return NULL;
}

int debugdata_open(const struct elf_file *elf, struct elf_file *ret)
{
	size_t n, len, unpacked_len;
	struct elf_section *sections = elf_sections(elf, &n);
	const struct elf_section *section = elf_section_named(sections, n, ".gnu_debugdata");
	uint8_t *packed = section ? elf_section_data(elf, section, MAX_PACKED, &len) : NULL;
	free(sections);
	if (!packed)
		return -ENOENT;
	uint8_t *image = unpack(packed, len, &unpacked_len);
	free(packed);
	return image && !elf_open_image(ret, image, unpacked_len) ? 0 : -EINVAL;
}
