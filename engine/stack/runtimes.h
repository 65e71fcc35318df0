/* The language runtimes found in one process. */
#ifndef RILLE_STACK_RUNTIMES_H
#define RILLE_STACK_RUNTIMES_H

#include "engine/stack/runtime.h"

struct runtimes;

/* Those of a process, looked for when it is first asked and again when that may help. NULL: out of memory. */
struct runtimes *runtimes_of(struct process *process, struct memory *memory, struct intern *names, uint64_t nsecs);
/* Asks those anew that were there but not ready, whatever their interval: a stack has code that may be theirs. Whether one is
 * ready now. */
bool runtimes_ask_again(struct runtimes *runtimes, struct process *process, struct memory *memory, struct intern *names,
        uint64_t nsecs);
void runtimes_free(struct runtimes *runtimes);
/* RUNTIME_NOT_MINE: none claims the program counter. */
enum runtime_result runtimes_step(
        struct runtimes *runtimes, struct walk *walk, const struct mapping *mapping, struct module *module);
bool runtimes_claim(struct runtimes *runtimes, uint64_t pc, const struct mapping *mapping, struct module *module);
/* False: facts that the walk was built on have changed; walk again. */
bool runtimes_validate(struct runtimes *runtimes, struct walk *walk);
/* Tells the kernel side (a BPF map of tid → address) where the anchors of the process's threads are. */
void runtimes_sync_threads(struct runtimes *runtimes, struct memory *memory, uint64_t nsecs, int anchor_map);

#endif
