/* process_vm_readv(2) faults pages in as the target would. A page that the target handles itself (userfaultfd) or that
 * is a file of its own (FUSE) makes the reader wait for as long as the target likes, and no signal but a fatal one ends
 * that wait. A thread for every read would be safe and would double the cost of a read.
 *
 * So: /proc/PID/pagemap tells whether a page is there. What is there is read at once, and remembered for a second. What
 * is not (never touched, swapped, in a file, or a trap) is read by a helper thread that we wait for, briefly. If it
 * does not come back the process is not read again, and the thread is left to its fate: it owns all that it touches,
 * and it ends with the target, or with us.
 *
 * Briefly is meant of the target. On a machine that is busy the helper may not have had a processor, for which the target
 * is not to blame: a helper that is not asleep is waited for longer, and a read in which it did not go to sleep took no time. */
#include "engine/stack/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
	PAGE = 4096, /* the smallest there is: asking for more pages than there are does no harm */
	MAX_PARTS = 1024,
	MAX_BYTES = 64 << 10,
	WAIT_NSECS = 50000000,
	BUSY_WAITS = 40, /* so many, for a helper that the scheduler keeps waiting */
	KNOWN_PAGES = 2048,
	KNOWN_SECONDS = 1,
	PAGEMAPS = 8,
	BLOCKED = 64,
	MAX_STUCK = 8,
	NSECS = 1000000000,
};
static const uint64_t PAGE_PRESENT = 1ULL << 63;

/* One read and the thread that does it; whoever lets go of it last frees it. The thread is joined if it can be: then
 * nothing of ours runs any more when we have been closed. */
struct helper {
	pthread_t thread;
	pid_t tid; /* 0 = it has not run yet */
	pthread_mutex_t lock;
	pthread_cond_t wake, done;
	bool wanted, quit, alone; /* alone: nobody waits any more */
	pid_t pid;
	size_t nparts, nbytes;
	struct iovec there[MAX_PARTS];
	ssize_t result;
	int error;       /* errno, if result is -1 */
	uint64_t waited; /* ns; 0 if it was not put to sleep */
	uint8_t bytes[MAX_BYTES];
};

struct remote {
	struct {
		uint64_t page;
		pid_t pid;
		uint32_t seconds;
	} known[KNOWN_PAGES];
	struct {
		int fd;
		pid_t pid;
	} pagemaps[PAGEMAPS];
	pid_t blocked[BLOCKED];
	pid_t denied;
	unsigned nblocked, nstuck;
	struct helper *helper;
	pid_t owner; /* in a child of this process there is no helper, whatever it may look like */
};

struct remote *remote_new(void)
{
	struct remote *remote = calloc(1, sizeof(*remote));
	for (size_t i = 0; remote && i < PAGEMAPS; i++)
		remote->pagemaps[i].fd = -1;
	if (remote)
		remote->owner = getpid();
	return remote;
}

static void helper_free(struct helper *helper)
{
	pthread_cond_destroy(&helper->wake);
	pthread_cond_destroy(&helper->done);
	pthread_mutex_destroy(&helper->lock);
	free(helper);
}

static uint64_t now_nsecs(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSECS + (uint64_t)now.tv_nsec;
}

/* How often this thread has gone to sleep. */
static long sleeps(void)
{
	struct rusage usage;
	return getrusage(RUSAGE_THREAD, &usage) < 0 ? -1 : usage.ru_nvcsw;
}

/* With the lock released. */
static void helper_read(struct helper *helper)
{
	struct iovec here = {.iov_base = helper->bytes, .iov_len = helper->nbytes};
	long before = sleeps();
	uint64_t began = now_nsecs();
	helper->result = process_vm_readv(helper->pid, &here, 1, helper->there, helper->nparts, 0);
	helper->error = helper->result < 0 ? errno : 0;
	helper->waited = before < 0 || sleeps() != before ? now_nsecs() - began : 0;
}

static void *helper_run(void *arg)
{
	struct helper *helper = arg;
	pthread_mutex_lock(&helper->lock);
	helper->tid = gettid();
	for (;;) {
		while (!helper->wanted && !helper->quit)
			pthread_cond_wait(&helper->wake, &helper->lock);
		if (helper->quit)
			break;
		pthread_mutex_unlock(&helper->lock);
		helper_read(helper);
		pthread_mutex_lock(&helper->lock);
		helper->wanted = false;
		if (helper->alone)
			break;
		pthread_cond_signal(&helper->done);
	}
	bool alone = helper->alone;
	pthread_mutex_unlock(&helper->lock);
	if (alone)
		helper_free(helper);
	return NULL;
}

/* With all signals blocked: the host's handlers run in the host's threads. */
static struct helper *helper_new(void)
{
	struct helper *helper = calloc(1, sizeof(*helper));
	if (!helper)
		return NULL;
	pthread_condattr_t clock;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_mutex_init(&helper->lock, NULL);
	pthread_cond_init(&helper->wake, NULL);
	pthread_cond_init(&helper->done, &clock);
	pthread_condattr_destroy(&clock);

	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	int r = pthread_create(&helper->thread, &attr, helper_run, helper);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r) {
		helper_free(helper);
		return NULL;
	}
	return helper;
}

/* It has nothing to do: one that did not come back in time is nobody's any more. */
static void end_helper(struct helper *helper)
{
	pthread_mutex_lock(&helper->lock);
	helper->quit = true;
	pthread_cond_signal(&helper->wake);
	pthread_mutex_unlock(&helper->lock);
	pthread_join(helper->thread, NULL);
	helper_free(helper);
}

void remote_free(struct remote *remote)
{
	if (!remote)
		return;
	if (remote->helper && remote->owner == getpid())
		end_helper(remote->helper);
	else
		free(remote->helper);
	for (size_t i = 0; i < PAGEMAPS; i++)
		if (remote->pagemaps[i].fd >= 0)
			close(remote->pagemaps[i].fd);
	free(remote);
}

static struct timespec later(uint64_t nsecs)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	nsecs += time.tv_nsec;
	time.tv_sec += nsecs / NSECS;
	time.tv_nsec = nsecs % NSECS;
	return time;
}

static void block(struct remote *remote, pid_t pid)
{
	remote->blocked[remote->nblocked++ % BLOCKED] = pid;
}

static bool is_blocked(const struct remote *remote, pid_t pid)
{
	for (unsigned i = 0; i < BLOCKED && i < remote->nblocked; i++)
		if (remote->blocked[i] == pid)
			return true;
	return false;
}

/* What a finished read comes to; remembers who may not be read at all. */
static int judge(struct remote *remote, pid_t pid, bool whole, int error)
{
	if (!whole && error == EPERM)
		remote->denied = pid;
	return whole ? 0 : -EFAULT;
}

/* Whether a thread of ours has still to be given a processor, rather than being kept by the target. */
static bool is_runnable(pid_t tid)
{
	char path[64], text[256];
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	const char *name_end = strrchr(text, ')'); /* the state stands behind it */
	return name_end && !strncmp(name_end, ") R", 3);
}

/* With the lock held; it is not while the thread is looked at. */
static bool is_kept_waiting(struct helper *helper)
{
	pid_t tid = helper->tid;
	pthread_mutex_unlock(&helper->lock);
	bool runnable = !tid || is_runnable(tid);
	pthread_mutex_lock(&helper->lock);
	return !runnable;
}

static int wait_for(struct remote *remote, struct helper *helper)
{
	int waits = 0;
	do {
		struct timespec until = later(WAIT_NSECS);
		int r = 0;
		while (helper->wanted && !r)
			r = pthread_cond_timedwait(&helper->done, &helper->lock, &until);
	} while (helper->wanted && ++waits < BUSY_WAITS && !is_kept_waiting(helper));
	if (!helper->wanted)
		return judge(remote, helper->pid, helper->result == (ssize_t)helper->nbytes, helper->error);
	helper->alone = true;
	pthread_detach(helper->thread);
	remote->helper = NULL;
	remote->nstuck++;
	block(remote, helper->pid);
	return -ETIMEDOUT;
}

static int read_by_helper(
        struct remote *remote, pid_t pid, const struct memory_part *parts, size_t n, size_t bytes, uint64_t *waited)
{
	if (!remote->helper && remote->nstuck < MAX_STUCK)
		remote->helper = helper_new();
	struct helper *helper = remote->helper;
	if (!helper)
		return -ETIMEDOUT;
	pthread_mutex_lock(&helper->lock);
	helper->pid = pid;
	helper->nparts = n;
	helper->nbytes = bytes;
	for (size_t i = 0; i < n; i++)
		helper->there[i] = (struct iovec){(void *)(uintptr_t)parts[i].address, parts[i].len};
	helper->wanted = true;
	pthread_cond_signal(&helper->wake);
	int r = wait_for(remote, helper);
	for (size_t i = 0, at = 0; !r && i < n; at += parts[i++].len)
		memcpy(parts[i].buffer, helper->bytes + at, parts[i].len);
	*waited += r == -ETIMEDOUT ? WAIT_NSECS : helper->waited;
	pthread_mutex_unlock(&helper->lock);
	return r;
}

static int read_directly(struct remote *remote, pid_t pid, const struct memory_part *parts, size_t n, size_t bytes)
{
	struct iovec here[MAX_PARTS], there[MAX_PARTS];
	for (size_t i = 0; i < n; i++) {
		here[i] = (struct iovec){parts[i].buffer, parts[i].len};
		there[i] = (struct iovec){(void *)(uintptr_t)parts[i].address, parts[i].len};
	}
	ssize_t got = process_vm_readv(pid, here, n, there, n, 0);
	return judge(remote, pid, got == (ssize_t)bytes, got < 0 ? errno : 0);
}

static int pagemap_of(struct remote *remote, pid_t pid, bool anew)
{
	size_t i = (size_t)pid % PAGEMAPS;
	if (remote->pagemaps[i].pid == pid && remote->pagemaps[i].fd >= 0 && !anew)
		return remote->pagemaps[i].fd;
	if (remote->pagemaps[i].fd >= 0)
		close(remote->pagemaps[i].fd);
	char name[64];
	snprintf(name, sizeof(name), "/proc/%d/pagemap", (int)pid);
	remote->pagemaps[i].pid = pid;
	return remote->pagemaps[i].fd = open(name, O_RDONLY | O_CLOEXEC);
}

/* An open pagemap belongs to the memory of before an exec and reads as empty after it. */
static bool page_present(struct remote *remote, pid_t pid, uint64_t page)
{
	uint64_t entry = 0;
	off_t at = (off_t)(page / sysconf(_SC_PAGESIZE) * sizeof(entry));
	ssize_t n = pread(pagemap_of(remote, pid, false), &entry, sizeof(entry), at);
	if (n != sizeof(entry))
		n = pread(pagemap_of(remote, pid, true), &entry, sizeof(entry), at);
	return n == sizeof(entry) && entry & PAGE_PRESENT;
}

static bool known_present(struct remote *remote, pid_t pid, uint64_t page, uint32_t seconds)
{
	size_t i = ((page / PAGE) ^ (uint64_t)pid * 0x9E3779B1) % KNOWN_PAGES;
	if (remote->known[i].page == page && remote->known[i].pid == pid &&
	        seconds - remote->known[i].seconds <= KNOWN_SECONDS)
		return true;
	if (!page_present(remote, pid, page))
		return false;
	remote->known[i].page = page;
	remote->known[i].pid = pid;
	remote->known[i].seconds = seconds;
	return true;
}

static bool all_present(struct remote *remote, pid_t pid, const struct memory_part *parts, size_t n)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	for (size_t i = 0; i < n; i++) {
		uint64_t last = parts[i].address + parts[i].len - 1;
		for (uint64_t page = parts[i].address & -(uint64_t)PAGE; page <= last; page += PAGE)
			if (!known_present(remote, pid, page, now.tv_sec))
				return false;
	}
	return true;
}

int remote_read(struct remote *remote, pid_t pid, const struct memory_part *parts, size_t n, uint64_t *waited)
{
	size_t bytes = 0;
	if (n > MAX_PARTS)
		return -EFAULT;
	for (size_t i = 0; i < n; i++) {
		if (!parts[i].len || parts[i].len > MAX_BYTES - bytes)
			return -EFAULT;
		bytes += parts[i].len;
	}
	if (is_blocked(remote, pid))
		return -ETIMEDOUT;
	if (all_present(remote, pid, parts, n))
		return read_directly(remote, pid, parts, n, bytes);
	return read_by_helper(remote, pid, parts, n, bytes, waited);
}

pid_t remote_denied(const struct remote *remote)
{
	return remote->denied;
}
