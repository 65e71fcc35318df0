/* The record that a generated program sends, shared by the kernel side and the engine: one file included by both.
 *
 * A record in the ring buffer is, with no padding between the parts (all sizes are multiples of 8):
 *
 *     struct rille_record          always
 *     fields                       the probe's, at the offsets in its schema (engine/probe/schema.h)
 *     struct rille_kstack          if flags & RILLE_REC_KSTACK; then `nframes` u64 addresses (room for schema's depth)
 *     struct rille_ustack          if flags & RILLE_REC_USTACK; then `room` bytes, of which the first `got` are the user
 *                                  stack from the stack pointer upwards
 *
 * Registers are in DWARF order so that unwinding needs no mapping table. */
#ifndef RILLE_RECORD_H
#define RILLE_RECORD_H

#ifdef __bpf__
typedef unsigned char rille_u8;
typedef unsigned short rille_u16;
typedef unsigned int rille_u32;
typedef unsigned long long rille_u64;
#else
#include <stdint.h>
typedef uint8_t rille_u8;
typedef uint16_t rille_u16;
typedef uint32_t rille_u32;
typedef uint64_t rille_u64;
#endif

enum { RILLE_COMM = 16, RILLE_NREGS = 33 }; /* x86-64 uses 17 (rax…r15, rip), arm64 33 (x0…x30, sp, pc) */

enum rille_record_flags {
	RILLE_REC_USTACK = 1,
	RILLE_REC_KSTACK = 2,
	RILLE_REC_COMPAT = 4,  /* a 32-bit task: its registers and stack were not captured */
	RILLE_REC_KTHREAD = 8, /* no user space */
	RILLE_REC_SPEC = 16,   /* 16 and up: reserved */
};

struct rille_record {
	rille_u32 probe; /* index of the attached probe in the plan (struct probe_schema) */
	rille_u32 flags;
	rille_u64 nsecs;          /* CLOCK_MONOTONIC */
	rille_u32 pid, tid, ppid; /* as the initial pid namespace sees them; pid = thread group */
	rille_u32 size;           /* of this record without unused stack room: header + fields + stacks */
	rille_u64 present; /* bit i: field i has a value (its user memory was readable, its descriptor was open …) */
	rille_u64 start_time; /* of the thread group leader, ns, CLOCK_BOOTTIME as in task_struct: tells a reused pid */
	char comm[RILLE_COMM];
};

struct rille_kstack {
	rille_u32 nframes, pad;
};

/* A piece ends at a multiple of this in the traced process's memory; the first begins at the stack pointer. */
enum { RILLE_STACK_PIECE = 1024 };

/* Why fewer bytes than the stack has were copied is told by comparing `end` with regs[sp] + got. */
struct rille_ustack {
	rille_u32 room;  /* bytes reserved behind this struct */
	rille_u32 got;   /* bytes copied */
	rille_u64 end;   /* where the stack ends (exclusive); 0 = not known */
	rille_u64 holes; /* bit i: piece i of the copy could not be read (never touched, or swapped out) and is zeros */
	rille_u64 tls;   /* fs base (x86-64), tpidr_el0 (arm64) */
	rille_u64 anchor[3]; /* HotSpot's JavaFrameAnchor of this thread: last_Java_sp, pc, fp; all 0 = none known */
	rille_u64 regs[RILLE_NREGS];
};

/* An entry of what is counted, as one CPU sees it: how often, and the sum, or the least or greatest value. */
struct rille_row {
	rille_u64 count, value;
};

/* What was not counted of one `count`, `sum` … */
struct rille_uncounted {
	rille_u64 full;    /* its map was full */
	rille_u64 missing; /* the value could not be had */
};

/* Counters of one probe, summed over the CPUs. seen ≥ target ≥ passed = sent + lost_*, but for lost_full; a probe that only
 * counts sends nothing. */
struct rille_stats {
	rille_u64 seen;        /* times the probe fired, anywhere */
	rille_u64 target;      /* … in a process that is traced */
	rille_u64 passed;      /* … and its `where` held */
	rille_u64 sent;        /* records submitted */
	rille_u64 lost_ring;   /* the ring buffer was full */
	rille_u64 lost_entry;  /* the entry could not be kept (map full), so its exit was not joined */
	rille_u64 lost_compat; /* 32-bit tasks, whose calls have other numbers */
	rille_u64 lost_limit;  /* over the rate limit or --limit */
	rille_u64 lost_full;   /* not counted: a map of what is counted was full; once for each of them */
};

#endif
