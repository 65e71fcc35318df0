/* What a handle is made of; for the files of this folder alone. */
#ifndef RILLE_API_HANDLE_H
#define RILLE_API_HANDLE_H

#include "engine/core/session.h"
#include "engine/proc/crac.h"
#include "engine/script/script.h"
#include "rille.h"

#include <sys/types.h>

/* An output as asked for; the settings that are common to all may still change until attaching. */
struct wanted_output {
	char *format, *path;
	int fd;
};

struct events;

struct rille {
	struct session *session;
	struct script *script; /* NULL before a load, and if the probes are declared from C */
	bool declared;         /* there is a script or a probe */
	struct logger log;     /* the host's, through handle_log() */
	struct logger host_log;
	char *compiler; /* as given; NULL = look for it */
	bool unsafe, strict;
	bool outputs_added;
	struct wanted_output *outputs;
	size_t noutputs, outputs_cap;
	struct sink_options shared; /* columns, color, timestamp, addresses */
	char *fields;               /* what `shared.columns` point into */
	const char **columns;
	struct crac_list crac; /* what `shared.open.crac` is, once set */
	char *crac_path;       /* … and `shared.open.crac_path` */
	rille *scriptless;     /* origin.c: whose script has the rules if this handle has none; NULL: nobody asked */
	struct text policy;    /* origin.c */
	struct events *events; /* event.c; NULL: there was never a callback */
	unsigned inside;       /* callbacks of the host's that we are in */
	pid_t owner;           /* the process that attached; 0 = none */
	struct err err;
	const char *stage; /* of the call that is under way or was last: "declare", "check" */
	struct text formatted;
	struct rille_error error; /* what rille_last_error() returns */
};

/* Each function begins with one of these; all clear the last error. -EINVAL for no handle, -ECHILD in a fork's child. */
int handle_enter(rille *r, const char *stage);
/* … not inside a callback: what would pull the ground from under it. */
int handle_enter_outside(rille *r, const char *function);
/* … before attaching. */
int handle_enter_early(rille *r, const char *function);

/* -EINVAL for an argument that must not be NULL. */
int handle_null(rille *r, const char *function, const char *argument);
#ifdef __clang_analyzer__ /* as in engine/base/err.h */
#define handle_null(r, function, argument) ((handle_null)(r, function, argument), -EINVAL)
#endif
/* Hands the outputs to the session, once. */
int handle_add_outputs(rille *r);
/* Keeps an error for rille_last_error() and returns its code, which is r->err's or `code`. */
int handle_error(rille *r, int code);
/* What a function returns: the same for a failure; after a success there is no error. */
int handle_result(rille *r, int code);

/* A struct of the host's, which may be shorter or longer than ours, into `ret` of `known` bytes; what is not known must be
 * zero. It begins with its size. */
bool handle_read_struct(void *ret, size_t known, const void *from);
/* The other way: as much as the host has room for, zeros behind what we know. */
int handle_write_struct(rille *r, const char *function, void *to, const void *from, size_t known);

/* event.c */
void events_free(rille *r);

#endif
