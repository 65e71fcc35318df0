/* Times of events as text, without converting the same second twice. */
#ifndef RILLE_OUT_TIMESTAMP_H
#define RILLE_OUT_TIMESTAMP_H

#include "engine/base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct timestamp {
	bool local;     /* the machine's time zone, else UTC */
	int64_t second; /* what `date` and `clock` say */
	bool valid;
	char date[16];  /* "2026-11-23" */
	char clock[12]; /* "20:33:37" */
};

/* "20:33:37.123456": to the microsecond. */
void timestamp_time(struct timestamp *stamp, struct text *out, int64_t wall_nsecs);
/* "2026-11-23T20:33:37.123456789Z"; never local. */
void timestamp_iso(struct timestamp *stamp, struct text *out, int64_t wall_nsecs);
/* "1795552417.123456789" */
void timestamp_epoch(struct text *out, int64_t wall_nsecs);
/* "+1.234567": a difference in seconds, to the microsecond. */
void timestamp_delta(struct text *out, int64_t nsecs);

#endif
