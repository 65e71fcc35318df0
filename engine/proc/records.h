/* MMAP2, FORK, COMM and EXIT records of all CPUs, in order of time. */
#ifndef RILLE_PROC_RECORDS_H
#define RILLE_PROC_RECORDS_H

#include "engine/base/err.h"
#include "engine/proc/files.h"

#include <sys/types.h>

struct records;

enum record_type { RECORD_MMAP, RECORD_FORK, RECORD_EXEC, RECORD_EXIT, RECORD_LOST };

struct record {
	enum record_type type;
	uint64_t time; /* CLOCK_MONOTONIC, ns */
	pid_t pid, tid;
	pid_t parent, parent_thread; /* FORK */
	uint64_t start, end, offset; /* MMAP; a process may ask for anything here */
	uint32_t flags;              /* enum mapping_flags */
	struct file_identity file;   /* borrows from the record: valid until records_next() */
	const char *comm;            /* EXEC; the same */
	uint64_t lost;               /* LOST: how many records */
};

/* 0 or a negative errno; -EPERM/-EACCES where perf events of a whole CPU are not allowed. */
int records_open(struct records **ret, struct err *err);
void records_close(struct records *records);
int records_fd(const struct records *records);
bool records_have_build_ids(const struct records *records);
/* The next record that is not later than `until`, oldest first; false = none. */
bool records_next(struct records *records, uint64_t until, struct record *ret);

/* Takes one raw record of the kernel's apart; its text is cut in place. False: not one of ours, or its lengths do not
 * agree. */
bool record_parse(uint8_t *raw, size_t len, struct record *ret);

#endif
