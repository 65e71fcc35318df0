/* rille_convert() from C: what it refuses, what it says, and that what comes out is the trace. */
#include "rille.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static const char meta[] =
        "{\"type\":\"meta\",\"schema\":1,\"version\":\"0\",\"time\":\"2026-11-24T20:33:37.000000000Z\","
        "\"probes\":[{\"name\":\"syscall:socket\",\"fields\":[{\"name\":\"fd\",\"kind\":\"int\"}]}]}\n";
static const char event[] =
        "{\"type\":\"event\",\"probe\":\"syscall:socket\",\"time\":\"2026-11-24T20:33:38.000000000Z\","
        "\"nsecs\":1,\"pid\":%d,\"tid\":1,\"ppid\":1,\"comm\":\"%s\",\"fd\":%d}\n";
static const char end[] = "{\"type\":\"end\",\"reason\":\"done\",\"seconds\":1,\"mappings_lost\":0,\"probes\":[]}\n";

/* The formats are literals. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static int trace_of(bool whole)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);
	dprintf(fd, "%s", meta);
	dprintf(fd, event, 10, "one", 3);
	dprintf(fd, event, 11, "two", 4);
	dprintf(fd, event, 10, "two", 5);
	if (whole)
		dprintf(fd, "%s", end);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

struct run {
	int warnings;
	char warning[256], text[1024];
	char tag[64];
};

static void keep_warning(void *user, int level, const char *message)
{
	struct run *run = user;
	if (level == RILLE_LOG_WARN && run->warnings++ == 0)
		snprintf(run->warning, sizeof(run->warning), "%s", message);
}

/* Converts into text; what came out is in run->text. */
static int convert(struct run *run, struct rille_conversion what)
{
	memset(run, 0, sizeof(*run));
	struct rille_options options = {.size = sizeof(options),
	        .cache_dir = "",
	        .log = keep_warning,
	        .log_user = run,
	        .log_level = RILLE_LOG_WARN};
	rille *r = rille_new(&options);
	int out = memfd_create("out", MFD_CLOEXEC);
	assert_non_null(r);
	what.size = sizeof(what);
	assert_int_equal(rille_set(r, "timestamp", "none"), 0);
	assert_int_equal(rille_add_output(r, "text", NULL, out), 0);
	int result = rille_convert(r, &what);
	snprintf(run->tag, sizeof(run->tag), "%s", rille_last_error(r)->tag);
	assert_int_equal(rille_convert(r, &what), -EBUSY); /* once */
	assert_true(rille_attach(r) < 0);
	rille_free(r);
	assert_true(pread(out, run->text, sizeof(run->text) - 1, 0) >= 0);
	close(out);
	close(what.fd);
	return result;
}

static void test_whole(void **state)
{
	struct run run;
	assert_int_equal(convert(&run, (struct rille_conversion){.fd = trace_of(true)}), 0);
	assert_string_equal(
	        run.text, "syscall:socket one 10/1 fd=3\nsyscall:socket two 11/1 fd=4\nsyscall:socket two 10/1 fd=5\n");
	assert_int_equal(run.warnings, 0);
}

static void test_chosen(void **state)
{
	static const uint32_t pids[] = {9, 10};
	struct run run;
	assert_int_equal(convert(&run, (struct rille_conversion){.fd = trace_of(true), .pids = pids, .npids = 2}), 0);
	assert_string_equal(run.text, "syscall:socket one 10/1 fd=3\nsyscall:socket two 10/1 fd=5\n");
	struct rille_conversion both = {.fd = trace_of(true), .pids = pids, .npids = 2, .comm = "two"};
	assert_int_equal(convert(&run, both), 0);
	assert_string_equal(run.text, "syscall:socket two 10/1 fd=5\n");
}

static void test_cut_off(void **state)
{
	struct run run;
	assert_int_equal(
	        convert(&run, (struct rille_conversion){.fd = trace_of(false), .name = "cut.jsonl"}), -EBADMSG);
	assert_string_equal(run.tag, "incomplete-trace");
	assert_int_equal(run.warnings, 1);
	assert_non_null(strstr(run.warning, "cut.jsonl:4: "));
	assert_non_null(strstr(run.text, "fd=5\n"));
}

static void test_no_trace(void **state)
{
	struct run run;
	int fd = memfd_create("empty", MFD_CLOEXEC);
	assert_int_equal(convert(&run, (struct rille_conversion){.fd = fd}), -EPROTO);
	assert_string_equal(run.tag, "not-a-trace");
	assert_int_equal(convert(&run, (struct rille_conversion){.fd = -1}), -EBADF);
	assert_string_equal(run.tag, "cannot-read");
	assert_string_equal(run.text, "");
}

static void test_wrong_arguments(void **state)
{
	const struct rille_options options = {.size = sizeof(options), .cache_dir = ""};
	struct {
		struct rille_conversion known;
		char newer[8];
	} what = {.known = {.size = sizeof(what)}, .newer = "x"};
	rille *r = rille_new(&options);
	assert_non_null(r);
	assert_int_equal(rille_convert(NULL, NULL), -EINVAL);
	assert_int_equal(rille_convert(r, NULL), -EINVAL);
	assert_string_equal(rille_last_error(r)->tag, "null-argument");
	assert_int_equal(rille_convert(r, &what.known), -EINVAL);
	assert_string_equal(rille_last_error(r)->tag, "bad-argument");
	rille_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_whole),
	        cmocka_unit_test(test_chosen),
	        cmocka_unit_test(test_cut_off),
	        cmocka_unit_test(test_no_trace),
	        cmocka_unit_test(test_wrong_arguments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
