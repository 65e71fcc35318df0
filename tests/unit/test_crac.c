/* Texts of CheckpointException: every descriptor that a JDK names is found with what is told of it, once, and whatever
 * else is in the text is not. The texts are what JDKs printed (of public reports), in tests/fuzz/corpus/crac. */
#include "engine/proc/crac.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* last: it needs the ones above */
#include <cmocka.h>

static struct crac_list read_corpus(const char *name)
{
	struct crac_list list;
	struct err err = {0};
	char path[512];
	snprintf(path, sizeof(path), SOURCE_DIR "/tests/fuzz/corpus/crac/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	if (crac_read(&list, fd, name, &err) < 0)
		fail_msg("%s", err.message);
	close(fd);
	return list;
}

static struct crac_list parse(const char *text)
{
	struct crac_list list;
	assert_int_equal(crac_parse(&list, text, strlen(text), NULL), 0);
	return list;
}

static void expect(const struct crac_item *item, int fd, enum crac_kind kind, uint64_t inode, const char *path)
{
	assert_int_equal(item->fd, fd);
	assert_int_equal(item->kind, kind);
	assert_int_equal(item->inode, inode);
	if (path)
		assert_string_equal(item->path, path);
	else
		assert_null(item->path);
	assert_false(item->cut);
}

/* What the JVM says of each descriptor: number, type, path, inode. */
static void test_jvm(void **state)
{
	struct crac_list list = read_corpus("jvm.txt");
	assert_int_equal(list.n, 6);
	expect(&list.items[0], 7, CRAC_SOCKET, 19379, "socket:[19379]");
	assert_int_equal(list.items[0].line, 4);
	assert_int_equal(list.items[0].port, -1);
	assert_string_equal(list.items[0].exception, "CheckpointOpenSocketException");
	expect(&list.items[1], 8, CRAC_CHARACTER, 0, "/dev/dri/card1");
	expect(&list.items[2], 12, CRAC_EVENTFD, 0, "anon_inode:[eventfd]");
	expect(&list.items[3], 4, CRAC_SOCKET, 7504404, "socket:[7504404]");
	assert_int_equal(list.items[3].port, 29295);
	expect(&list.items[4], 22, CRAC_TIMERFD, 0, "anon_inode:[timerfd]");
	expect(&list.items[5], 5, CRAC_FILE, 0, "/var/lib/sss/mc/passwd");
	assert_false(list.items[5].by_java);
	crac_fini(&list);
}

static void expect_addresses(const struct crac_item *item, const char *local, const char *remote)
{
	assert_int_equal(item->kind, CRAC_SOCKET);
	assert_true(item->by_java);
	assert_string_equal(item->local ? item->local : "", local);
	assert_string_equal(item->remote ? item->remote : "", remote);
}

/* What Java's objects say of themselves: addresses, descriptors where they are told, the thread that made it. */
static void test_java(void **state)
{
	struct crac_list list = read_corpus("java.txt");
	assert_int_equal(list.n, 11);
	expect_addresses(&list.items[0], "*:37596", "172.18.0.3:5432");
	expect_addresses(&list.items[1], "172.18.0.4:36898", "172.18.0.3:9092");
	assert_string_equal(list.items[1].thread, "pool-2-thread-1");
	assert_int_equal(list.items[1].created, 1735916741916);
	assert_int_equal(list.items[2].kind, CRAC_SELECTOR);
	assert_non_null(strstr(list.items[2].what, "EPollSelectorImpl@7534785a"));
	assert_int_equal(list.items[3].kind, CRAC_SELECTOR);
	expect_addresses(&list.items[4], "[0:0:0:0:0:0:0:0]:8080", "");
	assert_int_equal(list.items[4].fd, 12);
	assert_int_equal(list.items[5].kind, CRAC_PIPE);
	assert_int_equal(list.items[5].fd, 5);
	assert_int_equal(list.items[5].fd2, 6);
	expect_addresses(&list.items[6], "0.0.0.0:8080", "");
	expect_addresses(&list.items[7], "[0:0:0:0:0:0:0:0]:8081", "");
	expect_addresses(&list.items[8], "[::]:8080", "");
	expect(&list.items[9], -1, CRAC_FILE, 0, "/home/user/someFile.txt");
	expect(&list.items[10], 9, CRAC_FILE, 0, "/home/app/log file.txt");
	assert_string_equal(list.items[10].type, "regular");
	crac_fini(&list);
}

/* The JVM's own list: what it allows is counted, and what the exception repeats is one item. */
static void test_jcmd(void **state)
{
	struct crac_list list = read_corpus("jcmd.txt");
	assert_int_equal(list.n, 3);
	assert_int_equal(list.allowed, 2);
	expect(&list.items[0], 14, CRAC_EVENTPOLL, 0, "anon_inode:[eventpoll]");
	assert_string_equal(list.items[0].exception, "CheckpointOpenResourceException");
	expect(&list.items[1], 15, CRAC_EVENTFD, 0, "anon_inode:[eventfd]");
	expect(&list.items[2], 16, CRAC_PIPE, 4711, "pipe:[4711]");
	crac_fini(&list);
}

/* Wrapped lines are put together; a line that was cut says so and claims no inode. */
static void test_wrapped(void **state)
{
	struct crac_list list = read_corpus("wrapped.txt");
	assert_int_equal(list.n, 3);
	expect(&list.items[0], 57, CRAC_FILE, 0, "/sys/fs/cgroup/cpu,cpuacct/user.slice/cpu.cfs_quota_us");
	assert_string_equal(list.items[0].exception, "CheckpointOpenFileException");
	expect_addresses(&list.items[1], "*:41464", "127.0.0.1:39957");
	assert_int_equal(list.items[2].fd, 9);
	assert_int_equal(list.items[2].inode, 0);
	assert_true(list.items[2].cut);
	crac_fini(&list);
}

/* The same descriptor with another inode is another socket (two attempts in one log); numbers that are none are not
 * taken for some. */
static void test_numbers(void **state)
{
	struct crac_list list = parse("FD fd=4 type=socket path=socket:[1]\nFD fd=4 type=socket path=socket:[2]\n"
	                              "FD fd=4 type=socket path=socket:[2]\r\n");
	assert_int_equal(list.n, 2);
	assert_int_equal(list.items[1].inode, 2);
	crac_fini(&list);
	list = parse("FD fd=99999999999 type=socket path=socket:[1]\nFD fd=x\nFD fd=6 type=socket "
	             "path=socket:[99999999999999999999999],port=70000");
	assert_int_equal(list.n, 1);
	assert_int_equal(list.items[0].fd, 6);
	assert_true(list.items[0].cut);
	assert_int_equal(list.items[0].inode, 0);
	crac_fini(&list);
}

static void expect_nothing(const char *text, size_t len, const char *message)
{
	struct crac_list list;
	struct err err = {0};
	assert_int_equal(crac_parse(&list, text, len, &err), -ENOENT);
	assert_string_equal(err.tag, "no-descriptors");
	assert_non_null(strstr(err.message, message));
	assert_true(err.hint[0]);
	crac_fini(&list);
}

/* A text without descriptors is an error that says so, whatever is in it. */
static void test_nothing(void **state)
{
	expect_nothing("", 0, "no descriptor lines in this text (0 lines)");
	expect_nothing("hello\0\n\xff", 8, "(2 lines)");
	static const char top[] = "org.crac.CheckpointException: null\n\tat org.crac.Core.checkpointRestore\n";
	expect_nothing(top, sizeof(top) - 1, "no descriptor lines");
	static const char allowed[] = "JVM: FD fd=0 type=character path=\"/dev/pts/0\" OK: claimed by java code\n";
	expect_nothing(allowed, sizeof(allowed) - 1, "objects to none");
}

/* However long a text or a name in it is: bounded, and what is left out is counted. */
static void test_bounds(void **state)
{
	enum { LINES = CRAC_MOST_ITEMS + 100, LINE = 64 };
	char *text = malloc((size_t)LINES * LINE), *at = text;
	for (int i = 0; i < LINES; i++)
		at += sprintf(at, "FD fd=%d type=socket path=socket:[%d]\n", i * 31, i + 1);
	struct crac_list list;
	assert_int_equal(crac_parse(&list, text, (size_t)(at - text), NULL), 0);
	assert_int_equal(list.n, CRAC_MOST_ITEMS);
	assert_int_equal(list.dropped, 100);
	crac_fini(&list);
	memcpy(text, "FD fd=1 type=regular path=/", 27);
	memset(text + 27, 'x', 100000);
	assert_int_equal(crac_parse(&list, text, 100027, NULL), 0);
	assert_int_equal(strlen(list.items[0].path), CRAC_MOST_STRING);
	crac_fini(&list);
	free(text);
}

/* Cut anywhere, and with any byte changed, a text is read without more being found than is there. */
static void test_cut(void **state)
{
	static const char whole[] =
	        "Suppressed: CheckpointOpenSocketException: FD fd=4 type=socket path=socket:[7504404],"
	        "port=29295\nCheckpointOpenSocketException: Socket[addr=a/1.2.3.4,port=5,localport=6]\n"
	        "JVM: FD fd=14 type=unknown path=\"anon_inode:[eventpoll]\" BAD: opened by application";
	for (size_t len = 0; len < sizeof(whole); len++) {
		struct crac_list list;
		char *copy = malloc(len + 1);
		memcpy(copy, whole, len);
		crac_parse(&list, copy, len, NULL);
		assert_true(list.n <= 3);
		for (size_t i = 0; i < list.n; i++)
			assert_true(!list.items[i].inode || list.items[i].inode == 7504404);
		crac_fini(&list);
		free(copy);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_jvm),
	        cmocka_unit_test(test_java),
	        cmocka_unit_test(test_jcmd),
	        cmocka_unit_test(test_wrapped),
	        cmocka_unit_test(test_numbers),
	        cmocka_unit_test(test_nothing),
	        cmocka_unit_test(test_bounds),
	        cmocka_unit_test(test_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
