/* Every allocation failing in turn: declaring, checking, attaching, events, objects. The linker puts counters before the
 * allocator (--wrap), so that the n-th call of our own code fails, Lua's included; under the sanitizers nothing that is
 * used or left after it goes unseen. What fails is told as "out of memory", and the next try works.
 *
 * There are thousands of them. A spread is tried in an ordinary run; with RILLE_LONG set, all. */
#include "rille.h"
#include "tests/unit/skip.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* last: it needs the ones above */
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define CHECK_LEAKS() assert_int_equal(__lsan_do_recoverable_leak_check(), 0)
#else
#define CHECK_LEAKS() (void)0
#endif

/* --- the allocator --- */

static long calls, fail_at; /* 0 = none */

static bool fails(void)
{
	return ++calls == fail_at;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
int __real_vasprintf(char **ret, const char *fmt, va_list ap);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_vasprintf(char **ret, const char *fmt, va_list ap);
int __wrap_asprintf(char **ret, const char *fmt, ...);

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? no_memory() : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? no_memory() : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t n)
{
	return fails() ? no_memory() : __real_realloc(old, n);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? no_memory() : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return fails() ? no_memory() : __real_strndup(s, n);
}

/* Afterwards *ret is undefined, as it may be. */
int __wrap_vasprintf(char **ret, const char *fmt, va_list ap)
{
	if (!fails())
		return __real_vasprintf(ret, fmt, ap);
	*ret = (char *)1;
	errno = ENOMEM;
	return -1;
}

int __wrap_asprintf(char **ret, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = __wrap_vasprintf(ret, fmt, ap);
	va_end(ap);
	return n;
}

/* --- one round --- */

static char told[1024]; /* of the first call that failed */
static bool not_here;   /* … because this machine does not let us */
static char cache[] = "/tmp/rille-failing-XXXXXX";
static void *object;
static size_t object_len;

static const char script[] =
        "local seen = {}\n"
        "return { summary = 'a script', params = { { 'wanted', 'u32[]', default = { 250, 251 } }, { 'name', 'string' } "
        "},\n"
        "  probes = { { 'syscall:socket', where = 'protocol in $wanted && ($name == \"\" || comm ~ $name)', stack = "
        "'both',\n"
        "    fields = { { 'family', as = 'AF_' }, { 'kind', 'type & 0xf', as = 'SOCK_' }, 'parent = "
        "task->real_parent->pid',\n"
        "      'text = str(0)' },\n"
        "    count = { by = { 'comm', 'name = entry(str(0))' } }, lhist = { 'type', 0, 9, 3, by = { 'probe' } },\n"
        "    on_event = function(ev, out) seen[#seen + 1] = ev:copy(); out:emit(ev) end } },\n"
        "  on_start = function() rille.clear(1, 'lhist') end,\n"
        "  on_end = function(out)\n"
        "    for by, n in rille.pairs(1, 'count') do out:row { comm = by.comm, n = n } end\n"
        "    out:row { n = #seen, top = #rille.top({ a = 1 }, 1) } end }\n";
static const struct rille_field fields[] = {{.name = "family", .as = "AF_"}, {.name = "kind", .expr = "type & 0xf"}};
static const struct rille_probe probe = {.size = sizeof(probe),
        .on = "syscall:socket",
        .where = "protocol == 250",
        .fields = fields,
        .nfields = 2,
        .stack = "user"};

static int on_event(void *user, const rille_event *event)
{
	struct rille_stack stack = {.size = sizeof(stack)};
	const char *text;
	size_t len;
	rille_event_stack(event, RILLE_USER, &stack);
	rille_event_json(event, &text, &len);
	rille_event_show(event, 0, &text, &len);
	++*(int *)user;
	return 0;
}

static int keep_error(const rille *r, int e)
{
	const struct rille_error *error = rille_last_error(r);
	if (e < 0 && !told[0]) {
		snprintf(told, sizeof(told), "%s", error->formatted);
		not_here = error->error_class == RILLE_PERMISSION || error->error_class == RILLE_KERNEL ||
		           strcmp(error->tag, "no-compiler") == 0;
	}
	return e;
}

static int declare_script(rille *r)
{
	int e = rille_load_string(r, script, sizeof(script) - 1, "test");
	if (e == 0)
		e = rille_set_param(r, "wanted", "250,252");
	if (e == 0)
		e = rille_set(r, "fields", "family,text");
	return e == 0 ? rille_set(r, "filter", "pid != 1") : e;
}

static int declare_probe(rille *r)
{
	int e = rille_add_probe(r, &probe);
	return e < 0 ? e : 0;
}

static int declare_object(rille *r)
{
	return rille_load_object(r, object, object_len);
}

static int check(rille *r, int events)
{
	void *data;
	size_t len;
	int e = rille_check(r);
	if (e == 0)
		e = rille_emit(r, RILLE_EMIT_C, &data, &len);
	if (e == 0)
		free(data);
	return e;
}

static void make_sockets(int count)
{
	pid_t child = fork();
	if (child == 0) {
		for (int i = 0; i < count; i++)
			close(socket(AF_INET, SOCK_DGRAM, 250));
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static int attach(rille *r, int wanted)
{
	int seen = 0, out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int e = rille_add_output(r, "jsonl", NULL, out);
	if (e == 0)
		e = rille_add_output(r, "folded", NULL, out);
	if (e == 0)
		e = rille_on_event(r, on_event, &seen);
	if (e == 0)
		e = rille_attach(r);
	if (e == 0 && wanted)
		make_sockets(wanted);
	for (int i = 0; e == 0 && seen < wanted && i < 100; i++)
		e = rille_dispatch(r, 50, 0) < 0 ? rille_last_error(r)->code : 0;
	keep_error(r, e);
	int stopped = keep_error(r, rille_stop(r, NULL));
	close(out);
	return e ? e : stopped;
}

/* What is done, with which allocation failing; the result, and what was told. */
struct round {
	int (*declare)(rille *r);
	int (*act)(rille *r, int events);
	int events;
	bool cold; /* without what was found out before: types, formats */
};

static int play(const struct round *round, long n)
{
	const struct rille_options options = {.size = sizeof(options), .cache_dir = round->cold ? "" : cache};
	told[0] = '\0';
	calls = 0;
	fail_at = n;
	rille *r = rille_new(&options);
	int e = r ? round->declare(r) : -errno;
	if (e == 0)
		e = round->act(r, round->events);
	if (r)
		keep_error(r, e);
	else
		snprintf(told, sizeof(told), "no handle [out-of-memory]");
	rille_free(r);
	fail_at = 0;
	return e;
}

/* Either it was not needed, or it is told as what it is. */
static bool is_told(long n, int e)
{
	if (e == 0 || e == -ENOMEM)
		return true;
	print_error("# allocation %ld failed, and what is told is: %d, %s", n, e, told);
	return false;
}

static void run(const struct round *round, long spread)
{
	int e = play(round, 0);
	if (e < 0 && not_here)
		skip_because(told);
	if (e < 0)
		fail_msg("without any failure: %s", told);
	int wrong = 0;
	long all = calls, step = getenv("RILLE_LONG") && *getenv("RILLE_LONG") ? 1 : all / spread + 1, tried = 0;
	for (long n = 1; n <= all; n += step, tried++) {
		e = play(round, n);
		wrong += !is_told(n, e);
		if (tried % 50 == 0)
			CHECK_LEAKS();
	}
	CHECK_LEAKS();
	assert_int_equal(play(round, 0), 0);
	print_message("# %ld of %ld allocations\n", tried, all);
	assert_int_equal(wrong, 0);
}

static void test_declare_script(void **state)
{
	run(&(struct round){declare_script, check, 0}, 200);
}

static void test_cold(void **state)
{
	run(&(struct round){declare_script, check, 0, true}, 150);
}

static void test_declare_probe(void **state)
{
	run(&(struct round){declare_probe, check, 0}, 200);
}

static void test_attach_script(void **state)
{
	run(&(struct round){declare_script, attach, 3}, 20);
}

static void test_attach_probe(void **state)
{
	run(&(struct round){declare_probe, attach, 3}, 20);
}

static void test_attach_object(void **state)
{
	run(&(struct round){declare_object, attach, 1}, 15);
}

static int setup(void **state)
{
	if (!mkdtemp(cache))
		return -1;
	/* Once without failures: what is cached and what libraries keep for themselves. */
	play(&(struct round){declare_script, attach, 1}, 0);
	rille *r = rille_new(NULL);
	if (rille_add_probe(r, &probe) < 0 || rille_emit(r, RILLE_EMIT_OBJECT, &object, &object_len) < 0)
		object_len = 0;
	rille_free(r);
	return 0;
}

static int teardown(void **state)
{
	char command[128];
	free(object);
	snprintf(command, sizeof(command), "rm -r '%s'", cache);
	return system(command) ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_declare_script),
	        cmocka_unit_test(test_cold),
	        cmocka_unit_test(test_declare_probe),
	        cmocka_unit_test(test_attach_script),
	        cmocka_unit_test(test_attach_probe),
	        cmocka_unit_test(test_attach_object),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
