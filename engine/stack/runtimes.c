/* A runtime is looked for once, and again whenever the process has mapped something since: a JVM is loaded by its
 * launcher after the first events. One that is there but not ready is asked again, at growing intervals, and at once when a stack
 * has generated code that nobody claims: its tables are complete before its first code runs. Those that stay incomplete are not
 * worth a search for each event, so this has a limit. */
#include "engine/stack/runtimes.h"

#include <bpf/bpf.h>
#include <stdlib.h>

enum { RETRY_FIRST = 5000000, RETRY_LAST = 1000000000, THREADS_AGAIN = 20000000, MAX_ASKED = 64 };

static const struct runtime *const known[] = {&runtime_hotspot, &runtime_v8, &runtime_jitdump, &runtime_perfmap};
enum { KNOWN = sizeof(known) / sizeof(*known) };

struct runtimes {
	struct {
		void *state;
		bool tried, retry;
		uint32_t generation; /* of the mappings, when it was looked for */
		uint64_t retry_at, delay;
		unsigned asked; /* out of turn */
	} slots[KNOWN];
	uint64_t threads_synced;
};

static bool due(const struct runtimes *runtimes, size_t i, uint32_t generation, uint64_t nsecs)
{
	if (runtimes->slots[i].state)
		return false;
	if (!runtimes->slots[i].tried)
		return true;
	if (runtimes->slots[i].retry)
		return nsecs >= runtimes->slots[i].retry_at;
	return runtimes->slots[i].generation != generation;
}

static void look(struct runtimes *runtimes, size_t i, struct process *process, struct memory *memory,
        struct intern *names, uint64_t nsecs)
{
	bool retry = false;
	uint64_t delay = runtimes->slots[i].delay ? runtimes->slots[i].delay * 2 : RETRY_FIRST;
	runtimes->slots[i].state = known[i]->attach(process, memory, names, &retry);
	runtimes->slots[i].tried = true;
	runtimes->slots[i].retry = retry;
	runtimes->slots[i].generation = process_generation(process);
	runtimes->slots[i].delay = retry && delay < RETRY_LAST ? delay : 0;
	runtimes->slots[i].retry_at = nsecs + (delay < RETRY_LAST ? delay : RETRY_LAST);
}

struct runtimes *runtimes_of(struct process *process, struct memory *memory, struct intern *names, uint64_t nsecs)
{
	void **place = process_runtime(process);
	if (!*place)
		*place = calloc(1, sizeof(struct runtimes));
	struct runtimes *runtimes = *place;
	uint32_t generation = process_generation(process);
	for (size_t i = 0; runtimes && i < KNOWN; i++)
		if (due(runtimes, i, generation, nsecs))
			look(runtimes, i, process, memory, names, nsecs);
	return runtimes;
}

bool runtimes_ask_again(
        struct runtimes *runtimes, struct process *process, struct memory *memory, struct intern *names, uint64_t nsecs)
{
	bool ready = false;
	for (size_t i = 0; i < KNOWN; i++) {
		if (runtimes->slots[i].state || !runtimes->slots[i].retry || runtimes->slots[i].asked == MAX_ASKED)
			continue;
		runtimes->slots[i].asked++;
		look(runtimes, i, process, memory, names, nsecs);
		ready |= runtimes->slots[i].state != NULL;
	}
	return ready;
}

void runtimes_free(struct runtimes *runtimes)
{
	if (!runtimes)
		return;
	for (size_t i = 0; i < KNOWN; i++)
		if (runtimes->slots[i].state)
			known[i]->detach(runtimes->slots[i].state);
	free(runtimes);
}

bool runtimes_claim(struct runtimes *runtimes, uint64_t pc, const struct mapping *mapping, struct module *module)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (runtimes->slots[i].state && known[i]->claims(runtimes->slots[i].state, pc, mapping, module))
			return true;
	return false;
}

enum runtime_result runtimes_step(
        struct runtimes *runtimes, struct walk *walk, const struct mapping *mapping, struct module *module)
{
	uint64_t pc = walk->regs.r[REG_PC];
	for (size_t i = 0; i < KNOWN; i++) {
		if (!runtimes->slots[i].state || !known[i]->claims(runtimes->slots[i].state, pc, mapping, module))
			continue;
		enum runtime_result result = known[i]->step(runtimes->slots[i].state, walk);
		if (result != RUNTIME_NOT_MINE)
			return result;
	}
	return RUNTIME_NOT_MINE;
}

bool runtimes_validate(struct runtimes *runtimes, struct walk *walk)
{
	bool valid = true;
	for (size_t i = 0; i < KNOWN; i++)
		if (runtimes->slots[i].state && known[i]->validate)
			valid &= known[i]->validate(runtimes->slots[i].state, walk);
	return valid;
}

static void set_anchor(void *user, uint32_t tid, uint64_t anchor)
{
	const int *map = user;
	bpf_map_update_elem(*map, &tid, &anchor, BPF_ANY);
}

/* Threads come and go; an event of one that has no anchor yet is the occasion to look, but not each of them. */
void runtimes_sync_threads(struct runtimes *runtimes, struct memory *memory, uint64_t nsecs, int anchor_map)
{
	if (runtimes->threads_synced && nsecs - runtimes->threads_synced < THREADS_AGAIN)
		return;
	runtimes->threads_synced = nsecs;
	for (size_t i = 0; i < KNOWN; i++)
		if (runtimes->slots[i].state && known[i]->threads)
			known[i]->threads(runtimes->slots[i].state, memory, set_anchor, &anchor_map);
}
