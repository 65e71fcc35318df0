/* Reading a process: the copy before the process, all or nothing, bounded, and never blocked by the target. */
#include "engine/stack/memory.h"
#include "bpf-templates/record.h"

#include "skip.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* last: it needs the ones above */
#include <cmocka.h>

enum { PAGE = 4096 };

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What the copy holds comes from the copy, though the process has something else there. */
static void test_copy_first(void **state)
{
	struct memory *memory = memory_new();
	static uint64_t there[1024];
	uint64_t copy[4] = {1, 2, 3, 4}, pair[2];
	bool failed = false;
	uint64_t sp = (uint64_t)(uintptr_t)there;
	memset(there, 0x55, sizeof(there));
	memory_begin(memory, getpid(), true, copy, sp, sizeof(copy), sp + sizeof(there));
	assert_int_equal(memory_u64(memory, sp + 8, &failed), 2);
	assert_int_equal(memory_u32(memory, sp + 16, &failed), 3);
	assert_false(memory_used_live_stack(memory));
	assert_int_equal(memory_u64(memory, sp + 32, &failed), 0x5555555555555555);
	assert_true(memory_used_live_stack(memory));
	/* Half in the copy: as the process has it, since a mixture would be neither. */
	assert_int_equal(memory_read(memory, sp + 24, pair, 16), 0);
	assert_int_equal(pair[0], 0x5555555555555555);
	assert_false(failed);
	/* An exited process has its copy and nothing else. */
	memory_begin(memory, getpid(), false, copy, sp, sizeof(copy), 0);
	assert_int_equal(memory_u64(memory, sp, &failed), 1);
	assert_false(failed);
	memory_u64(memory, sp + 32, &failed);
	assert_true(failed);
	memory_free(memory);
}

/* A hole of the copy is read from the process, and marked; what lies beside it comes from the copy. */
static void test_holes(void **state)
{
	struct memory *memory = memory_new();
	static _Alignas(RILLE_STACK_PIECE) uint8_t there[8 * RILLE_STACK_PIECE], copy[8 * RILLE_STACK_PIECE];
	uint64_t base = (uint64_t)(uintptr_t)there, sp = base + 1000; /* the first piece has 24 bytes */
	uint8_t pair[16];
	bool failed = false;
	memset(there, 0x55, sizeof(there));
	memset(copy, 0x77, sizeof(copy));
	memory_begin(memory, getpid(), true, copy, sp, 5 * RILLE_STACK_PIECE, base + sizeof(there));
	memory_set_holes(memory, 1 << 2); /* [base + 2048, base + 3072) */
	assert_int_equal(memory_u8(memory, sp, &failed), 0x77);
	assert_int_equal(memory_u8(memory, base + 2047, &failed), 0x77);
	assert_int_equal(memory_u8(memory, base + 3072, &failed), 0x77);
	assert_false(memory_used_live_stack(memory));
	assert_int_equal(memory_u8(memory, base + 2048, &failed), 0x55);
	assert_int_equal(memory_u8(memory, base + 3071, &failed), 0x55);
	assert_true(memory_used_live_stack(memory));
	assert_int_equal(memory_read(memory, base + 2040, pair, 16), 0);
	assert_int_equal(pair[0], 0x55);
	assert_false(failed);
	/* The next event has none; one of a process that is gone has nothing in its place. */
	memory_begin(memory, getpid(), true, copy, sp, 5 * RILLE_STACK_PIECE, base + sizeof(there));
	assert_int_equal(memory_u8(memory, base + 2048, &failed), 0x77);
	memory_begin(memory, getpid(), false, copy, sp, 5 * RILLE_STACK_PIECE, 0);
	memory_set_holes(memory, 1 << 2);
	memory_u8(memory, base + 2048, &failed);
	assert_true(failed);
	memory_free(memory);
}

/* A read gives all it was asked for or fails; no address is too strange to ask for. */
static void test_bounds(void **state)
{
	struct memory *memory = memory_new();
	uint8_t buffer[3 * PAGE];
	char text[64];
	uint8_t *map = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t at = (uint64_t)(uintptr_t)map;
	memset(map, 'a', 3 * PAGE);
	munmap(map + 2 * PAGE, PAGE);
	memory_begin(memory, getpid(), true, NULL, 0, 0, 0);
	assert_int_equal(memory_read(memory, at + 100, buffer, PAGE), 0);
	assert_int_equal(buffer[PAGE - 1], 'a');
	assert_int_equal(memory_read(memory, at + PAGE, buffer, PAGE + 1), -EFAULT);
	static const uint64_t strange[] = {0, 8, 4095, 1ULL << 47, UINT64_MAX, UINT64_MAX - 7, 0xffffffff81000000};
	for (size_t i = 0; i < sizeof(strange) / sizeof(*strange); i++)
		assert_int_equal(memory_read(memory, strange[i], buffer, 8), -EFAULT);
	assert_int_equal(memory_read(memory, (1ULL << 47) - 4, buffer, 8), -EFAULT);
	strcpy((char *)map + PAGE - 3, "hello");
	assert_int_equal(memory_read_string(memory, at + PAGE - 3, text, sizeof(text)), -E2BIG); /* cached page */
	memory_begin(memory, getpid(), true, NULL, 0, 0, 0);
	assert_int_equal(memory_read_string(memory, at + PAGE - 3, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	assert_int_equal(memory_read_string(memory, at + 2 * PAGE - 3, text, sizeof(text)), -EFAULT);
	munmap(map, 2 * PAGE);
	memory_free(memory);
}

/* Parts are read together, and none if one cannot be. */
static void test_many(void **state)
{
	struct memory *memory = memory_new();
	static uint32_t numbers[100];
	struct memory_part parts[100];
	uint32_t out[100];
	for (uint32_t i = 0; i < 100; i++) {
		numbers[i] = i;
		parts[i] = (struct memory_part){(uint64_t)(uintptr_t)&numbers[99 - i], &out[i], 4};
	}
	memory_begin(memory, getpid(), true, NULL, 0, 0, 0);
	assert_int_equal(memory_read_many(memory, parts, 100), 0);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(out[i], 99 - i);
	parts[50].address = 0x1000;
	assert_int_equal(memory_read_many(memory, parts, 100), -EFAULT);
	memory_free(memory);
}

/* One event reads so many pages and no more. */
static void test_budget(void **state)
{
	struct memory *memory = memory_new();
	enum { PAGES = 2000 };
	bool failed = false;
	uint8_t *map = mmap(
	        NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	memory_begin(memory, getpid(), true, NULL, 0, 0, 0);
	size_t read = 0;
	while (read < PAGES && !failed)
		memory_u64(memory, (uint64_t)(uintptr_t)map + read++ * PAGE, &failed);
	assert_true(failed && memory_exhausted(memory));
	assert_in_range(read, 2, 1000);
	memory_begin(memory, getpid(), true, NULL, 0, 0, 0);
	assert_false(memory_exhausted(memory));
	munmap(map, (size_t)PAGES * PAGE);
	memory_free(memory);
}

/* A page that a userfaultfd of the child's never fills, and one that is there. */
static pid_t start_trapper(uint64_t *ret_trap, uint64_t *ret_good)
{
	int out[2];
	assert_int_equal(pipe(out), 0);
	pid_t pid = fork();
	if (pid) {
		uint64_t got[2] = {0};
		close(out[1]);
		assert_true(read(out[0], got, sizeof(got)) == sizeof(got));
		close(out[0]);
		*ret_trap = got[0];
		*ret_good = got[1];
		return pid;
	}
	uint8_t *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {
	        .range = {.start = (uintptr_t)map, .len = PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	uint64_t told[2] = {(uintptr_t)map, (uintptr_t)map + PAGE};
	memset(map + PAGE, 7, PAGE);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range))
		told[0] = 0;
	if (write(out[1], told, sizeof(told)) != sizeof(told))
		_exit(1);
	for (;;)
		pause();
}

/* A page behind userfaultfd costs one wait of some milliseconds; then its process is not read any more, and others
 * are. */
static void test_userfaultfd(void **state)
{
	uint64_t trap, good, value;
	pid_t pid = start_trapper(&trap, &good);
	if (!trap) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		skip_because("no userfaultfd here");
	}
	struct memory *memory = memory_new();
	memory_begin(memory, pid, true, NULL, 0, 0, 0);
	assert_int_equal(memory_read(memory, good, &value, 8), 0);
	assert_int_equal(value, 0x0707070707070707);
	uint64_t began = now_ms();
	assert_int_equal(memory_read(memory, trap, &value, 8), -ETIMEDOUT);
	assert_in_range(now_ms() - began, 0, 2000);
	began = now_ms();
	for (int i = 0; i < 100; i++) {
		memory_begin(memory, pid, true, NULL, 0, 0, 0);
		assert_int_equal(memory_read(memory, good, &value, 8), -ETIMEDOUT);
	}
	assert_in_range(now_ms() - began, 0, 500);
	static uint64_t mine = 42;
	memory_begin(memory, getpid(), true, NULL, 0, 0, 0);
	assert_int_equal(memory_read(memory, (uint64_t)(uintptr_t)&mine, &value, 8), 0);
	assert_int_equal(value, 42);
	/* Never touched: not there, but no trap. */
	uint8_t *fresh = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(memory_read(memory, (uint64_t)(uintptr_t)fresh, &value, 8), 0);
	assert_int_equal(value, 0);
	memory_free(memory); /* while a reader is still stuck */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(fresh, PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_copy_first),
	        cmocka_unit_test(test_holes),
	        cmocka_unit_test(test_bounds),
	        cmocka_unit_test(test_many),
	        cmocka_unit_test(test_budget),
	        cmocka_unit_test(test_userfaultfd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
