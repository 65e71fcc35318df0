/* snapshot BYTES CALLS: getppid() with that much stack in use; prints what the calls took, then waits for the end of its input.
 * It calls in bursts that fit the ring, and rests after each: a record that is lost is not copied, and would look cheap.
 * snapshot sleep DEPTH: sleeps below that many calls. */
#define _GNU_SOURCE
#include <alloca.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 100, REST_US = 6000 };

static uint64_t cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

__attribute__((noinline)) static void calls(size_t bytes, unsigned long n)
{
	volatile char *room = alloca(bytes + 1);
	for (size_t i = 0; i < bytes; i++) /* memset() of what nobody reads is left out by the compiler */
		room[i] = 1;
	uint64_t spent = 0;
	for (unsigned long done = 0; done < n; done += BURST) {
		uint64_t before = cpu_ns();
		for (int i = 0; i < BURST; i++)
			syscall(SYS_getppid);
		spent += cpu_ns() - before;
		usleep(REST_US);
	}
	printf("pid=%d calls=%lu cpu_ns=%llu\n", (int)getpid(), n, (unsigned long long)spent);
	fflush(stdout);
	room[0] = 0;
}

__attribute__((noinline)) static int depth(int n)
{
	if (n <= 1)
		return (int)sleep(600);
	int r = depth(n - 1);
	__asm__ volatile("");
	return r;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	if (!strcmp(argv[1], "sleep"))
		return depth(atoi(argv[2]));
	calls(strtoul(argv[1], NULL, 0), strtoul(argv[2], NULL, 0));
	return getchar() == 0;
}
