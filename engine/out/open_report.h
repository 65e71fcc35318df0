/* What is open at a moment, joined: the descriptors as /proc shows them, their sockets, and from the table who made them. */
#ifndef RILLE_OUT_OPEN_REPORT_H
#define RILLE_OUT_OPEN_REPORT_H

#include "engine/out/open_table.h"
#include "engine/out/sink.h"
#include "engine/proc/descriptors.h"
#include "engine/proc/owners.h"
#include "engine/proc/sockets.h"

/* A process's descriptors. */
struct open_listed {
	pid_t pid;
	struct descriptors list;
	int64_t ended; /* it has ended, then (ns since the epoch): the list is the table's of that moment. 0 = it lives */
	const struct open_process *process; /* the table's; NULL */
	size_t shown;                       /* of its descriptors, in items */
	struct err err;                     /* why it could not be read; err.code 0 = it could */
};

/* What is known of who made a descriptor. */
enum open_origin {
	ORIGIN_KNOWN,
	ORIGIN_BEFORE,   /* open before tracing began */
	ORIGIN_UNKNOWN,  /* traced, but its creation was not seen: received from elsewhere, a call that is not traced */
	ORIGIN_UNPROVED, /* events were lost: what the table says may be of another descriptor of this number */
	ORIGIN_NOT_TRACED, /* nothing was traced */
};

struct open_item {
	struct open_listed *listed;
	struct descriptor descriptor;
	const char *path;
	const struct open_slot *slot; /* if the origin is known, or before */
	enum open_origin origin;
	const struct socket_info *socket; /* NULL: none, or not found */
	uint64_t peer;                    /* inode of the other end, 0 = none on this machine */
	uint8_t peer_end;                 /* of a pipe: which end that is, as in struct owner */
	const struct owner *owner;        /* of the other end; NULL = not found */
	int group;                        /* the lowest descriptor of those that are shown together */
};

/* Descriptors of one creation point. */
struct open_place {
	const struct open_site *site; /* NULL: not kept */
	const struct probe_schema *probe;
	uint64_t place;
	size_t count;
	int64_t delta, growth; /* since the report before, since the first one */
	size_t first;          /* in items, sorted so that a place's stand together */
};

struct open_report {
	int64_t wall_nsecs;
	uint64_t nsecs;
	unsigned number; /* 1, 2, 3 … */
	struct open_listed *listed;
	size_t nlisted, listed_cap;
	struct open_item *items;
	size_t nitems, items_cap;
	struct open_place *places;
	size_t nplaces, places_cap;
	struct sockets sockets;
	struct owners owners;
	char *changed;                /* texts of links that were read again, one behind the other */
	uint64_t lost;                /* events */
	uint64_t ended_dropped;       /* processes that ended and were too many to keep */
	const struct crac_list *crac; /* to be answered; NULL = no */
	const char *crac_trouble;     /* why the text could not be read again; NULL = it could */
	bool failed;                  /* out of memory */
};

/* Counts of the report before, by creation point. */
struct open_trend;

/* Reads the processes named, or all if there are none. */
void open_report_list(struct open_report *report, const struct open_table *table, const struct sink_meta *meta);
/* … and their sockets. */
void open_report_look(struct open_report *report, const struct open_table *table, const struct sink_meta *meta);
/* Joins it with the table. */
void open_report_join(struct open_report *report, struct open_table *table, const struct sink_open *what, bool traced);
/* Fills in places; `trend` is the state between reports, NULL at first. */
void open_report_places(struct open_report *report, struct open_trend **trend);
void open_trend_free(struct open_trend *trend);
void open_report_fini(struct open_report *report);

/* Who made the descriptor itself: NULL if not known. */
static inline const struct open_maker *open_item_maker(const struct open_item *item)
{
	return item->slot && item->origin == ORIGIN_KNOWN ? item->slot->maker : NULL;
}
/* … and whom to thank for the open file, if that was another event. */
static inline const struct open_maker *open_item_file_maker(const struct open_item *item)
{
	if (!item->slot || item->origin != ORIGIN_KNOWN || item->slot->file->maker == item->slot->maker)
		return NULL;
	return item->slot->file->maker;
}

/* What it is by name, for origins_match(): its path, or the address of a Unix socket, else of its peer. Nothing if it has none. */
void open_item_path(const struct open_report *report, const struct open_item *item, struct text *ret);

/* What is written; both append to the sink's buffer. */
struct sink;
void open_text(struct sink *sink, const struct open_report *report, const struct sink_end *end);
void open_json(struct sink *sink, const struct open_report *report, const struct sink_end *end);

#endif
