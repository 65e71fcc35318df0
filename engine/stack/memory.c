/* Where a read is served from, in this order: the copy of the stack that came with the event, a page read for this
 * event already, the process. The copy is what the thread saw in the call; everything else is what the process holds
 * now, some milliseconds later. Reading the stack beyond the copy, or in a hole of it, is therefore noted, and frames
 * found so are marked. */
#include "engine/stack/memory.h"

#include "bpf-templates/record.h"
#include "engine/stack/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAGE = 4096,
	PAGES_CACHED = 128,
	PAGES_AN_EVENT = 512,
	NSECS_AN_EVENT =
	        100000000, /* a page that must come from a disk takes its time; one that never comes costs half of it */
	STACK_UNKNOWN_END = 1 << 20, /* so far beyond the copy it counts as stack where its end is not known */
};
static const uint64_t LOWEST = 4096, HIGHEST = 1ULL << 47;

struct page {
	uint64_t address, event;
	bool readable;
	uint8_t *data;
};

struct memory {
	pid_t pid;
	bool alive, exhausted, live_stack;
	const uint8_t *stack;
	uint64_t sp, len, stack_end, holes;
	uint64_t event; /* pages read in another one are stale */
	unsigned pages_left;
	uint64_t
	        spent; /* ns for which reads kept us waiting: our own work, and a busy machine, are no fault of the process */
	struct remote *remote;
	memory_read_fn reader;
	void *reader_user;
	struct page pages[PAGES_CACHED];
};

struct memory *memory_new(void)
{
	struct memory *memory = calloc(1, sizeof(*memory));
	if (memory)
		memory->remote = remote_new();
	if (memory && !memory->remote) {
		free(memory);
		return NULL;
	}
	return memory;
}

void memory_free(struct memory *memory)
{
	if (!memory)
		return;
	for (size_t i = 0; i < PAGES_CACHED; i++)
		free(memory->pages[i].data);
	remote_free(memory->remote);
	free(memory);
}

void memory_set_reader(struct memory *memory, memory_read_fn fn, void *user)
{
	memory->reader = fn;
	memory->reader_user = user;
}

void memory_begin(
        struct memory *memory, pid_t pid, bool alive, const void *stack, uint64_t sp, size_t len, uint64_t stack_end)
{
	memory->pid = pid;
	memory->alive = alive;
	memory->stack = stack;
	memory->sp = sp;
	memory->len = stack ? len : 0;
	memory->stack_end = stack_end;
	memory->holes = 0;
	memory->live_stack = false;
	memory->exhausted = false;
	memory->pages_left = PAGES_AN_EVENT;
	memory->spent = 0;
	memory->event++;
}

void memory_set_holes(struct memory *memory, uint64_t holes)
{
	memory->holes = holes;
}

/* [address, address + len) lies in the copy and touches a piece of it that could not be read. */
static bool in_hole(const struct memory *memory, uint64_t address, size_t len)
{
	if (!memory->holes || !len)
		return false;
	uint64_t first = memory->sp / RILLE_STACK_PIECE;
	uint64_t from = address / RILLE_STACK_PIECE - first, to = (address + len - 1) / RILLE_STACK_PIECE - first;
	for (uint64_t i = from; i <= to && i < 64; i++)
		if (memory->holes >> i & 1)
			return true;
	return false;
}

static bool valid_range(uint64_t address, size_t len)
{
	return address >= LOWEST && address < HIGHEST && len <= HIGHEST - address;
}

/* Takes `pages` off the event's budget. */
static bool afford(struct memory *memory, size_t pages)
{
	if (pages > memory->pages_left || memory->spent > NSECS_AN_EVENT)
		memory->exhausted = true;
	if (memory->exhausted)
		return false;
	memory->pages_left -= pages;
	return true;
}

static int read_process(struct memory *memory, const struct memory_part *parts, size_t n)
{
	if (!memory->alive)
		return -EFAULT;
	if (!memory->reader)
		return remote_read(memory->remote, memory->pid, parts, n, &memory->spent);
	for (size_t i = 0; i < n; i++)
		if (memory->reader(memory->reader_user, memory->pid, parts[i].address, parts[i].buffer, parts[i].len) !=
		        (ssize_t)parts[i].len)
			return -EFAULT;
	return 0;
}

static int load_page(struct memory *memory, struct page *page, uint64_t address)
{
	if (!memory->alive)
		return -EFAULT;
	if (!afford(memory, 1))
		return -ETIMEDOUT;
	if (!page->data && !(page->data = malloc(PAGE)))
		return -EFAULT;
	struct memory_part part = {.address = address, .buffer = page->data, .len = PAGE};
	int r = read_process(memory, &part, 1);
	if (r == -ETIMEDOUT)
		return r;
	page->address = address;
	page->event = memory->event;
	page->readable = !r;
	return 0;
}

static int read_pages(struct memory *memory, uint64_t address, uint8_t *to, size_t len)
{
	while (len) {
		uint64_t start = address & -(uint64_t)PAGE;
		struct page *page = &memory->pages[(start / PAGE * 0x9E3779B97F4A7C15ULL) >> 57];
		if (page->event != memory->event || page->address != start) {
			int r = load_page(memory, page, start);
			if (r)
				return r;
		}
		if (!page->readable)
			return -EFAULT;
		size_t n = PAGE - (address - start) < len ? PAGE - (address - start) : len;
		memcpy(to, page->data + (address - start), n);
		to += n;
		address += n;
		len -= n;
	}
	return 0;
}

static bool on_live_stack(const struct memory *memory, uint64_t address)
{
	if (!memory->stack || address < memory->sp)
		return false;
	if (memory->stack_end)
		return address < memory->stack_end;
	return address - memory->sp < memory->len + STACK_UNKNOWN_END;
}

int memory_read(struct memory *memory, uint64_t address, void *buffer, size_t len)
{
	uint64_t offset = address - memory->sp;
	if (offset < memory->len && len <= memory->len - offset && !in_hole(memory, address, len)) {
		memcpy(buffer, memory->stack + offset, len);
		return 0;
	}
	if (!valid_range(address, len))
		return -EFAULT;
	if (on_live_stack(memory, address))
		memory->live_stack = true;
	return read_pages(memory, address, buffer, len);
}

int memory_read_many(struct memory *memory, const struct memory_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!valid_range(parts[i].address, parts[i].len))
			return -EFAULT;
	if (!n)
		return 0;
	if (!afford(memory, (n + 7) / 8))
		return -ETIMEDOUT;
	return read_process(memory, parts, n);
}

ssize_t memory_read_string(struct memory *memory, uint64_t address, char *buffer, size_t size)
{
	size_t len = 0;
	while (len < size) {
		/* To the end of the page, so that what stands behind an unreadable one is not asked for. */
		size_t n = PAGE - ((address + len) & (PAGE - 1));
		if (n > size - len)
			n = size - len;
		int r = memory_read(memory, address + len, buffer + len, n);
		if (r)
			return r;
		char *end = memchr(buffer + len, 0, n);
		if (end)
			return end - buffer;
		len += n;
	}
	return -E2BIG;
}

static uint64_t typed(struct memory *memory, uint64_t address, size_t len, bool *failed)
{
	union {
		uint64_t u64;
		uint32_t u32;
		uint16_t u16;
		uint8_t u8;
	} value = {0};
	if (memory_read(memory, address, &value, len)) {
		*failed = true;
		return 0;
	}
	return len == 8 ? value.u64 : len == 4 ? value.u32 : len == 2 ? value.u16 : value.u8;
}

uint64_t memory_u64(struct memory *memory, uint64_t address, bool *failed)
{
	return typed(memory, address, 8, failed);
}

uint32_t memory_u32(struct memory *memory, uint64_t address, bool *failed)
{
	return typed(memory, address, 4, failed);
}

uint16_t memory_u16(struct memory *memory, uint64_t address, bool *failed)
{
	return typed(memory, address, 2, failed);
}

uint8_t memory_u8(struct memory *memory, uint64_t address, bool *failed)
{
	return typed(memory, address, 1, failed);
}

bool memory_used_live_stack(const struct memory *memory)
{
	return memory->live_stack;
}

bool memory_exhausted(const struct memory *memory)
{
	return memory->exhausted;
}

pid_t memory_denied(const struct memory *memory)
{
	return remote_denied(memory->remote);
}

pid_t memory_pid(const struct memory *memory)
{
	return memory->pid;
}

bool memory_alive(const struct memory *memory)
{
	return memory->alive;
}
