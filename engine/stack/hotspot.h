/* One HotSpot JVM in a traced process: inside of hotspot*.c. */
#ifndef RILLE_STACK_HOTSPOT_H
#define RILLE_STACK_HOTSPOT_H

#include "engine/stack/hotspot_cache.h"
#include "engine/stack/hotspot_code.h"
#include "engine/stack/hotspot_layout.h"
#include "engine/stack/hotspot_method.h"
#include "engine/stack/runtime.h"

#include <stdbool.h>
#include <stdint.h>

struct hotspot {
	struct process *process;
	struct intern *names;
	struct hs_layout layout;
	struct hs_code code;
	struct hs_methods *methods;
	struct hs_cache *cache;
	bool refreshed;     /* the heaps were read anew for this event already */
	bool entered;       /* the walk has come to its first frame here */
	uint64_t anchor[3]; /* walk->anchor beyond the first */
};

/* hotspot_pc.c: what is at a pc, from the cache or decoded. NULL and *ret_error: -ENOENT no live code there, -EFAULT,
 * -EPROTO, -ENOMEM. */
struct hs_pc *hs_pc_get(struct hotspot *hs, struct memory *memory, uint64_t pc, int *ret_error);

/* hotspot_step.c */
enum runtime_result hs_step(struct hotspot *hs, struct walk *walk);
struct frame *hs_add_frame(struct walk *walk, uint64_t ip, const struct hs_named *named);
/* Appends a frame for each named one, innermost first. `how` overrides HOW_CFI. */
void hs_add_frames(struct walk *walk, const struct hs_pc *at, enum frame_how how);

/* The registers become the caller's: these three, and no other is known. */
void hs_set_caller(struct walk *walk, uint64_t pc, uint64_t sp, uint64_t fp);
/* Whether the frame pointer can be one: aligned, on the stack and near; it may be `slack` bytes below the stack pointer. */
bool hs_frame_pointer_ok(const struct walk *walk, uint64_t slack);
/* Whether an address is in code that lives: a return address must be. */
bool hs_can_return_to(struct hotspot *hs, const struct walk *walk, uint64_t pc);
/* What a failed read means: RUNTIME_GONE or RUNTIME_FAILED. */
enum runtime_result hs_failure(const struct hotspot *hs, const struct walk *walk);

/* hotspot_interpreter.c */
enum runtime_result hs_step_interpreter(struct hotspot *hs, struct walk *walk);

/* hotspot_leaf.c: the innermost frame of a thread that was interrupted anywhere: is the frame of compiled code set up
 * at all? If not, moves the registers to the caller and returns true. */
bool hs_leaf_step(struct walk *walk, const struct hs_blob *blob);

/* hotspot_thread.c */
void hs_threads(
        struct hotspot *hs, struct memory *memory, void (*set)(void *user, uint32_t tid, uint64_t anchor), void *user);

#endif
