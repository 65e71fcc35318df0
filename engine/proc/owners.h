/* Who has the other end of a socket or a pipe: the first process with a descriptor for each of some ends. */
#ifndef RILLE_PROC_OWNERS_H
#define RILLE_PROC_OWNERS_H

#include "engine/proc/descriptors.h"

/* An end, and whose it is. */
struct owner {
	uint64_t inode;
	uint8_t end; /* of a pipe: DESCRIPTOR_READS or DESCRIPTOR_WRITES; of a socket: 0 */
	pid_t pid;   /* 0 = not found */
	int fd;
	char comm[16];
};
struct owners {
	struct owner *list;
	size_t n, cap, found;
};
int owners_want(struct owners *owners, uint64_t inode, uint8_t end); /* 0 or -ENOMEM */
void owners_sort(struct owners *owners);                             /* before the others below */
void owners_offer(struct owners *owners, const struct descriptors *list);
/* Looks through every process that may be read, but those of `known` (in order), until all are found. */
void owners_search(struct owners *owners, const pid_t *known, size_t nknown);
/* NULL: not found. */
const struct owner *owners_find(const struct owners *owners, uint64_t inode, uint8_t end);
void owners_fini(struct owners *owners);

#endif
