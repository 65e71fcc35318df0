/* The traced program: calls socket() and close() under five functions of its own, as fast as it can, and tells what a
 * round cost it in CPU time, which other load on the machine hardly touches (wall-clock time it does).
 *
 *     producer CALLS      → "pid=N calls=N cpu_ns=N wall_ns=N" */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long now(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* An empty asm after the call keeps it from becoming a jump, so that each of these is a frame. */
#define FRAME(name, callee)                                                                                            \
	__attribute__((noinline)) static int name(void)                                                                \
	{                                                                                                              \
		int fd = callee;                                                                                       \
		__asm__ volatile("" ::: "memory");                                                                     \
		return fd;                                                                                             \
	}

FRAME(make_socket, socket(AF_UNIX, SOCK_STREAM, 0))
FRAME(open_channel, make_socket())
FRAME(start_client, open_channel())
FRAME(serve_one, start_client())

int main(int argc, char **argv)
{
	long calls = argc > 1 ? atol(argv[1]) : 100000;
	for (int i = 0; i < 100; i++)
		close(serve_one());
	long long cpu = now(CLOCK_THREAD_CPUTIME_ID), wall = now(CLOCK_MONOTONIC);
	for (long i = 0; i < calls; i++)
		close(serve_one());
	cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
	wall = now(CLOCK_MONOTONIC) - wall;
	printf("pid=%d calls=%ld cpu_ns=%lld wall_ns=%lld\n", getpid(), calls + 100, cpu, wall);
	return 0;
}
