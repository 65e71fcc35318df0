/* Equal bytes get equal numbers. Bounded, since it is targets that make up the names. */
#include "engine/out/numbering.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NUMBERS = 262144, MAX_BYTES = 64 * 1024 * 1024 };

int64_t number_of(struct numbering *numbering, const void *data, size_t len)
{
	struct numbered *entry;
	HASH_FIND(hh, numbering->list, data, len, entry);
	if (entry)
		return entry->number;
	size_t n = HASH_COUNT(numbering->list);
	if (n >= MAX_NUMBERS || len > MAX_BYTES || numbering->bytes + sizeof(*entry) + len > MAX_BYTES)
		return -1;
	entry = malloc(sizeof(*entry) + len + 1);
	if (!entry)
		return -1;
	entry->hh.tbl = NULL;
	entry->number = (uint32_t)n;
	entry->len = (uint32_t)len;
	memcpy(entry->data, data, len);
	entry->data[len] = 0;
	HASH_ADD(hh, numbering->list, data, len, entry);
	if (!entry->hh.tbl) { /* out of memory */
		free(entry);
		return -1;
	}
	numbering->bytes += sizeof(*entry) + len;
	return entry->number;
}

void numbering_fini(struct numbering *numbering)
{
	struct numbered *entry, *next;
	HASH_ITER (hh, numbering->list, entry, next) {
		HASH_DEL(numbering->list, entry);
		free(entry);
	}
	memset(numbering, 0, sizeof(*numbering));
}
