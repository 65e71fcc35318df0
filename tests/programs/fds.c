/* Makes one descriptor of every kind, in every way there is, and says what it did: a line a step,
 *
 *     PID new CALL FD           PID pair CALL FD FD       PID dup CALL FD FROM      PID recv CALL FD [FD]
 *     PID close CALL FD [FD]    PID fork CALL CHILD HOW   PID exec                  PID skip CALL REASON
 *
 * where CALL is the system call, or uring:OPERATION. Then comes "PID ready", and everything stays as it is until standard
 * input ends. What the kernel refuses (no privilege, not built in) is skipped, and says so.
 *
 *     fds          everything
 *     fds hold     nothing: waits (what a child becomes by exec) */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
enum { OP_FIXED_FD_INSTALL = 54, OP_PIPE = 62, HIGH = 200 };

static pid_t children[8];
static int nchildren;

/* In one write(2), so that the lines of processes do not mix. */
static void say(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n = snprintf(line, sizeof(line), "%d ", getpid());
	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	line[n++] = '\n';
	if (write(1, line, (size_t)n) < 0)
		_exit(1);
}

static int made(const char *call, long fd)
{
	if (fd < 0)
		say("skip %s %s", call, strerror(errno));
	else
		say("new %s %ld", call, fd);
	return (int)fd;
}

static void made_pair(const char *call, long r, const int fds[2])
{
	if (r < 0)
		say("skip %s %s", call, strerror(errno));
	else
		say("pair %s %d %d", call, fds[0], fds[1]);
}

static int duplicated(const char *call, long fd, int from)
{
	if (fd < 0)
		say("skip %s %s", call, strerror(errno));
	else
		say("dup %s %ld %d", call, fd, from);
	return (int)fd;
}

static void gone(const char *call, int fd)
{
	say("close %s %d", call, fd);
}

/* Waits until our input ends; children until they are killed, whose input is the same. */
static void hold(void)
{
	char byte;
	while (read(0, &byte, 1) > 0)
		;
}

static void die_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* --- one of each --- */

static void make_files(const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
#ifdef SYS_open
	made("open", syscall(SYS_open, path, O_RDONLY));
	made("creat", syscall(SYS_creat, path, 0600));
#endif
	made("openat", syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC));
	made("openat", syscall(SYS_openat, AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY));
	made("openat", syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY));
	made("openat", syscall(SYS_openat, AT_FDCWD, "/tmp", O_PATH));
	made("openat2", syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)));
	struct {
		struct file_handle head;
		char bytes[MAX_HANDLE_SZ];
	} handle = {.head.handle_bytes = MAX_HANDLE_SZ};
	int mount_id, directory = open("/tmp", O_RDONLY);
	made("openat", directory);
	if (name_to_handle_at(AT_FDCWD, path, &handle.head, &mount_id, 0) < 0)
		say("skip open_by_handle_at %s", strerror(errno));
	else
		made("open_by_handle_at", open_by_handle_at(directory, &handle.head, O_RDONLY));
}

static void make_events(void)
{
	sigset_t none;
	sigemptyset(&none);
#ifdef SYS_epoll_create
	made("epoll_create", syscall(SYS_epoll_create, 1));
	made("eventfd", syscall(SYS_eventfd, 0));
	made("inotify_init", syscall(SYS_inotify_init));
	made("signalfd", syscall(SYS_signalfd, -1, &none, sizeof(uint64_t)));
#endif
	made("epoll_create1", syscall(SYS_epoll_create1, EPOLL_CLOEXEC));
	made("eventfd2", syscall(SYS_eventfd2, 0, EFD_CLOEXEC));
	made("inotify_init1", syscall(SYS_inotify_init1, 0));
	made("fanotify_init", syscall(SYS_fanotify_init, FAN_CLASS_NOTIF, O_RDONLY));
	made("timerfd_create", syscall(SYS_timerfd_create, CLOCK_MONOTONIC, TFD_CLOEXEC));
	int fd = made("signalfd4", syscall(SYS_signalfd4, -1, &none, sizeof(uint64_t), 0));
	syscall(SYS_signalfd4, fd, &none, sizeof(uint64_t), 0); /* changes the mask: no new descriptor */
}

static void make_kernel_objects(void)
{
	union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	struct perf_event_attr event = {
	        .type = PERF_TYPE_SOFTWARE, .size = sizeof(event), .config = PERF_COUNT_SW_DUMMY};
	struct io_uring_params ring = {0};
	uint64_t handled = 1;
	made("memfd_create", syscall(SYS_memfd_create, "fds", 0));
	made("memfd_secret", syscall(SYS_memfd_secret, 0));
	made("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC));
	made("perf_event_open", syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
	made("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)));
	made("landlock_create_ruleset", syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0));
	made("io_uring_setup", syscall(SYS_io_uring_setup, 2, &ring));
	made("pidfd_open", syscall(SYS_pidfd_open, getpid(), 0));
	struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {.len = 1, .filter = allow};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	made("seccomp", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

static void make_mounts(void)
{
	int fs = made("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	if (fs >= 0) {
		syscall(SYS_fsconfig, fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0);
		made("fsmount", syscall(SYS_fsmount, fs, 0, 0));
	}
	made("fspick", syscall(SYS_fspick, AT_FDCWD, "/", 0));
	made("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/tmp", OPEN_TREE_CLOEXEC));
	char name[64];
	snprintf(name, sizeof(name), "rille-fds-%d", getpid());
	int queue = made("mq_open", syscall(SYS_mq_open, name, O_RDWR | O_CREAT, 0600, NULL));
	if (queue >= 0)
		syscall(SYS_mq_unlink, name);
}

static void make_terminal(void)
{
	int unlocked = 0, master = made("openat", open("/dev/ptmx", O_RDWR | O_NOCTTY));
	if (master < 0)
		return;
	ioctl(master, TIOCSPTLCK, &unlocked);
	made("ioctl", ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
}

static void make_pairs(void)
{
	int fds[2];
#ifdef SYS_pipe
	made_pair("pipe", syscall(SYS_pipe, fds), fds);
#endif
	made_pair("pipe2", syscall(SYS_pipe2, fds, O_CLOEXEC), fds);
	made_pair("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), fds);
	int pidfd;
	socklen_t len = sizeof(pidfd);
	if (getsockopt(fds[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) < 0)
		say("skip getsockopt %s", strerror(errno));
	else
		made("getsockopt", pidfd);
}

static int listen_inet(struct sockaddr_in *ret_address)
{
	socklen_t len = sizeof(*ret_address);
	int fd = made("socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	*ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (bind(fd, (struct sockaddr *)ret_address, len) < 0 || listen(fd, 8) < 0 ||
	        getsockname(fd, (struct sockaddr *)ret_address, &len) < 0)
		say("skip listen %s", strerror(errno));
	return fd;
}

static void connect_inet(const struct sockaddr_in *address)
{
	int fd = made("socket", socket(AF_INET, SOCK_STREAM, 0));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		say("skip connect %s", strerror(errno));
}

static void make_sockets(void)
{
	struct sockaddr_in address;
	made("socket", socket(AF_UNIX, SOCK_DGRAM, 0));
	made("socket", socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	made("socket", socket(AF_NETLINK, SOCK_RAW, 0));
	int listener = listen_inet(&address);
	connect_inet(&address);
	made("accept", syscall(SYS_accept, listener, NULL, NULL));
	connect_inet(&address);
	made("accept4", syscall(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC));
}

static void make_dups(void)
{
	int fd = made("eventfd2", eventfd(0, 0));
	duplicated("dup", dup(fd), fd);
#ifdef SYS_dup2
	duplicated("dup2", syscall(SYS_dup2, fd, HIGH), fd);
#endif
	duplicated("dup3", syscall(SYS_dup3, fd, HIGH + 1, O_CLOEXEC), fd);
	duplicated("dup3", syscall(SYS_dup3, 1, HIGH + 1, O_CLOEXEC), 1); /* in its place */
	duplicated("fcntl", fcntl(fd, F_DUPFD, HIGH), fd);
	duplicated("fcntl", fcntl(fd, F_DUPFD_CLOEXEC, HIGH), fd);
	int self = made("pidfd_open", syscall(SYS_pidfd_open, getpid(), 0));
	duplicated("pidfd_getfd", syscall(SYS_pidfd_getfd, self, fd, 0), fd);
}

static void close_some(void)
{
	int low = dup(1), middle = fcntl(1, F_DUPFD, HIGH + 20);
	duplicated("dup", low, 1);
	duplicated("fcntl", middle, 1);
	close(low);
	gone("close", low);
	for (int i = 1; i < 4; i++)
		duplicated("dup3", syscall(SYS_dup3, 1, middle + i, 0), 1);
	if (syscall(SYS_close_range, middle, middle + 2, 0) < 0)
		say("skip close_range %s", strerror(errno));
	else
		say("close close_range %d %d", middle, middle + 2);
	close(9999); /* nothing there */
}

/* --- passing --- */

static void send_descriptors(int socket, const int *fds, int n)
{
	char byte = 'x', control[CMSG_SPACE(4 * sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
	        .msg_iovlen = 1,
	        .msg_control = control,
	        .msg_controllen = CMSG_SPACE((size_t)n * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, (size_t)n * sizeof(int));
	if (sendmsg(socket, &msg, 0) < 0)
		say("skip sendmsg %s", strerror(errno));
}

static void tell_received(const char *call, struct msghdr *msg)
{
	int fds[8];
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (c->cmsg_level != SOL_SOCKET || (c->cmsg_type != SCM_RIGHTS && c->cmsg_type != 4 /* SCM_PIDFD */))
			continue;
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		if (n == 1)
			say("recv %s %d", call, fds[0]);
		else if (n == 2)
			say("recv %s %d %d", call, fds[0], fds[1]);
	}
}

static void receive_message(int socket)
{
	char byte, control[256];
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
	        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	if (recvmsg(socket, &msg, 0) < 0)
		say("skip recvmsg %s", strerror(errno));
	else
		tell_received("recvmsg", &msg);
}

static void receive_messages(int socket)
{
	char bytes[2], control[2][256];
	struct iovec iov[2] = {{&bytes[0], 1}, {&bytes[1], 1}};
	struct mmsghdr messages[2] = {0};
	for (int i = 0; i < 2; i++)
		messages[i].msg_hdr = (struct msghdr){
		        .msg_iov = &iov[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = 256};
	int n = recvmmsg(socket, messages, 2, 0, NULL);
	if (n < 0)
		say("skip recvmmsg %s", strerror(errno));
	for (int i = 0; i < n; i++)
		tell_received("recvmmsg", &messages[i].msg_hdr);
}

/* A child's first message says that it is done, so that lines have an order. */
static void child_ready(int socket)
{
	if (write(socket, "r", 1) < 0)
		_exit(1);
}

static void wait_child(int socket)
{
	char byte;
	if (read(socket, &byte, 1) != 1)
		say("skip child ended");
}

static void forked(const char *call, pid_t pid, const char *how)
{
	if (pid < 0) {
		say("skip %s %s", call, strerror(errno));
		return;
	}
	say("fork %s %d %s", call, pid, how);
	children[nchildren++] = pid;
}

/* A child with a copy of the table gets descriptors through a socket. */
static void pass_to_child(int passed)
{
	int fds[2], one = 1;
	made_pair("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), fds);
	pid_t pid = fork();
	if (pid == 0) {
		die_with_parent();
		receive_message(fds[1]);
		receive_messages(fds[1]);
		if (setsockopt(fds[1], SOL_SOCKET, SO_PASSPIDFD, &one, sizeof(one)) == 0) {
			child_ready(fds[1]);
			receive_message(fds[1]);
		}
		child_ready(fds[1]);
		pause();
	}
	forked("clone", pid, "copied");
	int both[2] = {passed, fds[0]};
	send_descriptors(fds[0], both, 1);
	send_descriptors(fds[0], both, 2);
	send_descriptors(fds[0], both, 1);
	if (setsockopt(fds[0], SOL_SOCKET, SO_PASSPIDFD, &one, sizeof(one)) == 0) {
		wait_child(fds[0]);
		one = 0;
		setsockopt(fds[0], SOL_SOCKET, SO_PASSPIDFD, &one, sizeof(one));
		send_descriptors(fds[0], both, 1);
	}
	wait_child(fds[0]);
}

/* --- processes --- */

static void exec_child(void)
{
	int fds[2];
	made_pair("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), fds);
	pid_t pid = fork();
	if (pid == 0) {
		die_with_parent();
		int kept = dup(1);
		duplicated("dup", kept, 1);
		if (syscall(SYS_close_range, kept, kept, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
			say("skip close_range %s", strerror(errno));
		int marked = duplicated("dup", dup(1), 1),
		    unmarked = duplicated("fcntl", fcntl(1, F_DUPFD_CLOEXEC, 0), 1);
		int both = duplicated("dup", dup(1), 1);
		fcntl(marked, F_SETFD, FD_CLOEXEC);
		fcntl(unmarked, F_SETFD, 0);
		ioctl(both, FIOCLEX);
		ioctl(both, FIONCLEX);
		char socket[16];
		snprintf(socket, sizeof(socket), "%d", fds[1]);
		execl("/proc/self/exe", "fds", "hold", socket, (char *)NULL);
		_exit(1);
	}
	forked("clone", pid, "copied");
	wait_child(fds[0]);
}

struct clone3_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

/* A child with the same table, which it changes; with a descriptor for the child itself. */
static void share_with_child(void)
{
	int fds[2], pidfd = -1;
	made_pair("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), fds);
	struct clone3_args args = {
	        .flags = CLONE_FILES | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		die_with_parent();
		made("eventfd2", eventfd(0, 0));
		child_ready(fds[1]);
		pause();
	}
	forked("clone3", pid, "shared");
	if (pid > 0) {
		made("clone3", pidfd);
		wait_child(fds[0]);
	}
}

/* A child with the same table until it wants one of its own. */
static void unshare_child(void)
{
	int fds[2], pidfd = -1;
	made_pair("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), fds);
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, NULL, &pidfd, NULL, 0);
	if (pid == 0) {
		die_with_parent();
		wait_child(fds[1]); /* until the parent has told of it */
		if (unshare(CLONE_FILES) < 0)
			say("skip unshare %s", strerror(errno));
		made("eventfd2", eventfd(0, EFD_NONBLOCK));
		child_ready(fds[1]);
		pause();
	}
	forked("clone", pid, "shared");
	if (pid > 0) {
		made("clone", pidfd);
		child_ready(fds[0]);
		wait_child(fds[0]);
	}
}

/* --- io_uring, without a library --- */

struct ring {
	int fd;
	struct io_uring_params params;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
};

static bool open_ring(struct ring *ring, unsigned flags)
{
	ring->params = (struct io_uring_params){.flags = flags, .sq_thread_idle = 1000};
	ring->fd = made("io_uring_setup", syscall(SYS_io_uring_setup, 8, &ring->params));
	if (ring->fd < 0)
		return false;
	const struct io_uring_params *p = &ring->params;
	ring->sq = mmap(NULL, p->sq_off.array + p->sq_entries * sizeof(uint32_t), PROT_READ | PROT_WRITE, MAP_SHARED,
	        ring->fd, IORING_OFF_SQ_RING);
	ring->cq = mmap(NULL, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
	        MAP_SHARED, ring->fd, IORING_OFF_CQ_RING);
	ring->sqes = mmap(NULL, p->sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED,
	        ring->fd, IORING_OFF_SQES);
	return ring->sq != MAP_FAILED && ring->cq != MAP_FAILED && ring->sqes != MAP_FAILED;
}

static uint32_t *word(char *ring, uint32_t offset)
{
	return (uint32_t *)(ring + offset);
}

static void submit(struct ring *ring, const struct io_uring_sqe *sqe)
{
	const struct io_sqring_offsets *off = &ring->params.sq_off;
	uint32_t tail = *word(ring->sq, off->tail), at = tail & *word(ring->sq, off->ring_mask);
	ring->sqes[at] = *sqe;
	word(ring->sq, off->array)[at] = at;
	__atomic_store_n(word(ring->sq, off->tail), tail + 1, __ATOMIC_RELEASE);
	if (ring->params.flags & IORING_SETUP_SQPOLL)
		syscall(SYS_io_uring_enter, ring->fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
	else
		syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0);
}

static int complete(struct ring *ring)
{
	const struct io_cqring_offsets *off = &ring->params.cq_off;
	uint32_t head = *word(ring->cq, off->head);
	while (__atomic_load_n(word(ring->cq, off->tail), __ATOMIC_ACQUIRE) == head)
		syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	struct io_uring_cqe *cqes = (struct io_uring_cqe *)(ring->cq + off->cqes);
	int res = cqes[head & *word(ring->cq, off->ring_mask)].res;
	__atomic_store_n(word(ring->cq, off->head), head + 1, __ATOMIC_RELEASE);
	if (res < 0) {
		errno = -res;
		return -1;
	}
	return res;
}

static int operate(struct ring *ring, struct io_uring_sqe sqe)
{
	static uint64_t number = 100;
	sqe.user_data = number++;
	submit(ring, &sqe);
	return complete(ring);
}

static uint64_t address_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* Slots of the ring's own table are no descriptors; one of them becomes one. */
static void ring_direct(struct ring *ring)
{
	struct io_uring_rsrc_register table = {.nr = 4, .flags = 1 /* IORING_RSRC_REGISTER_SPARSE */};
	if (syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_FILES2, &table, sizeof(table)) < 0) {
		say("skip uring:direct %s", strerror(errno));
		return;
	}
	for (unsigned slot = 1; slot <= 2; slot++) {
		struct io_uring_sqe sqe = {
		        .opcode = IORING_OP_SOCKET, .fd = AF_UNIX, .off = SOCK_DGRAM, .file_index = slot};
		if (operate(ring, sqe) < 0)
			say("skip uring:direct %s", strerror(errno));
	}
	struct io_uring_sqe sqe = {.opcode = OP_FIXED_FD_INSTALL, .flags = IOSQE_FIXED_FILE, .fd = 1};
	made("uring:fixed_fd_install", operate(ring, sqe));
}

/* Descriptors come with a message, too. */
static void ring_receive(struct ring *ring)
{
	int fds[2];
	char byte, control[256];
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
	        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct io_uring_sqe sqe = {.opcode = IORING_OP_RECVMSG, .addr = address_of(&msg), .len = 1};
	made_pair("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, fds), fds);
	send_descriptors(fds[0], fds, 2);
	sqe.fd = fds[1];
	if (operate(ring, sqe) < 0)
		say("skip uring:recvmsg %s", strerror(errno));
	else
		tell_received("uring:recvmsg", &msg);
}

static void ring_pipe(struct ring *ring)
{
	int fds[2];
	struct io_uring_sqe sqe = {.opcode = OP_PIPE, .addr = address_of(fds)};
	made_pair("uring:pipe", operate(ring, sqe), fds);
}

static void ring_accept(struct ring *ring)
{
	struct sockaddr_in address;
	int listener = listen_inet(&address);
	struct io_uring_sqe one = {.opcode = IORING_OP_ACCEPT, .fd = listener};
	connect_inet(&address);
	made("uring:accept", operate(ring, one));
	struct io_uring_sqe many = {
	        .opcode = IORING_OP_ACCEPT, .fd = listener, .ioprio = 1 /* IORING_ACCEPT_MULTISHOT */, .user_data = 7};
	submit(ring, &many);
	for (int i = 0; i < 3; i++) {
		connect_inet(&address);
		made("uring:accept", complete(ring));
	}
}

static void use_ring(const char *path)
{
	struct ring ring;
	struct open_how how = {.flags = O_RDONLY};
	if (!open_ring(&ring, 0))
		return;
	struct io_uring_sqe make = {.opcode = IORING_OP_SOCKET, .fd = AF_UNIX, .off = SOCK_STREAM};
	made("uring:socket", operate(&ring, make));
	int extra = made("uring:socket", operate(&ring, make));
	struct io_uring_sqe at = {
	        .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = address_of(path), .open_flags = O_RDONLY};
	made("uring:openat", operate(&ring, at));
	struct io_uring_sqe at2 = {.opcode = IORING_OP_OPENAT2,
	        .fd = AT_FDCWD,
	        .addr = address_of(path),
	        .len = sizeof(how),
	        .off = address_of(&how),
	        .flags = IOSQE_ASYNC};
	made("uring:openat2", operate(&ring, at2));
	ring_accept(&ring);
	ring_direct(&ring);
	ring_pipe(&ring);
	ring_receive(&ring);
	struct io_uring_sqe shut = {.opcode = IORING_OP_CLOSE, .fd = extra};
	if (extra >= 0 && operate(&ring, shut) == 0)
		gone("uring:close", extra);
}

/* A thread of the kernel takes what is submitted: nobody's call leads there. */
static void use_polled_ring(void)
{
	struct ring ring;
	struct io_uring_sqe sqe = {.opcode = IORING_OP_SOCKET, .fd = AF_UNIX, .off = SOCK_STREAM};
	if (open_ring(&ring, IORING_SETUP_SQPOLL))
		made("uring:socket", operate(&ring, sqe));
}

/* An event of fanotify brings a descriptor with it. */
static void read_fanotify(const char *path)
{
	struct fanotify_event_metadata event;
	int group = made("fanotify_init", fanotify_init(FAN_CLASS_NOTIF, O_RDONLY));
	if (group < 0)
		return;
	if (fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, path) < 0) {
		say("skip fanotify %s", strerror(errno));
		return;
	}
	made("openat", open(path, O_RDONLY));
	if (read(group, &event, sizeof(event)) > 0 && event.fd >= 0)
		made("read", event.fd);
}

static void everything(void)
{
	char path[] = "/tmp/rille-fds-XXXXXX";
	made("openat", mkstemp(path));
	make_files(path);
	make_events();
	make_mounts();
	make_terminal();
	make_pairs();
	make_sockets();
	make_dups();
	close_some();
	use_ring(path);
	use_polled_ring();
	read_fanotify(path);
	make_kernel_objects();
	pass_to_child(made("eventfd2", eventfd(0, 0)));
	exec_child();
	share_with_child();
	unshare_child();
	unlink(path);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "hold")) {
		say("exec");
		child_ready(atoi(argv[2]));
		pause();
	}
	everything();
	say("ready");
	hold();
	for (int i = 0; i < nchildren; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	return 0;
}
