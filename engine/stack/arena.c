/* Chunks double from 1 to 64 KiB, so that a small module costs little and a large one few allocations. */
#include "engine/stack/arena.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_MIN = 1 << 10, CHUNK_MAX = 64 << 10 };

struct arena_chunk {
	struct arena_chunk *older;
	max_align_t data[];
};

void arena_fini(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *older = arena->chunks->older;
		free(arena->chunks);
		arena->chunks = older;
	}
	memset(arena, 0, sizeof(*arena));
}

static int add_chunk(struct arena *arena, size_t need)
{
	size_t size = arena->size * 2 < CHUNK_MIN ? CHUNK_MIN : arena->size * 2;
	if (size > CHUNK_MAX)
		size = CHUNK_MAX;
	if (size < need)
		size = need;
	struct arena_chunk *chunk = calloc(1, sizeof(*chunk) + size);
	if (!chunk)
		return -1;
	chunk->older = arena->chunks;
	arena->chunks = chunk;
	arena->size = size;
	arena->used = 0;
	return 0;
}

void *arena_alloc(struct arena *arena, size_t len)
{
	if (len > (size_t)-16)
		return NULL;
	len = (len + 7) & ~(size_t)7;
	if (len > arena->size - arena->used && add_chunk(arena, len))
		return NULL;
	void *at = (char *)arena->chunks->data + arena->used;
	arena->used += len;
	return at;
}

char *arena_text(struct arena *arena, const char *text, size_t len)
{
	char *copy = arena_alloc(arena, len + 1);
	if (copy)
		memcpy(copy, text, len);
	return copy;
}
