/* What a handle is made of; for the files of this folder alone. */
#ifndef RILLE_API_HANDLE_H
#define RILLE_API_HANDLE_H

#include "engine/core/session.h"
#include "engine/script/script.h"
#include "rille.h"

/* An output as asked for; the settings that are common to all may still change until attaching. */
struct wanted_output {
	char *format, *path;
	int fd;
};

struct rille {
	struct session *session;
	struct script *script; /* NULL before a load */
	struct logger log;
	char *compiler; /* as given; NULL = look for it */
	bool unsafe, strict;
	bool outputs_added;
	struct wanted_output *outputs;
	size_t noutputs, outputs_cap;
	struct sink_options shared; /* columns, color, timestamp, addresses */
	char *fields;               /* what `shared.columns` point into */
	const char **columns;
	char *summary;
	struct err err;
	struct text formatted;
	struct rille_error error; /* what rille_last_error() returns */
};

/* Keeps an error for rille_last_error() and returns its code, which is r->err's or `code`. */
int handle_error(rille *r, int code);

#endif
