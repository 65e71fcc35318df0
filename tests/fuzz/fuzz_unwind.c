/* Any registers and any stack, over the code of this very process: the walk ends, in time, with a reason, whatever they
 * say. Eight bytes of input make a word: its first byte chooses between an address of code, of the stack, and the bytes
 * as they are. */
#include "engine/stack/resolve.h"

#include "engine/stack/module.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS = 512 };

struct fuzz {
	struct proc_table *procs;
	struct resolver *resolver;
	struct mapping *mappings; /* a copy: the process's own move */
	size_t nmappings;
};

static const struct fuzz *open_once(void)
{
	static struct fuzz fuzz;
	if (fuzz.resolver)
		return &fuzz;
	struct proc_options options = {.free_module = module_free, .free_runtime = resolver_free_runtime};
	if (proc_table_open(&fuzz.procs, &options, NULL))
		abort();
	struct resolve_options resolve = {.procs = fuzz.procs, .lines = true, .anchor_map = -1};
	fuzz.resolver = resolver_new(&resolve);
	const struct mapping *all = process_mappings(proc_table_get(fuzz.procs, getpid(), 0), &fuzz.nmappings);
	fuzz.mappings = calloc(fuzz.nmappings, sizeof(*all));
	if (!fuzz.mappings)
		abort();
	memcpy(fuzz.mappings, all, fuzz.nmappings * sizeof(*all));
	return &fuzz;
}

static uint64_t word(const struct fuzz *fuzz, const uint8_t *at, uint64_t sp)
{
	uint64_t value;
	memcpy(&value, at, sizeof(value));
	if (at[0] < 100) {
		const struct mapping *mapping = &fuzz->mappings[at[1] % fuzz->nmappings];
		return mapping->start + (value >> 16) % (mapping->end - mapping->start);
	}
	return at[0] < 200 ? sp + (value >> 16) % (WORDS * 8) : value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct {
		struct rille_ustack header;
		uint64_t words[WORDS];
	} copy;
	static struct stack stack;
	const struct fuzz *fuzz = open_once();
	size_t n = size / 8;
	if (n < NREGS)
		return 0;
	uint64_t sp = (uint64_t)(uintptr_t)copy.words;
	memset(&copy, 0, sizeof(copy));
	for (size_t i = 0; i < NREGS; i++)
		copy.header.regs[i] = word(fuzz, data + i * 8, sp);
	copy.header.regs[REG_SP] = sp;
	for (size_t i = NREGS; i < n && i < WORDS; i++)
		copy.words[i - NREGS] = word(fuzz, data + i * 8, sp);
	copy.header.got = copy.header.room = n < WORDS ? n * 8 : WORDS * 8;
	copy.header.end = data[0] & 1 ? sp + sizeof(copy.words) : 0;
	copy.header.anchor[0] = data[1] & 1 ? sp + data[2] * 8 : 0;
	struct rille_record record = {.pid = (uint32_t)getpid(), .tid = (uint32_t)getpid(), .nsecs = 1};
	resolve_user(fuzz->resolver, &record, &copy.header, copy.header.got, data[3] % 64, &stack);
	for (size_t i = 0; i < stack.nframes; i++)
		if (stack.frames[i].name && !stack.frames[i].name[0])
			abort();
	if (stack.nframes > 1024 || (!stack.nframes && stack.end == STACK_TRUNCATED))
		abort();
	return 0;
}
