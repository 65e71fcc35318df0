/* A socket pair made by a thread under a function with a big buffer that it never touches, so that pages in the middle of
 * the thread's stack do not exist; then the process is gone at once, and nobody can read its stack later. */
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEEP(p) __asm__ volatile("" ::"r"(p) : "memory")

__attribute__((noinline)) static int leaf(void)
{
	int pair[2];
	int r = socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	KEEP(pair);
	return r;
}

__attribute__((noinline)) static int sparse(void)
{
	volatile char untouched[20000];
	KEEP(untouched);
	int r = leaf();
	KEEP(untouched);
	return r;
}

__attribute__((noinline)) static int caller(void)
{
	int r = sparse();
	KEEP(&r);
	return r;
}

static void *thread(void *unused)
{
	(void)unused;
	_exit(caller() != 0);
}

int main(void)
{
	pthread_t made;
	pthread_create(&made, NULL, thread, NULL);
	pthread_join(made, NULL);
	return 1;
}
