/* A BPF ring buffer's consumer (the format: kernel/bpf/ringbuf.c).
 *
 * The map's descriptor is mapped in three parts: page 0 holds the consumer's position, which we write; page 1 the
 * producers' position, read only; then come the data pages, twice in a row, so that a record that wraps round the end
 * can be read in one piece. A record is a u32 length whose upper two bits say "still being written" and "discarded",
 * four bytes for the kernel, and the payload, padded to 8 bytes.
 *
 * libbpf's ring_buffer maps the data pages whole and twice, and the kernel counts mapped pages as resident, touched or
 * not: a ring of 8 MB costs a reader 16 MB. We map a window of a few hundred kilobytes and move it along, one
 * mmap(MAP_FIXED) for every hundred records or so, about 0.1 µs each. Since the second copy of the data follows the
 * first, the window never has to wrap.
 *
 * The consumer's position is written once for some 32 KB of records instead of at every one: each write takes the cache
 * line from under the producers. ring_next() does that by itself; ring_release() at the end of a round. */
#include "engine/run/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WINDOW = 256 << 10, RELEASE_EVERY = 32 << 10 };

struct ring {
	int fd;
	uint64_t bytes, page;
	uint64_t *consumer;       /* ours to write */
	const uint64_t *producer; /* the kernel's */
	uint8_t *window;
	uint64_t window_bytes;
	uint64_t window_offset; /* in the doubled data, UINT64_MAX = nothing mapped yet */
	uint64_t position;      /* of the next record to look at */
	uint64_t released;      /* what *consumer says */
};

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static int map_positions(struct ring *ring)
{
	void *p = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	ring->consumer = p;
	p = mmap(NULL, ring->page, PROT_READ, MAP_SHARED, ring->fd, (off_t)ring->page);
	if (p == MAP_FAILED)
		return -errno;
	ring->producer = p;
	/* Only the address range; pages of the ring come into it as the window moves. */
	p = mmap(NULL, ring->window_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	ring->window = p;
	return 0;
}

int ring_open(struct ring **ret, int fd, uint64_t bytes, uint64_t largest, struct err *err)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	if (!ring)
		return err_nomem(err);
	ring->fd = fd;
	ring->bytes = bytes;
	ring->page = (uint64_t)sysconf(_SC_PAGESIZE);
	ring->window_offset = UINT64_MAX;
	/* A record may begin anywhere in the window's first page. */
	ring->window_bytes = round_up(largest + BPF_RINGBUF_HDR_SZ, ring->page) + ring->page;
	if (ring->window_bytes < WINDOW)
		ring->window_bytes = WINDOW;
	if (ring->window_bytes > bytes)
		ring->window_bytes = bytes;
	int r = map_positions(ring);
	if (r < 0 || !ring->consumer) {
		ring_close(ring);
		return err_set(err, r, ERR_RUNTIME, "ring-map", "cannot map the ring buffer: %s", strerror(-r));
	}
	ring->position = ring->released = *ring->consumer;
	*ret = ring;
	return 0;
}

void ring_close(struct ring *ring)
{
	if (!ring)
		return;
	if (ring->consumer)
		munmap(ring->consumer, ring->page);
	if (ring->producer)
		munmap((void *)ring->producer, ring->page);
	if (ring->window)
		munmap(ring->window, ring->window_bytes);
	free(ring);
}

/* Where `len` bytes at a position of the ring can be read, moving the window if they are not in it. NULL: *ret_error.
 */
static const uint8_t *look(struct ring *ring, uint64_t position, uint64_t len, int *ret_error)
{
	uint64_t at = position & (ring->bytes - 1);
	uint64_t offset = at / ring->page * ring->page;
	if (len > ring->window_bytes - ring->page) {
		*ret_error = -EMSGSIZE;
		return NULL;
	}
	if (ring->window_offset == UINT64_MAX || at < ring->window_offset ||
	        at + len > ring->window_offset + ring->window_bytes) {
		void *p = mmap(ring->window, ring->window_bytes, PROT_READ, MAP_SHARED | MAP_FIXED, ring->fd,
		        (off_t)(2 * ring->page + offset));
		if (p == MAP_FAILED) {
			*ret_error = -errno;
			return NULL;
		}
		ring->window_offset = offset;
	}
	return ring->window + (at - ring->window_offset);
}

const void *ring_next(struct ring *ring, size_t *ret_len, int *ret_error)
{
	*ret_error = 0;
	if (ring->position - ring->released >= RELEASE_EVERY)
		ring_release(ring);
	for (;;) {
		uint64_t end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
		if (ring->position >= end)
			return NULL;
		const uint8_t *head = look(ring, ring->position, BPF_RINGBUF_HDR_SZ, ret_error);
		if (!head)
			return NULL;
		uint32_t word = __atomic_load_n((const uint32_t *)head, __ATOMIC_ACQUIRE);
		if (word & BPF_RINGBUF_BUSY_BIT)
			return NULL;
		uint32_t len = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		const uint8_t *record = look(ring, ring->position, (uint64_t)len + BPF_RINGBUF_HDR_SZ, ret_error);
		if (!record)
			return NULL;
		ring->position += round_up((uint64_t)len + BPF_RINGBUF_HDR_SZ, 8);
		if (word & BPF_RINGBUF_DISCARD_BIT)
			continue;
		*ret_len = len;
		return record + BPF_RINGBUF_HDR_SZ;
	}
}

void ring_release(struct ring *ring)
{
	if (ring->released == ring->position)
		return;
	ring->released = ring->position;
	__atomic_store_n(ring->consumer, ring->position, __ATOMIC_RELEASE);
}

uint64_t ring_pending(const struct ring *ring)
{
	/* Sequentially consistent: this read must not pass the store that arms the wake-up (kernel_arm). */
	return __atomic_load_n(ring->producer, __ATOMIC_SEQ_CST) - ring->released;
}
