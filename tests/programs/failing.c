/* Preloaded: counts allocations, and makes the n-th from now fail. glibc's own go through here as well. The counters are
 * for one thread; what other threads do counts, too. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);

static long live, calls, fail;

int failing_now(void);

long failing_live(void)
{
	return live;
}

long failing_calls(void)
{
	return calls;
}

/* 0: none. */
void failing_at(long n)
{
	fail = n ? calls + n : 0;
}

/* For a debugger to stop at. */
__attribute__((noinline)) int failing_now(void)
{
	errno = ENOMEM;
	return 1;
}

static int fails(void)
{
	return ++calls == fail ? failing_now() : 0;
}

static void *counted(void *p)
{
	live += p != NULL;
	return p;
}

void *malloc(size_t n)
{
	return fails() ? NULL : counted(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *old, size_t n)
{
	if (n == 0 && old) {
		live--;
		return __libc_realloc(old, 0);
	}
	if (fails())
		return NULL;
	return old ? __libc_realloc(old, n) : counted(__libc_realloc(NULL, n));
}

void *memalign(size_t align, size_t n)
{
	return fails() ? NULL : counted(__libc_memalign(align, n));
}

void *aligned_alloc(size_t align, size_t n)
{
	return memalign(align, n);
}

int posix_memalign(void **ret, size_t align, size_t n)
{
	void *p = memalign(align, n);
	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}

void free(void *p)
{
	live -= p != NULL;
	__libc_free(p);
}
