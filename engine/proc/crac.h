/* What a JDK with CRaC says when it refuses to take a checkpoint, as a list of descriptors. */
#ifndef RILLE_PROC_CRAC_H
#define RILLE_PROC_CRAC_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum crac_kind {
	CRAC_UNKNOWN,
	CRAC_SOCKET,
	CRAC_FILE,
	CRAC_DIRECTORY,
	CRAC_CHARACTER,
	CRAC_BLOCK,
	CRAC_PIPE, /* and named pipes */
	CRAC_EVENTPOLL,
	CRAC_EVENTFD,
	CRAC_TIMERFD,
	CRAC_SIGNALFD,
	CRAC_INOTIFY,
	CRAC_ANONYMOUS, /* another anon_inode */
	CRAC_SELECTOR,  /* a java.nio Selector that is in use; has no descriptor in the text */
};

/* Strings belong to the list and may hold any bytes but NUL, at most 4096. NULL = the text does not say. */
struct crac_item {
	size_t line; /* of the text, 1-based */
	enum crac_kind kind;
	int fd;          /* -1 = the text does not say */
	int fd2;         /* the other end of a java.nio Pipe; -1 = none */
	uint64_t inode;  /* of socket:[N] and pipe:[N]; 0 = the text does not say */
	int port;        /* of ",port=N", as it stands there; -1 = none. Only an IP socket has one */
	bool by_java;    /* described by the Java object that owns it, so that a resource policy can claim it */
	bool cut;        /* the line ends before all of it was told */
	char *exception; /* "CheckpointOpenSocketException" */
	char *type;      /* "socket", "regular", "unknown": as the JVM says */
	char *path;      /* "socket:[7504404]", "/var/lib/sss/mc/passwd", "anon_inode:[eventpoll]" */
	char *what;      /* what Java says: "Socket[addr=db/10.0.0.7,port=5432,localport=37596]" */
	char *local;     /* addresses in it, "10.0.0.7:5432", "[::]:8080" */
	char *remote;    /* … */
	char *thread;    /* that made it, with -Djdk.crac.collect-fd-stacktraces=true */
	int64_t created; /* … and when: ms since 1970; 0 = the text does not say */
};

struct crac_list {
	struct crac_item *items;
	size_t n, cap;
	size_t lines;   /* read */
	size_t allowed; /* descriptors that the JVM has no objection to ("OK: claimed by java code") */
	size_t dropped; /* items beyond the limit */
};

enum { CRAC_MOST_TEXT = 16 << 20, CRAC_MOST_ITEMS = 65536, CRAC_MOST_STRING = 4096 };

/* Finds the descriptors in a text of any bytes. -ENOENT with the tag "no-descriptors" if there are none, else 0.
 * The list is to be freed in either case. */
int crac_parse(struct crac_list *ret, const char *text, size_t len, struct err *err);
/* Reads a descriptor to its end first; `name` is for messages. -EFBIG with the tag "text-too-big" beyond CRAC_MOST_TEXT. */
int crac_read(struct crac_list *ret, int fd, const char *name, struct err *err);
void crac_fini(struct crac_list *list);
const char *crac_kind_name(enum crac_kind kind); /* "socket", "epoll", … */

#endif
