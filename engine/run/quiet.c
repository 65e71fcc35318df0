/* libbpf prints to stderr, or calls what the host has set instead, through one callback of the whole process. A library must
 * not print, so the callback is taken away while we are in libbpf, and put back. Two handles can be loading at the same time
 * in two threads, and the one that is done first must not put back what the other found. So the process has one count of
 * those that are in there: the only variable of this library, since what it guards is one, too. */
#include "engine/run/quiet.h"

#include <bpf/libbpf.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned inside;
static libbpf_print_fn_t hosts;

void quiet_begin(void)
{
	pthread_mutex_lock(&lock);
	if (inside++ == 0)
		hosts = libbpf_set_print(NULL);
	pthread_mutex_unlock(&lock);
}

void quiet_end(void)
{
	pthread_mutex_lock(&lock);
	if (--inside == 0)
		libbpf_set_print(hosts);
	pthread_mutex_unlock(&lock);
}
