/* What a process has open, as /proc/PID/fd shows it at a moment. */
#ifndef RILLE_PROC_DESCRIPTORS_H
#define RILLE_PROC_DESCRIPTORS_H

#include "engine/base/err.h"
#include "engine/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* In the order in which lists show them. */
enum descriptor_kind {
	DESCRIPTOR_SOCKET,
	DESCRIPTOR_PIPE,
	DESCRIPTOR_FILE,
	DESCRIPTOR_DIRECTORY,
	DESCRIPTOR_FIFO, /* a pipe with a name */
	DESCRIPTOR_DEVICE,
	DESCRIPTOR_MEMFD,
	DESCRIPTOR_EVENTPOLL,
	DESCRIPTOR_EVENTFD,
	DESCRIPTOR_INOTIFY,
	DESCRIPTOR_FANOTIFY,
	DESCRIPTOR_TIMERFD,
	DESCRIPTOR_SIGNALFD,
	DESCRIPTOR_PIDFD,
	DESCRIPTOR_IO_URING,
	DESCRIPTOR_USERFAULTFD,
	DESCRIPTOR_PERF_EVENT,
	DESCRIPTOR_BPF,
	DESCRIPTOR_NAMESPACE,
	DESCRIPTOR_ANON,    /* an anonymous inode of another kind: `path` names it */
	DESCRIPTOR_UNKNOWN, /* its link could not be read */
};
enum { DESCRIPTOR_KINDS = DESCRIPTOR_UNKNOWN + 1 };
const char *descriptor_kind_name(enum descriptor_kind kind); /* "socket", "eventpoll", … */

/* What a descriptor of a pipe is open for. */
enum { DESCRIPTOR_READS = 1, DESCRIPTOR_WRITES = 2 };

struct descriptor {
	int fd;
	uint8_t kind;   /* enum descriptor_kind */
	uint8_t ends;   /* of pipes: DESCRIPTOR_READS | DESCRIPTOR_WRITES */
	uint32_t path;  /* offset in descriptors.paths, 0 = none: the link's text, but not of sockets and pipes */
	uint64_t inode; /* 0 = not known, or shared by all of its kind */
	uint32_t major, minor; /* of files: the device that the inode is on */
};

struct descriptors {
	pid_t pid;
	char comm[16];
	struct descriptor *list; /* in order of number */
	size_t n, cap;
	struct text paths;
	bool cut; /* there were more than we keep */
};

/* Reads the list of a process. 0; -ESRCH: it is gone; -EACCES: it may not be read; -ENOMEM; with `err` (tags no-process,
 * cannot-read-fd). `ret` is to be freed in any case. */
int descriptors_scan(pid_t pid, struct descriptors *ret, struct err *err);
/* Reads one of them again. False: there is no such descriptor now. `path` gets the link's text. */
bool descriptor_read(pid_t pid, int fd, struct descriptor *ret, struct text *path);
void descriptors_fini(struct descriptors *list);
/* NULL = none. Any bytes but NUL. */
const char *descriptor_path(const struct descriptors *list, const struct descriptor *descriptor);
const struct descriptor *descriptors_find(const struct descriptors *list, int fd);

/* Whether no two open files have the same inode: then it tells which one a descriptor stands for. (Pipes have two ends, and
 * can be opened again through /proc/PID/fd, as everything but sockets can.) */
static inline bool descriptor_inode_is_unique(enum descriptor_kind kind)
{
	return kind == DESCRIPTOR_SOCKET;
}

/* The kernel's own number of an open file's inode: on some file systems (overlayfs, btrfs) stat(2) tells another. 0 = not known
 * (before 5.14). */
uint64_t descriptor_kernel_inode(pid_t pid, int fd);
/* What the kernel calls a socket's protocol: "TCP", "UDPv6", "NETLINK" … False: it is none, or may not be asked. */
bool descriptor_protocol(pid_t pid, int fd, char ret[32]);
/* What /proc/PID/fdinfo says of it, at most `most` bytes: position, flags, what an epoll instance watches … */
void descriptor_info(pid_t pid, int fd, size_t most, struct text *ret);

/* The kind behind a link's text, of those that a stat(2) is not needed for; DESCRIPTOR_FILE for a path. */
enum descriptor_kind descriptor_classify(const char *link, uint64_t *ret_inode);

/* Every process of this machine, in order; the caller frees. Negative errno. */
ssize_t processes_list(pid_t **ret);
/* "" if it cannot be read. */
void process_comm(pid_t pid, char ret[16]);

#endif
