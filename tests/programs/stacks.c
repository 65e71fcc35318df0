/* One thread for every shape of stack that an unwinder must get through; each sleeps in its own, so that a debugger
 * sees the same as the engine. Prints "ready" when all are there, then waits to be killed. */
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHAPE __attribute__((noinline, noclone))
#define KEEP __asm__ volatile("" ::: "memory") /* no tail calls */

static atomic_int arrived;

SHAPE void sleep_for_ever(void)
{
	atomic_fetch_add(&arrived, 1);
	for (;;)
		pause();
}

SHAPE void plain(void)
{
	sleep_for_ever();
	KEEP;
}

/* More stack than is ever copied. */
SHAPE int deep(int level)
{
	volatile char room[400];
	room[0] = (char)level;
	if (level)
		level = deep(level - 1) + 1;
	else
		sleep_for_ever();
	return level + room[0];
}

/* The frame's size is known only at run time. */
SHAPE int moving(size_t n)
{
	volatile char *room = alloca(n);
	room[n - 1] = 1;
	sleep_for_ever();
	return room[n - 1];
}

/* Realigned: the CFA is an expression. */
SHAPE int aligned(int n)
{
	volatile char room[256] __attribute__((aligned(128)));
	volatile char *more = alloca((size_t)n);
	room[0] = 1;
	more[0] = room[0];
	sleep_for_ever();
	return more[0];
}

static int compare(const void *a, const void *b)
{
	static __thread int times;
	if (times++ == 3)
		sleep_for_ever();
	return *(const int *)a - *(const int *)b;
}

SHAPE void through_libc(void)
{
	int numbers[64];
	for (int i = 0; i < 64; i++)
		numbers[i] = i * 7919 % 64;
	qsort(numbers, 64, sizeof(int), compare);
	KEEP;
}

static void handler(int signal)
{
	(void)signal;
	plain();
	KEEP;
}

SHAPE void interrupted(void)
{
	raise(SIGUSR1);
	KEEP;
}

SHAPE void interrupted_elsewhere(void)
{
	stack_t other = {.ss_sp = malloc(64 << 10), .ss_size = 64 << 10};
	sigaltstack(&other, NULL);
	raise(SIGUSR2);
	KEEP;
}

/* The signal comes at an instruction, not in a call: its address is exact. */
SHAPE void faulting(void)
{
	*(volatile int *)8 = 1;
	KEEP;
}

/* Nothing behind the call: the return address is outside the function. */
SHAPE __attribute__((noreturn)) void never_returns(void)
{
	sleep_for_ever();
	__builtin_unreachable();
}

static void *run(void *number)
{
	switch ((int)(intptr_t)number) {
	case 0:
		plain();
		break;
	case 1:
		deep(400);
		break;
	case 2:
		moving(1000 + (size_t)getpid() % 16);
		break;
	case 3:
		aligned(100 + getpid() % 16);
		break;
	case 4:
		through_libc();
		break;
	case 5:
		interrupted();
		break;
	case 6:
		interrupted_elsewhere();
		break;
	case 7:
		faulting();
		break;
	case 8:
		never_returns();
	}
	KEEP;
	return NULL;
}

int main(void)
{
	enum { SHAPES = 9 };
	struct sigaction here = {.sa_handler = handler}, there = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
	sigaction(SIGUSR1, &here, NULL);
	sigaction(SIGSEGV, &here, NULL);
	sigaction(SIGUSR2, &there, NULL);
	for (intptr_t i = 0; i < SHAPES; i++) {
		pthread_t thread;
		pthread_create(&thread, NULL, run, (void *)i);
	}
	while (arrived < SHAPES)
		usleep(1000);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
