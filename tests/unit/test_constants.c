/* The table of constants: in order, and with the values that the compiler gives the same names here. */
#include "engine/probe/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/socket.h> /* before what some versions of the next need of it */
#include <linux/vm_sockets.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cmocka.h>

/* A name looked up by binary search is found only if the table is in strict order. */
static void test_order(void **state)
{
	size_t n;
	const struct constant *table = constant_table(&n);
	assert_true(n > 5000);
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(table[i - 1].name, table[i].name) < 0);
	for (size_t i = 0; i < n; i++)
		assert_ptr_equal(constant_find(table[i].name), &table[i]);
}

/* Values are those of the headers, for macros and enumerators, negative, unsigned, and wider than an int. */
static void test_values(void **state)
{
#define ROW(name)                                                                                                      \
	{                                                                                                              \
#name, (int64_t)(name)                                                                                 \
	}
	static const struct {
		const char *name;
		int64_t value;
	} EXPECTED[] = {
	        ROW(AF_UNIX),
	        ROW(AF_INET6),
	        ROW(AF_VSOCK),
	        ROW(SOCK_STREAM),
	        ROW(SOCK_CLOEXEC),
	        ROW(IPPROTO_TCP),
	        ROW(IPPROTO_RAW),
	        ROW(O_CLOEXEC),
	        ROW(O_TMPFILE),
	        ROW(O_RDWR),
	        ROW(ENOENT),
	        ROW(EWOULDBLOCK),
	        ROW(ENOTSUP),
	        ROW(SIGKILL),
	        ROW(SIGCHLD),
	        ROW(PROT_EXEC),
	        ROW(MAP_ANONYMOUS),
	        ROW(MAP_FIXED_NOREPLACE),
	        ROW(MADV_DONTNEED),
	        ROW(CLONE_NEWNET),
	        ROW(CLONE_IO),
	        ROW(AT_FDCWD),
	        ROW(AT_EMPTY_PATH),
	        ROW(EPOLLET),
	        ROW(EPOLL_CTL_MOD),
	        ROW(IN_CLOSE_WRITE),
	        ROW(PTRACE_SEIZE),
	        ROW(PR_SET_NAME),
	        ROW(RLIMIT_MEMLOCK),
	        ROW(TCP_LISTEN),
	        ROW(TCP_NODELAY),
	        ROW(SO_PEERCRED),
	        ROW(SOL_SOCKET),
	        ROW(MSG_DONTWAIT),
	        ROW(FIONREAD),
	        ROW(TIOCGWINSZ),
	        ROW(BPF_MAP_TYPE_RINGBUF),
	        ROW(BPF_PROG_LOAD),
	        ROW(INT_MAX),
	        ROW(LLONG_MIN),
	        ROW(UINT_MAX),
	        ROW(SEEK_END),
	        ROW(F_DUPFD_CLOEXEC),
	        ROW(RLIM_INFINITY),
	        ROW(SYS_socketpair),
	        ROW(INADDR_LOOPBACK),
	        ROW(S_IFSOCK),
	        ROW(SCHED_IDLE),
	        ROW(SHUT_RDWR),
	};
	for (size_t i = 0; i < sizeof(EXPECTED) / sizeof(EXPECTED[0]); i++) {
		const struct constant *found = constant_find(EXPECTED[i].name);
		if (!found)
			fail_msg("%s is missing", EXPECTED[i].name);
		if (found->value != EXPECTED[i].value)
			fail_msg("%s is %lld, not %lld", found->name, (long long)found->value,
			        (long long)EXPECTED[i].value);
	}
}

/* Macros that are no integers (strings, function-like ones, types, floating point) are not in the table. */
static void test_not_constants(void **state)
{
	static const char *const NAMES[] = {"", "P_tmpdir", "CPU_SET", "S_ISREG", "SIG_DFL", "_GNU_SOURCE", "__NR_read",
	        "no_such_name", "AF_", "IN6ADDR_ANY_INIT"};
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		assert_null(constant_find(NAMES[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_order),
	        cmocka_unit_test(test_values),
	        cmocka_unit_test(test_not_constants),
	};
	return cmocka_run_group_tests_name("constants", tests, NULL, NULL);
}
