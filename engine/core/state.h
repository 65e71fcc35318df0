/* What a session is made of; for the files of this folder alone. */
#ifndef RILLE_CORE_STATE_H
#define RILLE_CORE_STATE_H

#include "bpf-templates/names.h"
#include "engine/core/session.h"
#include "engine/probe/portable.h"
#include "engine/proc/proc.h"
#include "engine/run/kernel.h"
#include "engine/stack/resolve.h"

#include <time.h>

enum { MAX_PHASES = 16 };

/* A process that the user named: its end is watched. */
struct target {
	pid_t pid;
	int pidfd; /* -1: not open (yet), or it has ended */
};

/* One attached probe's account beside the kernel's. */
struct probe_account {
	uint64_t ends[STACK_ENDS]; /* stacks that did not reach their root, by why */
	uint64_t lost_told;        /* losses that sinks and callbacks know of */
	struct rille_stats last;   /* as of the last look, kept past the kernel's end */
	uint64_t observer_errors;
};

struct output {
	struct sink_options options; /* strings owned */
	struct sink *sink;           /* NULL before attaching, and after finishing */
};

struct session {
	enum session_state state;
	struct logger log;
	char *cache_dir, *compiler;
	const char *version;
	const char *const *argv;
	uint64_t ring_bytes;
	bool signatures, strict;

	struct spec spec;
	struct gen_options gen_options;
	struct session_callbacks callbacks;
	session_observer observer;
	void *observer_user;
	struct target *targets;
	size_t ntargets, targets_cap;
	int cgroups[RILLE_CGROUPS]; /* containers.c: directories of those that are traced, owned */
	size_t ncgroups;
	pid_t *inside; /* processes in containers that are traced, when they were named */
	size_t ninside, inside_cap;
	struct inside *containers; /* inside.c; NULL before */
	char *comm;
	int64_t uid; /* -1 = any */
	uint64_t limit;
	struct output *outputs;
	size_t noutputs, outputs_cap;
	struct sink *lines; /* of session_event_json(), NULL before */

	int cache_fd; /* -1 = no cache */
	char *cache_path;
	bool cache_opened;
	struct catalog *catalog;
	struct gen_result plan;
	void *object; /* given, not compiled; NULL = none */
	size_t object_len;
	uint8_t object_digest[PORTABLE_DIGEST];
	struct probe_account *accounts;
	struct counts *counts; /* counts.c: one an aggregate of the plan; NULL before attaching */
	struct kernel *kernel;
	struct proc_table *procs;
	struct followed *followed; /* follow.c: children of the targets */
	struct resolver *resolver;
	char *mechanisms;
	struct session_phase phases[MAX_PHASES];
	size_t nphases;

	int epoll, wake, timer;
	struct stack ustack, kstack; /* of the event at hand */
	bool ustack_known, kstack_known;
	uint64_t events;     /* handled so far */
	int64_t wall_offset; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
	int64_t started_wall;
	uint64_t started;
	uint64_t next_tick, next_look; /* CLOCK_MONOTONIC; 0 = none */
	struct err callback_err;       /* of the callback at hand */
	int failure;                   /* of a callback or sink within a round */
	struct err failure_err;
	const char *over_reason; /* over_text; NULL = not over */
	char over_text[64];
	bool cut;    /* … and at that event: what is in the ring after it is not wanted */
	bool frozen; /* the accounts are those of the end */
};

static inline uint64_t now_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* plan.c: everything up to generated code; up to an attached kernel session. */
int plan_generate(struct session *session, struct err *err);
int plan_attach(struct session *session, struct err *err);
/* What sinks are told of the run; it borrows from the session and from `name`. */
struct utsname;
struct sink_meta plan_meta(const struct session *session, struct utsname *name);
int plan_open_outputs(struct session *session, struct err *err);
/* What stacks are about, into meta.origins if an output wants it. */
int plan_find_origins(struct session *session, struct sink_meta *meta, struct err *err);
/* Compiles what plan_generate() made; the caller frees *ret_data. */
int plan_compile(struct session *session, int output, void **ret_data, size_t *ret_len, struct err *err);

/* loop.c: descriptors and clocks of the event loop. */
int loop_open(struct session *session, struct err *err);
void loop_start(struct session *session);
void loop_close(struct session *session);
int loop_watch(struct session *session, int fd, struct err *err);
/* Handles what is left in the ring, up to a bound, when the trace is over. */
int loop_drain(struct session *session, struct err *err);
/* Handles what has been sent by now; the trace goes on. */
int loop_catch_up(struct session *session, struct err *err);

/* report.c: losses while it runs, totals at the end. */
int session_report_losses(struct session *session, struct err *err);
/* Sinks: a report will be asked for. Handles what has been sent before. */
int session_look(struct session *session, struct err *err);
int session_report_end(struct session *session, const char *reason, struct err *err);

/* event.c: one record to callbacks and sinks; writing out what sinks hold. The first failure within a round is kept. */
int event_handle(void *session, const struct rille_record *record, size_t size);
int event_flush(struct session *session);
int session_fail(struct session *session, int code, const struct err *err);

int event_aggregate(struct session *session, const struct aggregate *aggregate);

/* counts.c: what probes count. */
int counts_open(struct session *session, struct err *err);
void counts_close(struct session *session);
/* Reads it for the last time. */
int counts_freeze(struct session *session, struct err *err);
void counts_warn(struct session *session);

/* inside.c: "docker:web-1"; NULL = in no container, or not known. Kept until the session ends. */
struct inside;
const char *inside_label(struct session *session, pid_t pid, pid_t parent);
void inside_free(struct inside *inside);

/* containers.c */
void containers_close(struct session *session);

/* follow.c: the process table, and which processes are in it. */
int follow_open(struct session *session, struct err *err);
void follow_close(struct session *session);

#endif
