/* The target's memory as of one event: the copied stack first, then a page cache over process_vm_readv().
 *
 * Every read is bounded: addresses in [4096, 2^47), a budget of pages and time for one event, and a watchdog, because a
 * page of a target behind userfaultfd or FUSE can block a reader for ever (such a process is blacklisted after one
 * timeout). */
#ifndef RILLE_STACK_MEMORY_H
#define RILLE_STACK_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct memory;

/* Test hook: replaces process_vm_readv (fuzzers corrupt reads here). Returns bytes read or -1. */
typedef ssize_t (*memory_read_fn)(void *user, pid_t pid, uint64_t address, void *buffer, size_t len);

struct memory *memory_new(void); /* NULL: out of memory */
void memory_free(struct memory *memory);
void memory_set_reader(struct memory *memory, memory_read_fn fn, void *user);

/* Begins an event: forgets the page cache and the budget. `stack` (may be NULL) is the copy of [sp, sp + len).
 * `stack_end` 0 = unknown. `alive` false: only the copy can be read. */
void memory_begin(
        struct memory *memory, pid_t pid, bool alive, const void *stack, uint64_t sp, size_t len, uint64_t stack_end);

/* The copy's holes, as in struct rille_ustack: what lies in one is read from the process. Forgotten by memory_begin(). */
void memory_set_holes(struct memory *memory, uint64_t holes);

/* All or nothing: 0, -EFAULT (not readable), -ETIMEDOUT (budget used up, or the process is blacklisted). */
int memory_read(struct memory *memory, uint64_t address, void *buffer, size_t len);
/* Several small reads in one system call, past the page cache (for validating cached facts): 0 if all could be read. */
struct memory_part {
	uint64_t address;
	void *buffer;
	size_t len;
};
int memory_read_many(struct memory *memory, const struct memory_part *parts, size_t n);
/* A NUL-terminated string of at most size-1 bytes: its length, or -EFAULT, or -E2BIG if it does not end in time. */
ssize_t memory_read_string(struct memory *memory, uint64_t address, char *buffer, size_t size);

/* Typed reads: the value, or 0 with *failed set (never cleared), so that a run of reads needs one check. */
uint64_t memory_u64(struct memory *memory, uint64_t address, bool *failed);
uint32_t memory_u32(struct memory *memory, uint64_t address, bool *failed);
uint16_t memory_u16(struct memory *memory, uint64_t address, bool *failed);
uint8_t memory_u8(struct memory *memory, uint64_t address, bool *failed);

/* Whether a read since memory_begin() came from the live stack beyond the copy: frames after it are marked `live`. */
bool memory_used_live_stack(const struct memory *memory);
/* Whether the event's budget is used up. */
bool memory_exhausted(const struct memory *memory);
pid_t memory_pid(const struct memory *memory);
/* A process whose memory we may not read, 0 = none was met. */
pid_t memory_denied(const struct memory *memory);
bool memory_alive(const struct memory *memory);

#endif
