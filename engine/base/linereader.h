/* Lines of a file that may be of any length, in bounded memory. */
#ifndef RILLE_BASE_LINEREADER_H
#define RILLE_BASE_LINEREADER_H

#include <stdbool.h>
#include <stddef.h>

struct linereader {
	int fd;      /* not closed */
	size_t most; /* bytes of a line */
	char *data;
	size_t start, len, cap; /* what was read and not yet given away */
	bool eof;
};

/* The next line without its newline, valid until the next call. 1; 0 at the end; -EMSGSIZE: it is longer than `most` and
 * was passed over; another negative errno of reading. */
int linereader_next(struct linereader *reader, const char **ret, size_t *ret_len);
void linereader_fini(struct linereader *reader);

#endif
