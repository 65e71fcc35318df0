/* What kind of thing an open file is: the numbers that fd_kind() gives. Scripts see them as constants, KIND_SOCKET and so
 * on; engine/tools/constants.py reads this file. */
#ifndef RILLE_KINDS_H
#define RILLE_KINDS_H

enum rille_kind {
	KIND_OTHER = 0,
	KIND_SOCKET = 1,
	KIND_PIPE = 2, /* a FIFO, too */
	KIND_FILE = 3,
	KIND_DIRECTORY = 4,
	KIND_DEVICE = 5,
	KIND_SYMLINK = 6, /* opened with O_PATH */
	KIND_EPOLL = 7,
	KIND_EVENTFD = 8,
	KIND_TIMERFD = 9,
	KIND_SIGNALFD = 10,
	KIND_INOTIFY = 11,
	KIND_FANOTIFY = 12,
	KIND_MEMFD = 13, /* memfd_secret()'s, too */
	KIND_PIDFD = 14,
	KIND_IO_URING = 15,
	KIND_BPF = 16,
	KIND_PERF = 17,
	KIND_USERFAULTFD = 18,
	KIND_MQUEUE = 19,
	KIND_MOUNT = 20, /* what fsopen() and fspick() give */
	KIND_LANDLOCK = 21,
	KIND_SECCOMP = 22,
};

#endif
