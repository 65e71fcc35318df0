/* Answers to a CheckpointException: which of what is open each of its descriptors is. */
#ifndef RILLE_OUT_OPEN_CRAC_H
#define RILLE_OUT_OPEN_CRAC_H

#include "engine/out/open_report.h"
#include "engine/proc/crac.h"

enum crac_verdict {
	CRAC_OPEN,  /* it is open, and the one that the text means as far as can be told */
	CRAC_OTHER, /* its number stands for something else: another run, or it was closed and the number used again */
	CRAC_MOVED, /* it is open by another number */
	CRAC_GONE,  /* it is not open in these processes */
	CRAC_UNNAMED, /* the text does not say which descriptor it is */
};
const char *crac_verdict_name(enum crac_verdict verdict);

struct crac_answer {
	enum crac_verdict verdict;
	const struct open_item *item; /* NULL if it is gone or unnamed */
};

/* What is open, in the orders in which it is looked for. */
struct open_crac;
struct open_crac *open_crac_new(
        const struct open_report *report, const struct crac_list *list); /* NULL: out of memory */
void open_crac_free(struct open_crac *crac);
struct crac_answer open_crac_find(const struct open_crac *crac, const struct crac_item *said);
/* Whose a socket is that none of these processes has; NULL: nobody's of this machine. */
const struct owner *open_crac_owner(const struct open_crac *crac, const struct crac_item *said);
/* The first descriptor is that of `said`; this is the other end of a java.nio Pipe. NULL = none. */
const struct open_item *open_crac_other_end(const struct open_crac *crac, const struct crac_item *said);

#endif
