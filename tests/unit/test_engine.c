/* The library from a host's side, on the real kernel: a handle in a host's own loop, woken from elsewhere, two handles at
 * once, and a program that the verifier refuses told at the script's line. Needs root; skips with the reason if not. */
#include "engine/probe/compile.h"
#include "engine/run/kernel.h"
#include "rille.h"
#include "tests/unit/skip.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* last: it needs the ones above */
#include <cmocka.h>

static const char probe[] = "{ 'syscall:socket', where = 'type == SOCK_DGRAM && protocol == 17', fields = { 'type' } }";

/* NULL, or why nothing can be traced here. */
static const char *open_handle(rille **ret)
{
	static char reason[512];
	const struct rille_options options = {.size = sizeof(options), .cache_dir = ""};
	rille *r = rille_new(&options);
	assert_non_null(r);
	assert_int_equal(rille_load_table(r, probe, "test"), 0);
	int e = rille_attach(r);
	const struct rille_error *error = rille_last_error(r);
	snprintf(reason, sizeof(reason), "%s", error->message);
	bool not_here = error->error_class == RILLE_PERMISSION || error->error_class == RILLE_KERNEL ||
	                strcmp(error->tag, "no-compiler") == 0;
	if (e == 0) {
		*ret = r;
		return NULL;
	}
	rille_free(r);
	if (!not_here)
		fail_msg("%s", reason);
	return reason;
}

/* Forked, because the tracer does not trace itself. */
static void make_sockets(int count)
{
	pid_t child = fork();
	if (child == 0) {
		for (int i = 0; i < count; i++)
			close(socket(AF_INET, SOCK_DGRAM, 17));
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int count_events(rille *r, int wanted)
{
	int n = 0;
	double end = seconds() + 5;
	while (n < wanted && seconds() < end) {
		struct pollfd fd = {.fd = rille_fd(r), .events = POLLIN};
		poll(&fd, 1, 100);
		int got = rille_dispatch(r, 0, 0);
		assert_true(got >= 0);
		n += got;
	}
	return n;
}

/* In a host's loop the descriptor says when there is something to do; nothing is printed, and max_events is kept. */
static void test_own_loop(void **state)
{
	rille *r;
	const char *reason = open_handle(&r);
	if (reason)
		skip_because(reason);
	make_sockets(100);
	int n = 0;
	double end = seconds() + 5;
	while (n < 100 && seconds() < end) {
		int got = rille_dispatch(r, 100, 7);
		assert_in_range(got, 0, 7);
		n += got;
	}
	assert_int_equal(n, 100);
	struct rille_totals totals = {.size = sizeof(totals)};
	assert_int_equal(rille_probe_stats(r, 0, &totals), 0);
	assert_int_equal(totals.sent, 100);
	assert_int_equal(totals.lost_ring, 0);
	assert_int_equal(rille_stop(r, NULL), 0);
	assert_int_equal(rille_dispatch(r, 0, 0), -EINVAL);
	rille_free(r);
}

static void *wake_later(void *r)
{
	usleep(100000);
	rille_wake(r);
	return NULL;
}

/* rille_dispatch(-1) sleeps until something happens; rille_wake() from another thread is something. */
static void test_wake_from_thread(void **state)
{
	rille *r;
	pthread_t thread;
	const char *reason = open_handle(&r);
	if (reason)
		skip_because(reason);
	while (rille_dispatch(r, 0, 0) > 0)
		;
	double began = seconds();
	assert_int_equal(pthread_create(&thread, NULL, wake_later, r), 0);
	int woken = 0;
	while (seconds() - began < 0.1)
		assert_int_equal(rille_dispatch(r, -1, 0), 0), woken++;
	assert_true(seconds() - began < 0.5);
	assert_in_range(woken, 1, 3);
	pthread_join(thread, NULL);
	rille_free(r);
}

static rille *signalled;

static void on_alarm(int number)
{
	rille_wake(signalled);
}

/* … and from a signal handler. */
static void test_wake_from_handler(void **state)
{
	const char *reason = open_handle(&signalled);
	if (reason)
		skip_because(reason);
	while (rille_dispatch(signalled, 0, 0) > 0)
		;
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART}, before;
	sigaction(SIGALRM, &action, &before);
	double began = seconds();
	ualarm(100000, 0);
	while (seconds() - began < 0.1)
		assert_int_equal(rille_dispatch(signalled, -1, 0), 0);
	assert_true(seconds() - began < 0.5);
	sigaction(SIGALRM, &before, NULL);
	rille_free(signalled);
}

/* Two handles in one process do not know of each other. */
static void test_two_handles(void **state)
{
	rille *first, *second;
	const char *reason = open_handle(&first);
	if (reason)
		skip_because(reason);
	assert_null(open_handle(&second));
	make_sockets(50);
	assert_int_equal(count_events(first, 50), 50);
	rille_free(first);
	make_sockets(50);
	assert_int_equal(count_events(second, 100), 100);
	rille_free(second);
}

/* Options of a newer version of the library are refused, not ignored; an older, shorter struct is fine. */
static void test_options(void **state)
{
	struct {
		struct rille_options known;
		uint64_t unknown;
	} options = {.known.size = sizeof(options), .unknown = 1};
	assert_null(rille_new(&options.known));
	options.unknown = 0;
	rille *r = rille_new(&options.known);
	assert_non_null(r);
	rille_free(r);
	options.known.size = offsetof(struct rille_options, unsafe);
	options.known.reserved[0] = 1; /* beyond the size: not read */
	r = rille_new(&options.known);
	assert_non_null(r);
	rille_free(r);
}

static const char refused[] = "static void *(*const map_lookup)(void *, const void *) = (void *)1;\n"
                              "struct { int (*type)[27]; int (*max_entries)[4096]; }\n"
                              "\trille_ring __attribute__((section(\".maps\"), used));\n"
                              "char LICENSE[] __attribute__((section(\"license\"), used)) = \"Dual MIT/GPL\";\n"
                              "#line 3 \"wrong.lua\"\n"
                              "__attribute__((section(\"raw_tp/sys_exit\"), used)) int rille_sys_exit(long *ctx)\n"
                              "{ long *regs = (long *)ctx[0];\n"
                              "  return *regs; }\n";

/* The compiler's line information leads from the refused instruction back to the script. */
static void test_verifier_names_the_line(void **state)
{
	struct compiler *compiler;
	struct compiler_options compiler_options = {0};
	struct err err = {0};
	void *object;
	size_t len;
	if (compiler_start(&compiler, &compiler_options, &err) < 0)
		skip_because(err.message);
	if (compiler_run(compiler, refused, strlen(refused), COMPILE_OBJECT, &object, &len, &err) < 0)
		fail_msg("%s", err.message);
	compiler_free(compiler);
	struct spec spec = {.name = (char *)"wrong.lua",
	        .source = (char *)"return {\n  probes = {\n    one,\n    two,\n    three,\n}"};
	struct gen_result plan = {0};
	struct kernel *kernel = NULL;
	struct kernel_options options = {.spec = &spec, .plan = &plan, .uid = -1};
	int r = kernel_load(&kernel, object, len, &options, &err);
	free(object);
	assert_true(r < 0);
	if (err.class == ERR_PERMISSION || strcmp(err.tag, "no-bpf") == 0)
		skip_because(err.message);
	assert_string_equal(err.tag, "verifier-rejected");
	assert_int_equal(err.line, 5);
	assert_string_equal(err.source, "    three,");
	assert_non_null(strstr(err.message, "invalid mem access"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_own_loop),
	        cmocka_unit_test(test_wake_from_thread),
	        cmocka_unit_test(test_wake_from_handler),
	        cmocka_unit_test(test_two_handles),
	        cmocka_unit_test(test_options),
	        cmocka_unit_test(test_verifier_names_the_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
