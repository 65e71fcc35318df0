/* Reading a jitdump file while it is written.
 *
 * The file is a header and a row of records, each with its size and time. Debug and unwind information come before the LOAD
 * of the code they belong to. Only where they are in the file is kept, and they are read when a frame asks for its line or its
 * caller; the code's bytes are never read. A MOVE makes a second piece of code at the new address: which of those that were at
 * an address ran at the time of an event follows from the records' times.
 *
 * Everything is bounded by the record's own size, that by the file's, and records that make no sense are skipped; a size that makes
 * no sense ends the reading, since what follows cannot be found.
 *
 * Format: tools/perf/Documentation/jitdump-specification.txt of the Linux kernel. */
#include "engine/stack/jitdump.h"

#include "engine/base/text.h"
#include "engine/stack/rangemap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MAGIC = 0x4A695444,
	VERSION = 1,
	OTHER_CLOCK = 1, /* flag: the times are not CLOCK_MONOTONIC */
	MAX_RECORD = 256 << 20,
	MAX_CODES = 1 << 20,
	MAX_CODE = 1 << 28,
	MAX_NAME = 1024,
	MAX_LINES = 1 << 20, /* bytes of debug information read for one piece of code */
};

enum record_kind { LOAD, MOVE, DEBUG_INFO, CLOSE, UNWINDING_INFO };

struct file_header {
	uint32_t magic, version, size, machine, pad, pid;
	uint64_t time, flags;
};

struct record {
	uint32_t kind, size;
	uint64_t time;
};

struct load {
	uint32_t pid, tid;
	uint64_t vma, address, size, index;
};

struct move {
	uint32_t pid, tid;
	uint64_t vma, from, to, size, index;
};

struct debug_info {
	uint64_t address, count;
};

struct unwinding_info {
	uint64_t size, header_size, mapped_size;
};

struct jitdump {
	struct intern *names;
	struct rangemap ranges; /* what: struct jit_code */
	struct jit_code *codes; /* newest first */
	size_t ncodes;
	uint64_t offset; /* of the next record; 0 = the header is not read yet */
	bool other_clock, broken;
	/* Of the next LOAD. */
	struct jit_part lines, frames;
	uint64_t lines_address;
};

struct jitdump *jitdump_new(struct intern *names)
{
	struct jitdump *dump = calloc(1, sizeof(*dump));
	if (dump)
		dump->names = names;
	return dump;
}

void jitdump_free(struct jitdump *dump)
{
	if (!dump)
		return;
	while (dump->codes) {
		struct jit_code *next = dump->codes->next;
		free(dump->codes);
		dump->codes = next;
	}
	rangemap_fini(&dump->ranges);
	free(dump);
}

static bool read_at(int fd, uint64_t offset, void *buffer, size_t len)
{
	return pread(fd, buffer, len, (off_t)offset) == (ssize_t)len;
}

static int read_header(struct jitdump *dump, int fd)
{
	struct file_header header;
	if (!read_at(fd, 0, &header, sizeof(header)))
		return 0; /* not written yet */
	if (header.magic != MAGIC || header.version != VERSION || header.size < sizeof(header) || header.size > 4096)
		return -EINVAL;
	dump->other_clock = header.flags & OTHER_CLOCK;
	dump->offset = header.size;
	return 0;
}

static int add_code(struct jitdump *dump, const struct jit_code *like, uint64_t time)
{
	struct range range = {.start = like->start, .size = like->size, .time = dump->other_clock ? 0 : time};
	if (!like->size || like->size > MAX_CODE || like->start > UINT64_MAX - MAX_CODE)
		return 0;
	if (dump->ncodes >= MAX_CODES)
		return -EFBIG;
	struct jit_code *code = malloc(sizeof(*code));
	if (!code)
		return -ENOMEM;
	*code = *like;
	code->next = dump->codes;
	dump->codes = code;
	dump->ncodes++;
	range.what = code;
	return rangemap_add(&dump->ranges, &range);
}

/* A LOAD's name stands behind it and ends with a NUL. */
static const char *read_name(struct jitdump *dump, int fd, uint64_t offset, uint64_t left)
{
	char name[MAX_NAME];
	ssize_t len = pread(fd, name, left < sizeof(name) ? (size_t)left : sizeof(name), (off_t)offset);
	return len > 0 ? intern_bytes(dump->names, name, strnlen(name, (size_t)len)) : NULL;
}

static int read_load(struct jitdump *dump, int fd, const struct record *record, uint64_t body, uint64_t len)
{
	struct load load;
	struct jit_code code = {.frames = dump->frames};
	if (dump->lines.len && len >= sizeof(load) && read_at(fd, body, &load, sizeof(load)) &&
	        load.address == dump->lines_address)
		code.lines = dump->lines;
	dump->lines.len = dump->frames.len = 0;
	if (len <= sizeof(load) || !read_at(fd, body, &load, sizeof(load)))
		return 0;
	code.name = read_name(dump, fd, body + sizeof(load), len - sizeof(load));
	code.start = code.first = load.address;
	code.size = load.size;
	return code.name ? add_code(dump, &code, record->time) : -ENOMEM;
}

static int read_move(struct jitdump *dump, int fd, const struct record *record, uint64_t body, uint64_t len)
{
	struct move move;
	if (len < sizeof(move) || !read_at(fd, body, &move, sizeof(move)) || rangemap_settle(&dump->ranges))
		return 0;
	const struct jit_code *from = jitdump_find(dump, move.from, record->time);
	if (!from)
		return 0;
	struct jit_code code = *from;
	code.start = move.to;
	code.size = move.size;
	return add_code(dump, &code, record->time);
}

static void read_debug(struct jitdump *dump, int fd, uint64_t body, uint64_t len)
{
	struct debug_info info;
	if (len < sizeof(info) || !read_at(fd, body, &info, sizeof(info)))
		return;
	dump->lines = (struct jit_part){body + sizeof(info), len - sizeof(info)};
	dump->lines_address = info.address;
}

static void read_unwinding(struct jitdump *dump, int fd, uint64_t body, uint64_t len)
{
	struct unwinding_info info;
	if (len < sizeof(info) || !read_at(fd, body, &info, sizeof(info)) || info.size > len - sizeof(info) ||
	        info.header_size > info.size)
		return;
	dump->frames = (struct jit_part){body + sizeof(info), info.size - info.header_size};
}

static int read_record(struct jitdump *dump, int fd, const struct record *record)
{
	uint64_t body = dump->offset + sizeof(*record), len = record->size - sizeof(*record);
	switch (record->kind) {
	case LOAD:
		return read_load(dump, fd, record, body, len);
	case MOVE:
		return read_move(dump, fd, record, body, len);
	case DEBUG_INFO:
		read_debug(dump, fd, body, len);
		return 0;
	case UNWINDING_INFO:
		read_unwinding(dump, fd, body, len);
		return 0;
	default:
		return 0;
	}
}

static int read_records(struct jitdump *dump, int fd, uint64_t end)
{
	struct record record;
	while (dump->offset + sizeof(record) <= end && read_at(fd, dump->offset, &record, sizeof(record))) {
		if (record.size < sizeof(record) || record.size > MAX_RECORD)
			return -EINVAL;
		if (record.size > end - dump->offset)
			return 0; /* not written yet */
		int r = read_record(dump, fd, &record);
		if (r < 0)
			return r;
		dump->offset += record.size;
	}
	return 0;
}

int jitdump_update(struct jitdump *dump, int fd)
{
	struct stat st;
	size_t before = dump->ncodes;
	if (dump->broken)
		return 0;
	if (fstat(fd, &st))
		return -errno;
	int r = dump->offset ? 0 : read_header(dump, fd);
	if (r == 0 && dump->offset)
		r = read_records(dump, fd, (uint64_t)st.st_size);
	dump->broken = r < 0;
	if (rangemap_settle(&dump->ranges))
		return -ENOMEM;
	return r < 0 ? r : (int)(dump->ncodes - before);
}

const struct jit_code *jitdump_find(const struct jitdump *dump, uint64_t address, uint64_t nsecs)
{
	const struct range *range = rangemap_find(&dump->ranges, address, dump->other_clock ? UINT64_MAX : nsecs, NULL);
	return range ? range->what : NULL;
}

/* One entry of debug information; the number of its bytes, 0 = it is cut off. A name of the byte 0xff stands for the one before. */
struct entry {
	uint64_t address;
	int32_t line, discriminator;
};

static size_t take_entry(const uint8_t *data, size_t len, struct entry *ret, const char **file)
{
	if (len <= sizeof(*ret))
		return 0;
	memcpy(ret, data, sizeof(*ret));
	const char *name = (const char *)data + sizeof(*ret);
	size_t name_len = strnlen(name, len - sizeof(*ret));
	if (name_len == len - sizeof(*ret))
		return 0;
	if (strcmp(name, "\xff"))
		*file = name;
	return sizeof(*ret) + name_len + 1;
}

bool jitdump_line(struct jitdump *dump, int fd, const struct jit_code *code, uint64_t address, const char **ret_file,
        int *ret_line)
{
	size_t len = code->lines.len < MAX_LINES ? (size_t)code->lines.len : MAX_LINES;
	uint8_t *data = len ? malloc(len) : NULL;
	uint64_t wanted = address - code->start + code->first, best = 0;
	const char *file = NULL, *best_file = NULL;
	if (!data || !read_at(fd, code->lines.offset, data, len))
		len = 0;
	for (size_t at = 0, n; at < len; at += n) {
		struct entry entry;
		n = take_entry(data + at, len - at, &entry, &file);
		if (!n)
			break;
		if (entry.address > wanted || entry.address < code->first || entry.address < best || !file)
			continue;
		best = entry.address;
		best_file = file;
		*ret_line = entry.line;
	}
	/* V8 writes names from memory that it has freed. */
	bool named = best_file && text_is_clean(best_file, strlen(best_file));
	*ret_file = named ? intern_text(dump->names, best_file) : NULL;
	if (!named)
		*ret_line = 0;
	free(data);
	return *ret_file;
}
