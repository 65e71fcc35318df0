/* Java threads: thread id → address of its JavaFrameAnchor.
 *
 * A thread that leaves Java code for the JVM or for a native method notes in its anchor where its last Java frame is.
 * The kernel side copies the anchor with each event, since it changes with every call; here it is told where the
 * anchors are. So there are two independent ways to the Java frames, unwinding and the anchor, and one can check or
 * replace the other.
 *
 * The list of threads changes under our eyes. A list that makes no sense just ends the search: a thread that is missing
 * has no anchor until the next look. In a pid namespace of its own the JVM knows its threads by other numbers than the
 * kernel tells us. */
#include "engine/stack/hotspot.h"

#include "engine/base/grow.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_THREADS = 100000, BATCH = 128, STATUS_BYTES = 4096 };

struct found {
	void (*set)(void *user, uint32_t tid, uint64_t anchor);
	void *user;
	const struct hotspot *hs;
	struct memory *memory;
	struct id_pair *ids; /* NULL: thread ids are the same here and there */
	size_t nids;
};

struct id_pair {
	uint32_t inside, outside;
};

static int compare_ids(const void *a, const void *b)
{
	const struct id_pair *x = a, *y = b;
	return x->inside < y->inside ? -1 : x->inside > y->inside;
}

/* The last number of "NSpid:" in /proc/PID/task/TID/status: the id in the innermost namespace. */
static uint32_t innermost_id(int task_fd, const char *tid)
{
	char path[64], status[STATUS_BYTES];
	if (snprintf(path, sizeof(path), "%s/status", tid) >= (int)sizeof(path))
		return 0;
	int fd = openat(task_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, status, sizeof(status) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	status[n] = 0;
	char *line = strstr(status, "\nNSpid:");
	if (!line)
		return 0;
	line[1 + strcspn(line + 1, "\n")] = 0;
	char *last = strrchr(line, '\t');
	return last ? (uint32_t)strtoul(last + 1, NULL, 10) : 0;
}

static void read_ids(struct found *found, pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	size_t cap = 0;
	struct dirent *entry;
	while (dir && found->nids < MAX_THREADS && (entry = readdir(dir))) {
		uint32_t outside = (uint32_t)strtoul(entry->d_name, NULL, 10);
		uint32_t inside = outside ? innermost_id(dirfd(dir), entry->d_name) : 0;
		if (!inside)
			continue;
		if (grow(&found->ids, &cap, found->nids + 1, sizeof(*found->ids)) < 0)
			break;
		found->ids[found->nids++] = (struct id_pair){inside, outside};
	}
	if (dir)
		closedir(dir);
	if (found->ids)
		qsort(found->ids, found->nids, sizeof(*found->ids), compare_ids);
}

static uint32_t outside_id(const struct found *found, uint32_t inside)
{
	struct id_pair key = {.inside = inside};
	if (!found->ids)
		return inside;
	const struct id_pair *pair = bsearch(&key, found->ids, found->nids, sizeof(key), compare_ids);
	return pair ? pair->outside : 0;
}

/* For n addresses: the words at them plus an offset, in one system call. */
static bool read_each(
        struct memory *memory, const uint64_t *addresses, int32_t offset, void *values, size_t width, size_t n)
{
	struct memory_part parts[BATCH];
	for (size_t i = 0; i < n; i++)
		parts[i] = (struct memory_part){addresses[i] + (uint32_t)offset, (char *)values + i * width, width};
	return memory_read_many(memory, parts, n) == 0;
}

static bool tell_batch(const struct found *found, const uint64_t *threads, size_t n)
{
	const struct hs_offsets *off = &found->hs->layout.off;
	uint64_t osthreads[BATCH];
	uint32_t ids[BATCH];
	if (!read_each(found->memory, threads, off->thread_osthread, osthreads, sizeof(osthreads[0]), n) ||
	        !read_each(found->memory, osthreads, off->osthread_id, ids, sizeof(ids[0]), n))
		return false;
	for (size_t i = 0; i < n; i++) {
		uint32_t tid = outside_id(found, ids[i]);
		if (tid)
			found->set(found->user, tid, threads[i] + (uint32_t)off->thread_anchor);
	}
	return true;
}

/* A thread that has no OSThread yet, or no longer, spoils its batch: then they are taken one by one. */
static void tell(const struct found *found, const uint64_t *threads, size_t n)
{
	if (tell_batch(found, threads, n))
		return;
	for (size_t i = 0; i < n; i++)
		tell_batch(found, threads + i, 1);
}

/* JDK 10 and later: an array that is replaced as a whole when threads come and go. */
static void walk_array(const struct found *found)
{
	const struct hs_layout *layout = &found->hs->layout;
	bool failed = false;
	uint64_t list = memory_u64(found->memory, layout->at.thread_list, &failed);
	uint32_t n = memory_u32(found->memory, list + (uint32_t)layout->off.list_length, &failed);
	uint64_t data = memory_u64(found->memory, list + (uint32_t)layout->off.list_threads, &failed);
	if (failed || n > MAX_THREADS)
		return;
	for (uint32_t i = 0; i < n; i += BATCH) {
		uint64_t threads[BATCH];
		uint32_t k = n - i < BATCH ? n - i : BATCH;
		if (memory_read(found->memory, data + 8ULL * i, threads, 8ULL * k) < 0)
			return;
		tell(found, threads, k);
	}
}

/* JDK 8 and 9: a chain. */
static void walk_chain(const struct found *found)
{
	const struct hs_layout *layout = &found->hs->layout;
	bool failed = false;
	uint64_t thread = memory_u64(found->memory, layout->at.first_thread, &failed);
	for (int i = 0; i < MAX_THREADS && thread && !failed; i++) {
		tell(found, &thread, 1);
		thread = memory_u64(found->memory, thread + (uint32_t)layout->off.thread_next, &failed);
	}
}

/* The kernel side copies three words: stack pointer, pc, frame pointer, in this order. */
static bool anchor_as_expected(const struct hs_offsets *off)
{
	return off->anchor_sp == 0 && off->anchor_pc == 8 && off->anchor_fp == 16;
}

void hs_threads(
        struct hotspot *hs, struct memory *memory, void (*set)(void *user, uint32_t tid, uint64_t anchor), void *user)
{
	const struct hs_layout *layout = &hs->layout;
	const struct hs_offsets *off = &layout->off;
	struct found found = {.set = set, .user = user, .hs = hs, .memory = memory};

	if (off->thread_anchor == HS_ABSENT || off->thread_osthread == HS_ABSENT || off->osthread_id == HS_ABSENT ||
	        !anchor_as_expected(off))
		return;
	if (process_ns_pid(hs->process) != process_pid(hs->process))
		read_ids(&found, process_pid(hs->process));
	if (layout->at.thread_list && off->list_length != HS_ABSENT && off->list_threads != HS_ABSENT)
		walk_array(&found);
	else if (layout->at.first_thread && off->thread_next != HS_ABSENT)
		walk_chain(&found);
	free(found.ids);
}
