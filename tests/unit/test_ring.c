/* Whatever sizes records have and wherever they lie, also across the ring's end and beyond the window, the reader gets every
 * committed one once, whole and in order, never a discarded one, none behind one that is still being written, and gives the
 * room back. The writer here follows kernel/bpf/ringbuf.c, with a file in memory for the map. */
#include "engine/run/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
/* last: it needs the ones above */
#include <cmocka.h>

enum { BYTES = 1 << 20, LARGEST = 70000 };

struct writer {
	int fd;
	long page;
	uint64_t *consumer, *producer;
	uint8_t *data; /* mapped twice in a row, as the kernel does it */
};

static void writer_open(struct writer *w)
{
	w->page = sysconf(_SC_PAGESIZE);
	w->fd = memfd_create("ring", MFD_CLOEXEC);
	assert_true(w->fd >= 0);
	/* The file has the second copy as bytes of its own; put_bytes() writes both. */
	assert_int_equal(ftruncate(w->fd, 2 * w->page + 2 * BYTES), 0);
	uint8_t *all = mmap(NULL, (size_t)(2 * w->page) + 2 * BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
	assert_ptr_not_equal(all, MAP_FAILED);
	w->consumer = (uint64_t *)all;
	w->producer = (uint64_t *)(all + w->page);
	w->data = all + 2 * w->page;
}

static void writer_close(struct writer *w)
{
	munmap(w->consumer, (size_t)(2 * w->page) + 2 * BYTES);
	close(w->fd);
}

static void put_bytes(struct writer *w, uint64_t position, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t at = (position + i) & (BYTES - 1);
		w->data[at] = w->data[at + BYTES] = ((const uint8_t *)bytes)[i];
	}
}

/* Where the record's header lies, or UINT64_MAX if there is no room. */
static uint64_t reserve(struct writer *w, uint32_t len, uint32_t flags)
{
	uint64_t need = (len + BPF_RINGBUF_HDR_SZ + 7u) & ~7ull, position = *w->producer;
	uint32_t head[2] = {len | flags, 0};
	if (position + need - __atomic_load_n(w->consumer, __ATOMIC_ACQUIRE) > BYTES)
		return UINT64_MAX;
	put_bytes(w, position, head, sizeof(head));
	__atomic_store_n(w->producer, position + need, __ATOMIC_RELEASE);
	return position;
}

static uint8_t content(uint64_t position, size_t i)
{
	return (uint8_t)(position * 31 + i * 7);
}

static uint64_t write_record(struct writer *w, uint32_t len, uint32_t flags)
{
	uint64_t position = reserve(w, len, flags);
	for (size_t i = 0; position != UINT64_MAX && i < len; i++) {
		uint8_t byte = content(position, i);
		put_bytes(w, position + BPF_RINGBUF_HDR_SZ + i, &byte, 1);
	}
	return position;
}

static void assert_record(struct ring *ring, uint64_t position, uint32_t len)
{
	size_t got;
	int error;
	const uint8_t *record = ring_next(ring, &got, &error);
	assert_non_null(record);
	assert_int_equal(error, 0);
	assert_int_equal(got, len);
	for (size_t i = 0; i < len; i++)
		if (record[i] != content(position, i))
			fail_msg("byte %zu of the record at %llu", i, (unsigned long long)position);
}

static void assert_nothing(struct ring *ring)
{
	size_t got;
	int error;
	assert_null(ring_next(ring, &got, &error));
	assert_int_equal(error, 0);
}

static struct ring *open_ring(struct writer *w)
{
	struct ring *ring;
	writer_open(w);
	assert_int_equal(ring_open(&ring, w->fd, BYTES, LARGEST, NULL), 0);
	assert_nothing(ring);
	return ring;
}

static void test_all_sizes_round_and_round(void **state)
{
	struct writer w;
	struct ring *ring = open_ring(&w);
	uint64_t positions[64];
	uint32_t lens[64], n, rounds = 0;
	srandom(1);
	while (*w.producer < 12u * BYTES) {
		for (n = 0; n < 64; n++) {
			lens[n] = random() % 4 ? (uint32_t)random() % 300 : (uint32_t)random() % LARGEST;
			bool discard = random() % 8 == 0;
			positions[n] = write_record(&w, lens[n], discard ? BPF_RINGBUF_DISCARD_BIT : 0);
			if (positions[n] == UINT64_MAX)
				break;
			if (discard)
				n--;
		}
		for (uint32_t i = 0; i < n; i++)
			assert_record(ring, positions[i], lens[i]);
		assert_nothing(ring);
		ring_release(ring);
		assert_int_equal(*w.consumer, *w.producer);
		assert_int_equal(ring_pending(ring), 0);
		rounds++;
	}
	assert_true(rounds > 10);
	ring_close(ring);
	writer_close(&w);
}

static void test_busy_holds_back(void **state)
{
	struct writer w;
	struct ring *ring = open_ring(&w);
	uint64_t first = write_record(&w, 40, 0), busy = write_record(&w, 48, BPF_RINGBUF_BUSY_BIT),
	         last = write_record(&w, 56, 0);
	assert_record(ring, first, 40);
	assert_nothing(ring);
	ring_release(ring);
	assert_int_equal(*w.consumer, busy);
	assert_int_equal(ring_pending(ring), *w.producer - busy);
	uint32_t done = 48;
	put_bytes(&w, busy, &done, sizeof(done));
	assert_record(ring, busy, 48);
	assert_record(ring, last, 56);
	assert_nothing(ring);
	ring_close(ring);
	writer_close(&w);
}

/* Room is given back in the course of a long round, too: a writer must not starve because the reader is at it. */
static void test_release_on_the_way(void **state)
{
	struct writer w;
	struct ring *ring = open_ring(&w);
	uint64_t positions[100];
	for (int i = 0; i < 100; i++)
		positions[i] = write_record(&w, 5000, 0);
	for (int i = 0; i < 100; i++)
		assert_record(ring, positions[i], 5000);
	assert_true(*w.consumer > 400000);
	assert_true(*w.consumer <= positions[99]);
	ring_close(ring);
	writer_close(&w);
}

/* A length that cannot be (the kernel would never write it) is an error, not a read beyond the window. */
static void test_impossible_length(void **state)
{
	struct writer w;
	struct ring *ring = open_ring(&w);
	size_t got;
	int error;
	uint32_t head[2] = {0x1fffffff, 0};
	put_bytes(&w, 0, head, sizeof(head));
	*w.producer = 64;
	assert_null(ring_next(ring, &got, &error));
	assert_int_equal(error, -EMSGSIZE);
	ring_close(ring);
	writer_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_all_sizes_round_and_round),
	        cmocka_unit_test(test_busy_holds_back),
	        cmocka_unit_test(test_release_on_the_way),
	        cmocka_unit_test(test_impossible_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
