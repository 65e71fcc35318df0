/* Lines of a file. getline() would take as much memory as a line without an end wants. */
#include "engine/base/linereader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 65536 };

static int make_room(struct linereader *reader)
{
	if (reader->data)
		memmove(reader->data, reader->data + reader->start, reader->len);
	reader->start = 0;
	if (reader->cap - reader->len >= PIECE)
		return 0;
	size_t cap = reader->cap + reader->cap / 2 + 2 * PIECE;
	char *data = realloc(reader->data, cap);
	if (!data)
		return -ENOMEM;
	reader->data = data;
	reader->cap = cap;
	return 0;
}

/* More of the file behind what is there. */
static int fill(struct linereader *reader)
{
	if (reader->start + reader->len + PIECE > reader->cap && make_room(reader) < 0)
		return -ENOMEM;
	ssize_t n;
	do
		n = read(reader->fd, reader->data + reader->start + reader->len, PIECE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	reader->eof = n == 0;
	reader->len += (size_t)n;
	return 0;
}

static void give(struct linereader *reader, size_t len, bool newline, const char **ret, size_t *ret_len)
{
	*ret = reader->data + reader->start;
	*ret_len = len;
	reader->start += len + newline;
	reader->len -= len + newline;
}

/* Up to the line's end, keeping nothing of it. */
static int pass_over(struct linereader *reader)
{
	for (;;) {
		const char *at = reader->data + reader->start,
		           *end = reader->data ? memchr(at, '\n', reader->len) : NULL;
		size_t n = end ? (size_t)(end - at) + 1 : reader->len;
		reader->start += n;
		reader->len -= n;
		if (end || reader->eof)
			return -EMSGSIZE;
		int r = fill(reader);
		if (r < 0)
			return r;
	}
}

int linereader_next(struct linereader *reader, const char **ret, size_t *ret_len)
{
	size_t seen = 0;
	for (;;) {
		const char *at = reader->data ? reader->data + reader->start : NULL;
		const char *end = at && reader->len > seen ? memchr(at + seen, '\n', reader->len - seen) : NULL;
		size_t len = end ? (size_t)(end - at) : reader->len;
		if (len > reader->most)
			return pass_over(reader);
		if (end || (reader->eof && len)) {
			give(reader, len, end, ret, ret_len);
			return 1;
		}
		if (reader->eof)
			return 0;
		seen = reader->len;
		int r = fill(reader);
		if (r < 0)
			return r;
	}
}

void linereader_fini(struct linereader *reader)
{
	free(reader->data);
	reader->data = NULL;
	reader->len = reader->cap = reader->start = 0;
}
