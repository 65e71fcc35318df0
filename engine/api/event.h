/* Events as hosts see them; for the files of this folder alone. */
#ifndef RILLE_API_EVENT_H
#define RILLE_API_EVENT_H

#include "engine/api/handle.h"
#include "engine/out/columns.h"

/* How long the use of an old event is noticed inside later callbacks. */
enum { EVENT_MEMORY = 256 };

/* What a callback is given. It belongs to the handle, not to the event. */
struct rille_event {
	rille *r;
	struct event *event; /* NULL: its callback has returned */
};

/* One side's frames of the event at hand. Memory that a host has seen is never given back before the handle. */
struct frames {
	struct rille_frame *list;
	size_t n, room;
	bool made;                   /* for the event at hand */
	struct rille_frame *old[16]; /* too small by now */
	size_t nold;
};

/* Texts that were made for frames, reused for each event. */
struct clean {
	struct text scratch;
	struct clean_chunk *first;
};

struct events {
	rille_event_fn fn;
	void *user;
	struct rille_event pool[EVENT_MEMORY];
	unsigned next; /* in the pool */
	struct text shown;
	struct column_set columns; /* with decoders, for rille_event_show() */
	bool has_columns;
	struct frames user_frames, kernel_frames;
	struct clean clean;
};

/* The event, or NULL with *ret_error: -EINVAL, -ESTALE. */
struct event *event_live(const rille_event *event, int *ret_error);

/* frames.c: when the callback has returned; with the handle. */
void frames_end(struct events *events);
void frames_free(struct events *events);

#endif
