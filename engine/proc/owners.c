/* The kernel tells which socket is at the other end, but not which process has it; of a pipe both ends have one inode, and differ in
 * whether they are open for reading or writing. Only the links of all processes say whose they are. So what is asked is collected
 * first, and then one pass over /proc answers all of it; it is over when nothing is left to be found. */
#include "engine/proc/owners.h"
#include "engine/base/grow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_end(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;
	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

int owners_want(struct owners *owners, uint64_t inode, uint8_t end)
{
	if (grow(&owners->list, &owners->cap, owners->n + 1, sizeof(*owners->list)) < 0)
		return -ENOMEM;
	owners->list[owners->n++] = (struct owner){.inode = inode, .end = end};
	return 0;
}

void owners_sort(struct owners *owners)
{
	size_t kept = 0;
	if (owners->n)
		qsort(owners->list, owners->n, sizeof(*owners->list), by_end);
	for (size_t i = 0; i < owners->n; i++)
		if (!kept || by_end(&owners->list[kept - 1], &owners->list[i]))
			owners->list[kept++] = owners->list[i];
	owners->n = kept;
}

static struct owner *find(const struct owners *owners, uint64_t inode, uint8_t end)
{
	struct owner key = {.inode = inode, .end = end};
	return owners->n ? bsearch(&key, owners->list, owners->n, sizeof(key), by_end) : NULL;
}

static void offer(
        struct owners *owners, const struct descriptors *list, const struct descriptor *descriptor, uint8_t end)
{
	struct owner *owner = find(owners, descriptor->inode, end);
	if (!owner || owner->pid)
		return;
	owner->pid = list->pid;
	owner->fd = descriptor->fd;
	snprintf(owner->comm, sizeof(owner->comm), "%s", list->comm);
	owners->found++;
}

void owners_offer(struct owners *owners, const struct descriptors *list)
{
	for (size_t i = 0; i < list->n && owners->found < owners->n; i++) {
		const struct descriptor *descriptor = &list->list[i];
		if (descriptor->kind == DESCRIPTOR_SOCKET)
			offer(owners, list, descriptor, 0);
		if (descriptor->ends & DESCRIPTOR_READS)
			offer(owners, list, descriptor, DESCRIPTOR_READS);
		if (descriptor->ends & DESCRIPTOR_WRITES)
			offer(owners, list, descriptor, DESCRIPTOR_WRITES);
	}
}

static bool is_known(const pid_t *known, size_t n, pid_t pid)
{
	for (size_t low = 0, high = n; low < high;) {
		size_t middle = low + (high - low) / 2;
		if (known[middle] == pid)
			return true;
		if (known[middle] < pid)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

void owners_search(struct owners *owners, const pid_t *known, size_t nknown)
{
	pid_t *pids;
	ssize_t n = owners->found < owners->n ? processes_list(&pids) : -1;
	for (ssize_t i = 0; i < n && owners->found < owners->n; i++) {
		struct descriptors list;
		if (is_known(known, nknown, pids[i]))
			continue;
		if (descriptors_scan(pids[i], &list, NULL) == 0)
			owners_offer(owners, &list);
		descriptors_fini(&list);
	}
	if (n >= 0)
		free(pids);
}

const struct owner *owners_find(const struct owners *owners, uint64_t inode, uint8_t end)
{
	const struct owner *owner = find(owners, inode, end);
	return owner && owner->pid ? owner : NULL;
}

void owners_fini(struct owners *owners)
{
	free(owners->list);
	memset(owners, 0, sizeof(*owners));
}
