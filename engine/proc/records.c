/* A dummy software event on every CPU counts nothing, but carries what the kernel tells of executable mappings, forks,
 * execs and exits (perf_event_open(2)): the only account of a short-lived process's mappings that is there in time.
 *
 * Each CPU has a ring of its own. They are drained together into one array and sorted by time, because a process that
 * moves to another CPU between two records must not be seen backwards. Nobody is woken for a record: the descriptors
 * become readable only when half a ring is full. Whoever handles an event first drains what is there, and as the
 * records of a process are written before its system call returns, nothing of its past is missing then.
 *
 * The kernel puts the build id of a file into the record where it can (5.12 and later), in place of device and inode.
 */
#include "engine/proc/records.h"

#include "engine/base/grow.h"
#include "engine/proc/build_id.h"
#include "engine/proc/maps.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { RING_BYTES_MAX = 64 << 10, RECORD_MAX = 1 << 16 };

struct cpu_ring {
	int fd;
	struct perf_event_mmap_page *page;
	uint8_t *data;
};

struct pending {
	uint64_t time;
	uint32_t order; /* as drained: equal times keep it */
	uint32_t len;
	size_t at; /* in struct records.bytes */
};

struct records {
	struct cpu_ring *rings;
	size_t nrings, rings_cap;
	size_t ring_bytes;
	int epoll;
	bool build_ids;
	pid_t owner; /* fork() does not copy the rings' mappings: in a child their addresses may be somebody else's */
	uint8_t *bytes;
	size_t nbytes, bytes_cap;
	struct pending *pending; /* sorted from `next` on */
	size_t npending, pending_cap, next;
	uint64_t dropped; /* out of memory: reported as if the kernel had lost them */
};

/* Behind every record, because of sample_id_all with TID and TIME. */
struct trailer {
	uint32_t pid, tid;
	uint64_t time;
};

struct raw_mmap2 {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t address, len, offset;
	union {
		struct {
			uint32_t major, minor;
			uint64_t inode, generation;
		};
		struct {
			uint8_t build_id_len, reserved[3];
			uint8_t build_id[BUILD_ID_MAX];
		};
	};
	uint32_t prot, flags;
	char path[];
};

struct raw_comm {
	struct perf_event_header header;
	uint32_t pid, tid;
	char comm[];
};

struct raw_task { /* FORK and EXIT */
	struct perf_event_header header;
	uint32_t pid, parent, tid, parent_thread;
	uint64_t time;
};

struct raw_lost {
	struct perf_event_header header;
	uint64_t id, lost;
};

static bool ends_in_time(const char *text, size_t room)
{
	return memchr(text, 0, room) != NULL;
}

static uint32_t prot_flags(uint32_t prot)
{
	return (prot & PROT_EXEC ? MAPPING_EXEC : 0) | (prot & PROT_WRITE ? MAPPING_WRITE : 0) |
	       (prot & PROT_READ ? MAPPING_READ : 0);
}

/* The kernel's words for a mapping without a file. */
static bool anonymous(const char *path)
{
	return path[0] != '/' || !strncmp(path, "//", 2);
}

static bool parse_mmap(uint8_t *data, size_t len, struct record *ret)
{
	struct raw_mmap2 *raw = (void *)data;
	if (len <= sizeof(*raw) || !ends_in_time(raw->path, len - sizeof(*raw)) || raw->address > UINT64_MAX - raw->len)
		return false;
	ret->type = RECORD_MMAP;
	ret->pid = raw->pid;
	ret->tid = raw->tid;
	ret->start = raw->address;
	ret->end = raw->address + raw->len;
	ret->offset = raw->offset;
	ret->flags = prot_flags(raw->prot);
	bool nameless = anonymous(raw->path);
	if (nameless) {
		ret->flags |= MAPPING_ANON;
	} else if (raw->header.misc & PERF_RECORD_MISC_MMAP_BUILD_ID) {
		if (raw->build_id_len > BUILD_ID_MAX)
			return false;
		ret->file.build_id = raw->build_id;
		ret->file.build_id_len = raw->build_id_len;
	} else {
		ret->file.dev_major = raw->major;
		ret->file.dev_minor = raw->minor;
		ret->file.inode = raw->inode;
		ret->file.inode_generation = raw->generation;
	}
	path_strip_deleted(raw->path);
	ret->file.path = raw->path;
	return true;
}

static bool parse_exec(const uint8_t *data, size_t len, struct record *ret)
{
	const struct raw_comm *raw = (const void *)data;
	if (len <= sizeof(*raw) || !(raw->header.misc & PERF_RECORD_MISC_COMM_EXEC) ||
	        !ends_in_time(raw->comm, len - sizeof(*raw)))
		return false;
	ret->type = RECORD_EXEC;
	ret->pid = raw->pid;
	ret->tid = raw->tid;
	ret->comm = raw->comm;
	return true;
}

static bool parse_task(const uint8_t *data, size_t len, struct record *ret)
{
	const struct raw_task *raw = (const void *)data;
	if (len < sizeof(*raw))
		return false;
	ret->type = raw->header.type == PERF_RECORD_FORK ? RECORD_FORK : RECORD_EXIT;
	ret->pid = raw->pid;
	ret->tid = raw->tid;
	ret->parent = raw->parent;
	ret->parent_thread = raw->parent_thread;
	return true;
}

static bool parse_lost(const uint8_t *data, size_t len, struct record *ret)
{
	const struct raw_lost *raw = (const void *)data;
	if (len < sizeof(*raw))
		return false;
	ret->type = RECORD_LOST;
	ret->lost = raw->lost;
	return true;
}

bool record_parse(uint8_t *raw, size_t len, struct record *ret)
{
	struct perf_event_header header;
	struct trailer trailer;
	if (len < sizeof(header) + sizeof(trailer))
		return false;
	memcpy(&header, raw, sizeof(header));
	memset(ret, 0, sizeof(*ret));
	len -= sizeof(trailer);
	memcpy(&trailer, raw + len, sizeof(trailer));
	ret->time = trailer.time;
	switch (header.type) {
	case PERF_RECORD_MMAP2:
		return parse_mmap(raw, len, ret);
	case PERF_RECORD_COMM:
		return parse_exec(raw, len, ret);
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		return parse_task(raw, len, ret);
	case PERF_RECORD_LOST:
		return parse_lost(raw, len, ret);
	default:
		return false;
	}
}

static int open_event(int cpu, bool build_ids, uint32_t watermark)
{
	struct perf_event_attr attr = {
	        .type = PERF_TYPE_SOFTWARE,
	        .size = sizeof(attr),
	        .config = PERF_COUNT_SW_DUMMY,
	        .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
	        .sample_id_all = 1,
	        .mmap = 1,
	        .mmap2 = 1,
	        .build_id = build_ids,
	        .comm = 1,
	        .comm_exec = 1,
	        .task = 1,
	        .exclude_kernel = 1,
	        .use_clockid = 1,
	        .clockid = CLOCK_MONOTONIC,
	        .watermark = 1,
	        .wakeup_watermark = watermark,
	};
	int fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void ring_close(struct records *records, struct cpu_ring *ring)
{
	if (ring->page && records->owner == getpid())
		munmap(ring->page, records->ring_bytes + sysconf(_SC_PAGESIZE));
	close(ring->fd);
}

static int ring_open(struct records *records, int cpu)
{
	int r = open_event(cpu, records->build_ids, records->ring_bytes / 2);
	if (r == -EINVAL && records->build_ids && !records->nrings) {
		records->build_ids = false;
		r = open_event(cpu, false, records->ring_bytes / 2);
	}
	if (r < 0)
		return r;
	struct cpu_ring ring = {.fd = r};
	size_t page = sysconf(_SC_PAGESIZE);
	void *map = mmap(NULL, page + records->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, 0);
	if (map == MAP_FAILED) {
		r = -errno;
		close(ring.fd);
		return r;
	}
	ring.page = map;
	ring.data = (uint8_t *)map + page;
	struct epoll_event event = {.events = EPOLLIN};
	if (grow(&records->rings, &records->rings_cap, records->nrings + 1, sizeof(ring)) ||
	        epoll_ctl(records->epoll, EPOLL_CTL_ADD, ring.fd, &event)) {
		ring_close(records, &ring);
		return -ENOMEM;
	}
	records->rings[records->nrings++] = ring;
	return 0;
}

/* A CPU that goes offline meanwhile is no error; one that comes online later is not covered. */
static int open_rings(struct records *records)
{
	long ncpus = sysconf(_SC_NPROCESSORS_CONF);
	for (int cpu = 0; cpu < ncpus; cpu++) {
		int r = ring_open(records, cpu);
		if (r < 0 && r != -ENODEV)
			return r;
	}
	return records->nrings ? 0 : -ENODEV;
}

static void close_rings(struct records *records)
{
	while (records->nrings)
		ring_close(records, &records->rings[--records->nrings]);
}

int records_open(struct records **ret, struct err *err)
{
	struct records *records = calloc(1, sizeof(*records));
	if (!records)
		return err_nomem(err);
	records->build_ids = true;
	records->owner = getpid();
	records->epoll = epoll_create1(EPOLL_CLOEXEC);
	int r = records->epoll < 0 ? -errno : -EPERM;
	/* What may be locked in memory is limited (perf_event_mlock_kb): try smaller rings before giving up. */
	for (size_t bytes = RING_BYTES_MAX; records->epoll >= 0 && bytes >= (size_t)sysconf(_SC_PAGESIZE); bytes /= 2) {
		records->ring_bytes = bytes;
		r = open_rings(records);
		if (!r)
			break;
		close_rings(records);
		if (r != -EPERM && r != -ENOMEM)
			break;
	}
	if (r < 0) {
		records_close(records);
		return err_set(err, r, ERR_KERNEL, "no-perf-events", "perf events: %s", strerror(-r));
	}
	*ret = records;
	return 0;
}

void records_close(struct records *records)
{
	if (!records)
		return;
	close_rings(records);
	if (records->epoll >= 0)
		close(records->epoll);
	free(records->rings);
	free(records->bytes);
	free(records->pending);
	free(records);
}

int records_fd(const struct records *records)
{
	return records->epoll;
}

bool records_have_build_ids(const struct records *records)
{
	return records->build_ids;
}

static void copy_out(const struct records *records, const struct cpu_ring *ring, uint64_t at, void *to, size_t len)
{
	size_t offset = at & (records->ring_bytes - 1);
	size_t first = records->ring_bytes - offset < len ? records->ring_bytes - offset : len;
	memcpy(to, ring->data + offset, first);
	memcpy((uint8_t *)to + first, ring->data, len - first);
}

/* One raw record to the end of the pending ones. -ENOMEM leaves it out. */
static int keep(struct records *records, const struct cpu_ring *ring, uint64_t at, uint32_t len)
{
	size_t room = (len + 7) & ~7UL;
	if (grow(&records->bytes, &records->bytes_cap, records->nbytes + room, 1) ||
	        grow(&records->pending, &records->pending_cap, records->npending + 1, sizeof(*records->pending)))
		return -ENOMEM;
	struct trailer trailer;
	copy_out(records, ring, at, records->bytes + records->nbytes, len);
	memcpy(&trailer, records->bytes + records->nbytes + len - sizeof(trailer), sizeof(trailer));
	records->pending[records->npending] = (struct pending){
	        .time = trailer.time,
	        .order = records->npending,
	        .len = len,
	        .at = records->nbytes,
	};
	records->npending++;
	records->nbytes += room;
	return 0;
}

static bool drain(struct records *records, struct cpu_ring *ring)
{
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->page->data_tail;
	if (head == tail)
		return false;
	while (tail < head) {
		struct perf_event_header header;
		copy_out(records, ring, tail, &header, sizeof(header));
		if (header.size < sizeof(header))
			break;
		if (header.size >= sizeof(header) + sizeof(struct trailer))
			records->dropped += keep(records, ring, tail, header.size) != 0;
		tail += header.size;
	}
	__atomic_store_n(&ring->page->data_tail, head, __ATOMIC_RELEASE);
	return true;
}

static int earlier(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void drain_all(struct records *records)
{
	if (records->next == records->npending)
		records->next = records->npending = records->nbytes = 0;
	bool more = false;
	for (size_t i = 0; i < records->nrings; i++)
		more |= drain(records, &records->rings[i]);
	if (more)
		qsort(records->pending + records->next, records->npending - records->next, sizeof(*records->pending),
		        earlier);
}

/* Every record up to `until` is in the rings when this is called, but not necessarily among the pending ones: the rings are
 * looked at whenever those do not reach that far, also when the last of them were none that we know. */
bool records_next(struct records *records, uint64_t until, struct record *ret)
{
	for (;;) {
		if (records->next == records->npending || records->pending[records->next].time > until)
			drain_all(records);
		if (records->dropped) {
			*ret = (struct record){.type = RECORD_LOST, .lost = records->dropped};
			records->dropped = 0;
			return true;
		}
		if (records->next == records->npending || records->pending[records->next].time > until)
			return false;
		const struct pending *pending = &records->pending[records->next++];
		if (record_parse(records->bytes + pending->at, pending->len, ret))
			return true;
	}
}
