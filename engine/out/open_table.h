/* The table behind the format `open`: which descriptor stands for which open file, and who made each. */
#ifndef RILLE_OUT_OPEN_TABLE_H
#define RILLE_OUT_OPEN_TABLE_H

#include "engine/out/event.h"
#include "engine/proc/descriptors.h"
#include "engine/stack/origin.h"

#include <uthash.h>

/* A creation point: a call and a stack, kept once however often it comes. */
struct open_site {
	const struct probe_schema *probe;
	uint64_t identity;          /* of the stack as it is shown */
	uint64_t place;             /* the stack's site: equal for the same point, whatever tier of a runtime ran it */
	uint64_t uses;              /* by makers that live */
	unsigned told;              /* in which report it was written last, … */
	uint64_t number;            /* … and as which */
	bool about_known, is_about; /* what the stack is about was looked for, and found: */
	struct origin_hit about;
	struct stack stack; /* its frames are a copy; their strings are the resolver's */
	UT_hash_handle hh;  /* by probe and identity */
};

/* One event that made a descriptor. */
struct open_maker {
	uint32_t refs;
	uint32_t pid, tid;
	uint64_t nsecs;
	int64_t wall_nsecs;
	const struct probe_schema *probe;
	struct open_site *site; /* NULL: not kept, there were too many */
	uint64_t tag;           /* what open_table.tag was then */
	char comm[RILLE_COMM];
};

/* An open file as the kernel counts them: what is dup'ed, inherited or passed along is the same one. */
struct open_file {
	uint32_t refs; /* descriptors that stand for it */
	bool before;   /* it was open before tracing began: nobody saw who made it */
	bool indexed;
	uint8_t kind;             /* enum descriptor_kind */
	uint64_t inode;           /* 0 = not known */
	uint64_t file;            /* address of the kernel's struct file: unique while it lives; 0 = not known */
	struct open_maker *maker; /* NULL: not known */
	uint64_t lost;            /* events that were lost, as known when it came to be */
	char *path;               /* of files, as the event told it; NULL */
	uint8_t *local, *remote; /* of sockets, as bind and connect told them: a length, then a struct sockaddr; NULL */
	bool listens;
	uint16_t family, type; /* of a socket, as socket(2) was told; 0 = not known */
	size_t orphan;     /* place in open_table.orphans and one: no descriptor stands for it, it may be on its way */
	UT_hash_handle hh; /* by file */
};

enum open_how { OPEN_NEW, OPEN_DUP, OPEN_RECEIVED, OPEN_INHERITED };

struct open_slot {
	int fd;
	uint8_t how; /* enum open_how */
	bool cloexec;
	uint32_t from;          /* OPEN_INHERITED: the process that it was inherited from */
	struct open_file *file; /* never NULL */
	struct open_maker
	        *maker;    /* of this descriptor: the file's, or of the dup or the receiving call. NULL: not known */
	uint64_t lost;     /* as in struct open_file */
	UT_hash_handle hh; /* by fd */
};

/* A descriptor table: of one process, or of several that share it (CLONE_FILES). */
struct open_fds {
	uint32_t refs;
	struct open_slot *slots;
	bool partial; /* something could not be kept */
};

struct open_process {
	pid_t pid;
	char comm[RILLE_COMM];
	struct open_fds *fds;
	bool target;       /* named by the user */
	uint8_t gone;      /* reports in a row in which it was not in /proc */
	UT_hash_handle hh; /* by pid */
};

/* An operation of io_uring on its way: who submitted it. */
struct open_submit {
	uint64_t req;
	struct open_submit_key {
		uint64_t ring, user_data;
	} key;
	struct open_maker *maker;
	struct open_submit *prev, *next; /* in order of time */
	UT_hash_handle by_req, by_data;
};

/* What a process had open when it ended. */
struct open_ended {
	struct open_process *process;
	int64_t wall_nsecs;
	uint64_t nsecs;
};

enum { OPEN_ORPHANS = 1024 };
struct open_table {
	struct open_process *processes;
	struct open_file *files; /* those whose address is known */
	struct open_file *orphans[OPEN_ORPHANS];
	size_t next_orphan;
	struct open_site *sites;
	struct open_submit *submits, *submits_by_req, *submits_by_data;
	struct open_ended *ended; /* since the last report, oldest first */
	size_t nended, ended_cap;
	uint64_t ended_dropped;
	size_t slots; /* of all tables */
	size_t site_bytes;
	uint64_t nsites_dropped;
	uint64_t dropped; /* descriptors that were not kept: out of memory or bounds */
	uint64_t lost;    /* events lost, as told so far */
	bool all;         /* every process is traced */
	bool alone;       /* children are not followed */
	size_t ended_slots;
	struct open_fields *fields; /* open_fields.c: where events keep what; one a probe */
	size_t nfields;
	uint64_t tag; /* of the event at hand, for whoever keeps the table: makers remember it */
};

/* What an event says, whatever probe it is of. Arrays of one element where the event has one descriptor. */
enum open_op { OP_NONE, OP_NEW, OP_DUP, OP_CLOSE, OP_RANGE, OP_NOTE, OP_FORK, OP_UNSHARE, OP_EXEC, OP_EXIT, OP_SUBMIT };
enum { OPEN_MOST_FDS = 64 };
struct open_fact {
	enum open_op op;
	enum descriptor_kind kind;
	size_t n;
	int64_t fd[OPEN_MOST_FDS];
	uint64_t inode[OPEN_MOST_FDS], file[OPEN_MOST_FDS];
	int64_t from, child, first, last;
	uint64_t req, ring, user_data; /* of io_uring */
	bool has_from, has_child, shared, cloexec, has_cloexec, received;
	uint16_t family, type;
	uint64_t flags;
	const char *call; /* "bind" */
	struct value path, addr;
};
/* False: the event says nothing about descriptors. */
bool open_fact_read(const struct open_table *table, const struct event *event, struct open_fact *ret);
int open_fields_init(struct open_table *table, const struct probe_schema *probes, size_t nprobes);
void open_fields_fini(struct open_table *table);

void open_table_event(struct open_table *table, struct event *event);
/* A process that is to be followed, with what it has open now as having been open before. */
void open_table_known(struct open_table *table, const struct descriptors *list, bool target);
struct open_process *open_table_process(const struct open_table *table, pid_t pid);
const struct open_slot *open_process_slot(const struct open_process *process, int fd);
void open_table_forget_ended(struct open_table *table);
/* Drops processes that are gone without our having heard of it. */
void open_table_sweep(struct open_table *table);
/* Whether a descriptor of a process that has ended is worth a word: of a process that the user did not name only what it
 * made itself is; every child of a shell ends with what it inherited. */
bool open_slot_is_told(const struct open_process *process, const struct open_slot *slot);
void open_table_fini(struct open_table *table);

/* open_sites.c */
struct open_maker *open_maker_new(struct open_table *table, struct event *event);
/* The same thread and stack for what another event completed. */
struct open_maker *open_maker_again(const struct open_maker *maker, const struct event *event);
struct open_maker *open_maker_ref(struct open_maker *maker);
void open_maker_unref(struct open_maker *maker);
void open_sites_fini(struct open_table *table);

#endif
