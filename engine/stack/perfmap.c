/* Perf maps: reading a file that a traced process writes while we read it.
 *
 * Each update reads what was added. The file is hostile: its size, its lines and their number are bounded, and a line
 * that makes no sense is skipped. */
#include "engine/stack/perfmap.h"

#include "engine/stack/rangemap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE = 256 << 20, MAX_ENTRIES = 4 << 20, MAX_NAME = 1024, CHUNK = 1 << 16, MAX_SIZE = 1 << 30 };

struct perfmap {
	struct intern *names;
	struct rangemap ranges; /* time: number of the update that read it; what: the name */
	uint64_t offset;        /* of the file: everything before it was read */
	uint32_t batch;
	char line[MAX_NAME]; /* of an unfinished line */
	size_t line_len;
	bool skipping; /* the unfinished line is too long */
};

struct perfmap *perfmap_new(struct intern *names)
{
	struct perfmap *map = calloc(1, sizeof(*map));
	if (map)
		map->names = names;
	return map;
}

void perfmap_free(struct perfmap *map)
{
	if (!map)
		return;
	rangemap_fini(&map->ranges);
	free(map);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A hexadecimal number, with or without 0x, and the spaces after it. */
static bool take_hex(const char **p, const char *end, uint64_t *ret)
{
	const char *at = *p;
	*ret = 0;
	if (end - at > 2 && at[0] == '0' && (at[1] | 0x20) == 'x')
		at += 2;
	const char *first = at;
	for (int digit; at < end && (digit = hex_digit(*at)) >= 0; at++) {
		if (*ret >> 60)
			return false;
		*ret = *ret << 4 | (unsigned)digit;
	}
	if (at == first || at == end || *at != ' ')
		return false;
	while (at < end && *at == ' ')
		at++;
	*p = at;
	return true;
}

static int add_line(struct perfmap *map, const char *line, size_t len)
{
	const char *p = line, *end = line + len;
	struct range range = {.time = map->batch};
	if (len && end[-1] == '\r')
		end--;
	if (!take_hex(&p, end, &range.start) || !take_hex(&p, end, &range.size) || p == end || !range.size ||
	        range.size > MAX_SIZE || range.start > UINT64_MAX - MAX_SIZE || memchr(p, 0, (size_t)(end - p)))
		return 0;
	if (map->ranges.n >= MAX_ENTRIES)
		return -EFBIG;
	range.what = intern_bytes(map->names, p, (size_t)(end - p));
	return range.what ? rangemap_add(&map->ranges, &range) : -ENOMEM;
}

/* Splits what was read into lines; keeps the rest for the next time. */
static int add_text(struct perfmap *map, const char *text, size_t len)
{
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t part = end ? (size_t)(end - text) : len;
		if (part > sizeof(map->line) - map->line_len)
			map->skipping = true;
		if (!map->skipping) {
			memcpy(map->line + map->line_len, text, part);
			map->line_len += part;
		}
		if (!end)
			return 0;
		int error = map->skipping ? 0 : add_line(map, map->line, map->line_len);
		map->line_len = 0;
		map->skipping = false;
		if (error)
			return error;
		text += part + 1;
		len -= part + 1;
	}
	return 0;
}

static void start_anew(struct perfmap *map)
{
	rangemap_clear(&map->ranges);
	map->line_len = 0;
	map->offset = 0;
	map->skipping = false;
}

int perfmap_update(struct perfmap *map, int fd)
{
	struct stat st;
	char buffer[CHUNK];
	int error = 0;
	if (fstat(fd, &st))
		return -errno;
	if ((uint64_t)st.st_size == map->offset)
		return 0;
	if ((uint64_t)st.st_size < map->offset)
		start_anew(map);
	size_t old = map->ranges.n;
	map->batch++;
	while (!error && map->offset < (uint64_t)st.st_size) {
		if (map->offset >= MAX_FILE)
			error = -EFBIG;
		ssize_t len = error ? 0 : pread(fd, buffer, sizeof(buffer), (off_t)map->offset);
		if (len <= 0) {
			error = len < 0 ? -errno : error;
			break;
		}
		map->offset += (uint64_t)len;
		error = add_text(map, buffer, (size_t)len);
	}
	int added = (int)(map->ranges.n - old);
	if (rangemap_settle(&map->ranges)) {
		start_anew(map);
		return -ENOMEM;
	}
	return error ? error : added;
}

const char *perfmap_find(const struct perfmap *map, uint64_t address, uint64_t *ret_start, bool *ret_reused)
{
	const struct range *range = rangemap_find(&map->ranges, address, UINT64_MAX, ret_reused);
	if (!range)
		return NULL;
	*ret_start = range->start;
	return range->what;
}
