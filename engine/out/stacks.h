/* A bounded table of counts, for formats that write at the end how often something happened. */
#ifndef RILLE_OUT_STACKS_H
#define RILLE_OUT_STACKS_H

#include "engine/base/text.h"
#include "engine/out/event.h"

#include <stdint.h>
#include <uthash.h>

enum { STACKS_KEY = 512 };

struct counted {
	uint64_t count;
	const struct probe_schema *probe;
	char *data; /* what the format keeps: freed with the table */
	size_t len;
	size_t key_len;
	UT_hash_handle hh;
	uint8_t key[];
};

struct stacks {
	struct counted *list;
	uint64_t events; /* all that were offered */
	uint64_t others; /* … and did not fit, or for which there was no memory */
	size_t bytes;
};

/* Writes what is kept of a new entry. */
typedef void stacks_render(struct text *out, struct event *event, void *user);

/* Counts the event at the entry of this key, which has at most STACKS_KEY bytes; the probe is part of it. */
void stacks_count(
        struct stacks *stacks, struct event *event, const void *key, size_t len, stacks_render *render, void *user);
/* Counts an event that the format could not give a key. */
void stacks_skip(struct stacks *stacks);
bool stacks_half_full(const struct stacks *stacks);
/* Most frequent first. */
void stacks_sort(struct stacks *stacks);
void stacks_fini(struct stacks *stacks);

/* A key by thread name and stack. */
struct stack_key {
	uint64_t identity;
	char comm[RILLE_COMM];
};
void stack_key(struct stack_key *key, struct event *event);

/* Equal for stacks whose frames are shown alike and which end for the same reason, different for any others. */
uint64_t stacks_identity(struct event *event);
uint64_t stack_identity(const struct stack *stack);

#endif
