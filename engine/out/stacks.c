/* Counts by stack, in bounded memory.
 *
 * A trace can run for days and a target can make as many different stacks as it likes. So there is a bound on entries
 * and one on their bytes; what does not fit is counted in one number, which each format shows, so that its counts still
 * add up to the events.
 *
 * What makes two events one entry is the format's choice. `top` takes a stack's site, which is the same whatever tier of
 * a runtime ran the code. Formats that show whether a frame was inlined take stacks_identity(): all that they show.
 * Names are compared by address there. They are kept as long as the resolver lives and never move; a name that is kept
 * twice only makes two entries of one stack. */
#include "engine/out/stacks.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ENTRIES = 65536, MAX_BYTES = 128 * 1024 * 1024 };

static struct counted *entry_new(struct event *event, const void *key, size_t len, stacks_render *render, void *user)
{
	struct counted *entry = calloc(1, sizeof(*entry) + len);
	if (!entry)
		return NULL;
	struct text data = {0};
	render(&data, event, user);
	if (text_failed(&data)) {
		text_fini(&data);
		free(entry);
		return NULL;
	}
	entry->len = data.len;
	entry->data = text_steal(&data);
	entry->probe = event->probe;
	entry->key_len = len;
	memcpy(entry->key, key, len);
	return entry;
}

static struct counted *entry_add(
        struct stacks *stacks, struct event *event, const void *key, size_t len, stacks_render *render, void *user)
{
	if (HASH_COUNT(stacks->list) >= MAX_ENTRIES || stacks->bytes >= MAX_BYTES)
		return NULL;
	struct counted *entry = entry_new(event, key, len, render, user);
	if (!entry)
		return NULL;
	HASH_ADD(hh, stacks->list, key, len, entry);
	if (!entry->hh.tbl) { /* out of memory */
		free(entry->data);
		free(entry);
		return NULL;
	}
	stacks->bytes += sizeof(*entry) + len + entry->len;
	return entry;
}

void stacks_count(
        struct stacks *stacks, struct event *event, const void *key, size_t len, stacks_render *render, void *user)
{
	uint8_t whole[sizeof(event->probe) + STACKS_KEY];
	struct counted *entry;
	if (len > STACKS_KEY)
		len = STACKS_KEY;
	memcpy(whole, &event->probe, sizeof(event->probe));
	memcpy(whole + sizeof(event->probe), key, len);
	len += sizeof(event->probe);
	HASH_FIND(hh, stacks->list, whole, len, entry);
	if (!entry)
		entry = entry_add(stacks, event, whole, len, render, user);
	stacks->events++;
	if (entry)
		entry->count++;
	else
		stacks->others++;
}

void stacks_skip(struct stacks *stacks)
{
	stacks->events++;
	stacks->others++;
}

bool stacks_half_full(const struct stacks *stacks)
{
	return HASH_COUNT(stacks->list) >= MAX_ENTRIES / 2 || stacks->bytes >= MAX_BYTES / 2;
}

static int by_count(const struct counted *a, const struct counted *b)
{
	return a->count < b->count ? 1 : a->count > b->count ? -1 : 0;
}

void stacks_sort(struct stacks *stacks)
{
	HASH_SORT(stacks->list, by_count);
}

void stacks_fini(struct stacks *stacks)
{
	struct counted *entry, *next;
	HASH_ITER (hh, stacks->list, entry, next) {
		HASH_DEL(stacks->list, entry);
		free(entry->data);
		free(entry);
	}
	memset(stacks, 0, sizeof(*stacks));
}

static uint64_t mix(uint64_t hash, uint64_t v)
{
	hash = (hash ^ v) * 0x9e3779b97f4a7c15ULL;
	return hash ^ (hash >> 29);
}

static uint64_t mix_stack(uint64_t hash, const struct stack *stack)
{
	for (size_t i = 0; i < stack->nframes; i++) {
		const struct frame *frame = &stack->frames[i];
		hash = mix(hash, (uintptr_t)frame->name);
		hash = mix(hash, (uintptr_t)frame->module);
		hash = mix(hash, (uint64_t)(uint32_t)frame->line << 16 | frame->kind << 8 | frame->inlined);
		if (!frame->name)
			hash = mix(hash, frame->module ? frame->offset : frame->ip);
	}
	return mix(hash, stack->end);
}

uint64_t stack_identity(const struct stack *stack)
{
	return mix_stack(0xcbf29ce484222325ULL, stack);
}

uint64_t stacks_identity(struct event *event)
{
	const struct stack *kstack = event_kstack(event), *ustack = event_ustack(event);
	uint64_t hash = 0xcbf29ce484222325ULL;
	if (kstack)
		hash = mix_stack(hash, kstack);
	return ustack ? mix_stack(mix(hash, 1), ustack) : hash;
}

void stack_key(struct stack_key *key, struct event *event)
{
	const char *comm = event->record->comm;
	memset(key, 0, sizeof(*key));
	key->identity = stacks_identity(event);
	memcpy(key->comm, comm, strnlen(comm, sizeof(key->comm)));
}
