/* Makes descriptors in functions whose names say what they are, tells which function made which (PID FD FUNCTION, a line each,
 * then "ready"), and waits until standard input ends.
 *
 *     opens              one of some kinds, copies, a child that inherits and one that gets some in messages
 *     opens many N       N sockets
 *     opens churn N      opens and closes N times, then says "ready" */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

static int tell(int fd, const char *function)
{
	printf("%d %d %s\n", getpid(), fd, function);
	fflush(stdout);
	return fd;
}

#define MAKER __attribute__((noinline))

MAKER static int alpha_socket(void)
{
	return tell(socket(AF_INET, SOCK_DGRAM, 0), __func__);
}

MAKER static int beta_event(void)
{
	return tell(eventfd(0, 0), __func__);
}

MAKER static int gamma_poll(void)
{
	return tell(epoll_create1(EPOLL_CLOEXEC), __func__);
}

MAKER static int delta_timer(void)
{
	return tell(timerfd_create(CLOCK_MONOTONIC, 0), __func__);
}

MAKER static int epsilon_file(void)
{
	return tell(open("/proc/self/exe", O_RDONLY), __func__);
}

MAKER static void zeta_pipe(int fds[2])
{
	if (pipe(fds) < 0)
		exit(1);
	tell(fds[0], __func__);
	tell(fds[1], __func__);
}

MAKER static void eta_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		exit(1);
	tell(fds[0], __func__);
	tell(fds[1], __func__);
}

MAKER static int theta_copy(int fd)
{
	return tell(dup(fd), __func__);
}

MAKER static int iota_sent(void)
{
	return socket(AF_UNIX, SOCK_SEQPACKET, 0);
}

static void send_fd(int to, int fd)
{
	char byte = 0;
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr message = {
	        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	if (sendmsg(to, &message, 0) != 1)
		exit(1);
}

MAKER static int receive_fd(int from)
{
	char byte;
	int fd;
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {&byte, 1};
	struct msghdr message = {
	        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	if (recvmsg(from, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
		exit(1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void wait_for_end(void)
{
	char byte;
	while (read(0, &byte, 1) > 0)
		;
}

/* Inherits everything, and gets a socket that its parent has closed by then: made there, in iota_sent(). */
static void child(int from)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	tell(receive_fd(from), "iota_sent");
	printf("%d child\n", getpid());
	fflush(stdout);
	wait_for_end();
	_exit(0);
}

static void everything(void)
{
	int pair[2], ends[2];
	alpha_socket();
	int event = beta_event();
	gamma_poll();
	delta_timer();
	epsilon_file();
	zeta_pipe(ends);
	eta_pair(pair);
	theta_copy(event);
	theta_copy(0);
	close(ends[0]);
	printf("%d closed %d\n", getpid(), ends[0]);
	fflush(stdout);
	int sent = iota_sent();
	send_fd(pair[0], sent);
	close(sent);
	if (fork() == 0)
		child(pair[1]);
}

MAKER static void many(int n)
{
	for (int i = 0; i < n; i++)
		if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
			exit(1);
}

MAKER static void churn(int n)
{
	for (int i = 0; i < n; i++) {
		int fd = i % 3 ? socket(AF_UNIX, SOCK_STREAM, 0) : open("/dev/null", O_RDONLY);
		if (fd < 0 || close(fd) < 0)
			exit(1);
	}
	tell(socket(AF_UNIX, SOCK_STREAM, 0), "churn");
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (argc > 2 && strcmp(argv[1], "many") == 0)
		many(atoi(argv[2]));
	else if (argc > 2)
		churn(atoi(argv[2]));
	else
		everything();
	printf("%d ready\n", getpid());
	fflush(stdout);
	wait_for_end();
	wait_for_end();
	return 0;
}
