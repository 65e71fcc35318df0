/* rille.h from C: probes without Lua, events by callback, and what happens to those who misuse it. Runs under the
 * sanitizers too, which see what a wrong answer hides. What needs the kernel skips with the reason where it may not be used. */
#include "engine/api/handle.h" /* that no Lua is there; everything else through rille.h */
#include "rille.h"
#include "tests/unit/skip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* last: it needs the ones above */
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* Of these options, for our own children: other tests make the same sockets at the same time. */
static rille *new_handle_with(const struct rille_options *options)
{
	char filter[32];
	rille *r = rille_new(options);
	assert_non_null(r);
	snprintf(filter, sizeof(filter), "ppid == %d", (int)getpid());
	assert_int_equal(rille_set(r, "filter", filter), 0);
	return r;
}

static rille *new_handle(void)
{
	const struct rille_options options = {.size = sizeof(options), .cache_dir = ""};
	return new_handle_with(&options);
}

/* The call failed with this code and tag. */
static void assert_error(const rille *r, int got, int code, const char *tag)
{
	const struct rille_error *error = rille_last_error(r);
	assert_int_equal(got, code);
	assert_string_equal(error->tag, tag);
	assert_int_equal(error->code, code);
	assert_true(error->message[0]);
	assert_non_null(strstr(error->formatted, tag));
}

/* What every event of these tests is about: a socket of a protocol that nobody else asks for. */
static const struct rille_field socket_fields[] = {{.name = "family", .as = "AF_"},
        {.name = "kind", .expr = "type & 0xf", .as = "SOCK_"}, {.name = "minus = -1"},
        {.name = "large = 0xffffffffffffffff"}, {.name = "nothing = str(0)"}, {.name = "comm_text = str(1)"}};
#define SOCKETS(number)                                                                                                \
	{                                                                                                              \
		.size = sizeof(struct rille_probe), .on = "syscall:socket", .where = "protocol == " #number,           \
		.fields = socket_fields, .nfields = COUNT(socket_fields)                                               \
	}

/* NULL, or why nothing can be traced here. */
static const char *attach(rille *r)
{
	static char reason[512];
	int e = rille_attach(r);
	const struct rille_error *error = rille_last_error(r);
	if (e == 0)
		return NULL;
	snprintf(reason, sizeof(reason), "%s", error->message);
	if (error->error_class != RILLE_PERMISSION && error->error_class != RILLE_KERNEL &&
	        strcmp(error->tag, "no-compiler") != 0)
		fail_msg("%s", error->formatted);
	rille_free(r);
	return reason;
}

/* Forked, because the tracer does not trace itself. The calls fail, which is an event like any other. */
static void make_sockets(int protocol, int count)
{
	pid_t child = fork();
	if (child == 0) {
		for (int i = 0; i < count; i++)
			close(socket(AF_INET, SOCK_DGRAM, protocol));
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

/* Dispatches until the sum is reached; the result of the last call. */
static int dispatch(rille *r, int wanted)
{
	int n = 0, got = 0;
	for (double end = seconds() + 20; n < wanted && got >= 0 && seconds() < end; n += got > 0 ? got : 0)
		got = rille_dispatch(r, 100, 0);
	return got < 0 ? got : n;
}

/* --- declared from C --- */

/* Strings are judged as a script's are: the message says which string of which probe, and where in it. */
static void test_places(void **state)
{
	struct rille_field wrong = {.name = "addr", .expr = "sockaddr(umyaddr,\n  adrlen)"};
	struct rille_field brief = {.name = " addr = sockaddr(umyaddr, adrlen)"};
	const struct {
		struct rille_probe probe;
		const char *file, *tag;
		uint32_t line, col;
	} cases[] = {
	        {{.on = "syscall:bind", .where = "ret == 0 && fb > 1"}, "probe 2 where", "unknown-field", 1, 13},
	        {{.on = "syscall:bind", .fields = &wrong, .nfields = 1}, "probe 2 field addr", "unknown-field", 2, 3},
	        {{.on = "syscall:bind", .fields = &brief, .nfields = 1}, "probe 2 field addr", "unknown-field", 1, 27},
	        {{.on = "syscall:bint"}, "probe 2", "unknown-probe", 1, 1},
	        {{.on = "syscall:bind", .where = "(ret"}, "probe 2 where", "syntax", 1, 5},
	        {{.on = "syscall:bind", .optional = 1, .where = "fb > 1"}, "probe 2 where", "unknown-field", 1, 1},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct rille_probe fine = SOCKETS(250), probe = cases[i].probe;
		rille *r = new_handle();
		probe.size = sizeof(probe);
		assert_int_equal(rille_add_probe(r, &fine), 0);
		assert_int_equal(rille_add_probe(r, &probe), 1);
		int e = rille_check(r);
		assert_error(r, e, e, cases[i].tag);
		assert_true(e < 0);
		const struct rille_error *error = rille_last_error(r);
		assert_string_equal(error->file, cases[i].file);
		assert_int_equal(error->line, cases[i].line);
		assert_int_equal(error->col, cases[i].col);
		assert_null(r->script); /* no Lua */
		rille_free(r);
	}
}

/* An error says which stage of the work failed; in attaching, which phase. */
static void test_stages(void **state)
{
	static const char broken[] = "return { probes = {";
	struct rille_probe unknown = {.size = sizeof(unknown), .on = "syscall:bind", .where = "fb == 1"},
	                   fine = SOCKETS(251);
	const struct rille_options no_compiler = {
	        .size = sizeof(no_compiler), .cache_dir = "", .compiler = "/nonexistent/rille-cc"};
	rille *r = new_handle();
	assert_string_equal(rille_last_error(r)->stage, "");
	assert_true(rille_load_string(r, broken, strlen(broken), "broken") < 0);
	assert_string_equal(rille_last_error(r)->stage, "declare");
	assert_true(rille_set(r, "no-such", "1") < 0);
	assert_string_equal(rille_last_error(r)->stage, "set");
	assert_int_equal(rille_add_probe(r, &unknown), 0);
	assert_true(rille_check(r) < 0);
	assert_string_equal(rille_last_error(r)->stage, "check");
	assert_true(rille_attach(r) < 0);
	assert_string_equal(rille_last_error(r)->stage, "generate");
	rille_free(r);
	r = new_handle_with(&no_compiler);
	assert_int_equal(rille_add_probe(r, &fine), 0);
	assert_true(rille_attach(r) < 0);
	if (rille_last_error(r)->error_class != RILLE_PERMISSION)
		assert_string_equal(rille_last_error(r)->stage, "prepare"); /* where it would be started */
	rille_free(r);
}

/* What a struct can get wrong by itself is refused at once and leaves the handle as it was. */
static void test_refused_probes(void **state)
{
	struct rille_field no_name = {.expr = "fd"}, reserved = {.name = "pid"}, number = {.name = "1st", .expr = "fd"},
	                   both[] = {{.name = "fd"}, {.name = "fd"}}, newer = {.name = "fd", .reserved = ""};
	struct rille_field many[65];
	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = (struct rille_field){.name = "fd"};
	const struct {
		struct rille_probe probe;
		const char *tag;
	} cases[] = {
	        {{.on = NULL}, "null-argument"},
	        {{.on = "syscall:bind", .nfields = 1}, "null-argument"},
	        {{.on = "syscall:bind", .fields = &no_name, .nfields = 1}, "null-argument"},
	        {{.on = "syscall:bind", .fields = &newer, .nfields = 1}, "bad-argument"},
	        {{.on = "syscall:bind", .fields = &reserved, .nfields = 1}, "reserved-name"},
	        {{.on = "syscall:bind", .fields = &number, .nfields = 1}, "bad-field"},
	        {{.on = "syscall:bind", .fields = both, .nfields = 2}, "duplicate-field"},
	        {{.on = "syscall:bind", .fields = many, .nfields = COUNT(many)}, "too-many"},
	        {{.on = "syscall:bind", .stack = "usr"}, "bad-value"},
	        {{.on = "syscall:bind", .max_bytes = 1 << 20}, "bad-value"},
	        {{.on = "syscall:bind", .at = "enter"}, "bad-value"},
	        {{.on = "tracepoint:sched:sched_switch", .at = "entry"}, "bad-value"},
	        {{.on = "syscall:bind", .optional = 2}, "bad-argument"},
	        {{.on = "syscall:bind", .reserved = {0, 1}}, "bad-argument"},
	};
	rille *r = new_handle();
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct rille_probe probe = cases[i].probe;
		probe.size = sizeof(probe);
		assert_error(r, rille_add_probe(r, &probe), -EINVAL, cases[i].tag);
	}
	assert_error(r, rille_check(r), -EINVAL, "wrong-state"); /* there is nothing yet */
	struct rille_probe fine = SOCKETS(250);
	assert_int_equal(rille_add_probe(r, &fine), 0);
	assert_int_equal(rille_check(r), 0);
	assert_int_equal(rille_probe_count(r), 1);
	rille_free(r);
}

/* A struct of a newer version is taken if what it has more is zero; an older one is read as far as it goes. */
static void test_sizes(void **state)
{
	struct {
		struct rille_probe known;
		uint64_t unknown;
	} newer = {.known = SOCKETS(250), .unknown = 1};
	rille *r = new_handle();
	newer.known.size = sizeof(newer);
	assert_error(r, rille_add_probe(r, &newer.known), -EINVAL, "bad-argument");
	newer.unknown = 0;
	assert_int_equal(rille_add_probe(r, &newer.known), 0);
	newer.known.size = offsetof(struct rille_probe, stack);
	newer.known.stack = (const char *)1; /* beyond the size: not read */
	assert_int_equal(rille_add_probe(r, &newer.known), 1);
	newer.known.size = 0;
	assert_error(r, rille_add_probe(r, &newer.known), -EINVAL, "bad-argument");
	assert_int_equal(rille_check(r), 0);

	struct {
		struct rille_field_info known;
		uint64_t unknown;
	} info = {.known.size = sizeof(info), .unknown = 7};
	assert_int_equal(rille_probe_field(r, 0, 0, &info.known), 0);
	assert_string_equal(info.known.name, "family");
	assert_int_equal(info.known.kind, RILLE_INT);
	assert_int_equal(info.known.bits, 32);
	assert_int_equal(info.unknown, 0); /* what this version does not know */
	info.known = (struct rille_field_info){.size = offsetof(struct rille_field_info, kind), .kind = 99};
	assert_int_equal(rille_probe_field(r, 0, 1, &info.known), 0);
	assert_string_equal(info.known.name, "kind");
	assert_int_equal(info.known.kind, 99); /* beyond the size: not written */
	info.known.size = 3;
	assert_error(r, rille_probe_field(r, 0, 0, &info.known), -EINVAL, "bad-argument");
	assert_error(r, rille_probe_field(r, 0, 6, &info.known), -ENOENT, "out-of-range");
	assert_error(r, rille_probe_field(r, 2, 0, &info.known), -ENOENT, "out-of-range");
	rille_free(r);

	struct rille_options options = {.size = 4};
	errno = 0;
	assert_null(rille_new(&options));
	assert_int_equal(errno, EINVAL);
}

#define SAME(type, size) _Static_assert(sizeof(struct type) == (size), #type)
#define AT(type, member, offset) _Static_assert(offsetof(struct type, member) == (offset), #type "." #member)
/* What was compiled against an older library must go on working: these numbers never change; structs only grow. */
SAME(rille_options, 72);
AT(rille_options, log, 8);
AT(rille_options, cache_dir, 32);
AT(rille_options, ring_bytes, 56);
AT(rille_options, unsafe, 64);
AT(rille_options, strict, 65);
SAME(rille_error, 56);
AT(rille_error, tag, 8);
AT(rille_error, line, 24);
AT(rille_error, formatted, 40);
AT(rille_error, stage, 48);
SAME(rille_field, 32);
SAME(rille_probe, 72);
AT(rille_probe, fields, 24);
AT(rille_probe, stack, 40);
AT(rille_probe, depth, 48);
AT(rille_probe, at, 56);
AT(rille_probe, optional, 64);
SAME(rille_head, 88);
AT(rille_head, number, 32);
AT(rille_head, pid, 56);
AT(rille_head, comm, 68);
SAME(rille_frame, 128);
AT(rille_frame, kind, 16);
AT(rille_frame, name, 40);
AT(rille_frame, line, 80);
AT(rille_frame, inlined, 84);
SAME(rille_stack, 40);
AT(rille_stack, nframes, 16);
AT(rille_stack, end, 24);
SAME(rille_origin, 56);
AT(rille_origin, crac, 32);
AT(rille_origin, by, 48);
SAME(rille_field_info, 32);
AT(rille_field_info, kind, 16);
SAME(rille_totals, 360);
AT(rille_totals, seen, 16);
AT(rille_totals, callback_errors, 80);
AT(rille_totals, unresolved_why, 96);
AT(rille_totals, lost_full, 352);
SAME(rille_param, 32);
SAME(rille_phase, 16);
SAME(rille_item, 24);
SAME(rille_argument, 32);
SAME(rille_finding, 24);

/* --- events --- */

struct seen {
	rille *r;
	int events;
	int result; /* what the callback returns */
	rille *other;
	const rille_event *kept[300];
	const struct rille_frame *frames;
	char json[4096];
	void (*look)(struct seen *seen, const rille_event *event);
};

static int on_event(void *user, const rille_event *event)
{
	struct seen *seen = user;
	if ((size_t)seen->events < COUNT(seen->kept))
		seen->kept[seen->events] = event;
	seen->events++;
	if (seen->look)
		seen->look(seen, event);
	return seen->result;
}

/* An attached handle with these probes and on_event(). NULL, or why not. */
static const char *open_probes(struct seen *seen, const struct rille_probe *probes, size_t n)
{
	seen->r = new_handle();
	for (size_t i = 0; i < n; i++)
		assert_int_equal(rille_add_probe(seen->r, &probes[i]), (int)i);
	assert_int_equal(rille_on_event(seen->r, on_event, seen), 0);
	return attach(seen->r);
}

static void look_at_values(struct seen *seen, const rille_event *event)
{
	struct rille_head head = {.size = sizeof(head)};
	int64_t i = 7;
	uint64_t u = 7;
	const void *bytes;
	const char *text;
	size_t len;
	char room[128];
	assert_int_equal(rille_event_head(event, &head), 0);
	assert_int_equal(head.probe, 0);
	assert_int_equal(head.declared, 0);
	assert_string_equal(head.probe_name, "syscall:socket");
	assert_int_equal(head.number, seen->events);
	assert_int_equal(head.ppid, getpid());
	assert_int_equal(head.pid, head.tid);
	assert_true(head.time > 1600000000000000000 && head.nsecs > 0);
	assert_string_equal(head.comm, "test_api");

	assert_int_equal(rille_event_field(event, "family"), 0);
	assert_int_equal(rille_event_field(event, "comm_text"), 5);
	assert_error(seen->r, rille_event_field(event, "famly"), -ENOENT, "unknown-field");
	assert_non_null(strstr(rille_last_error(seen->r)->formatted, "did you mean 'family'"));

	assert_int_equal(rille_event_i64(event, 0, &i), 0);
	assert_int_equal(i, AF_INET);
	assert_int_equal(rille_event_u64(event, 1, &u), 0);
	assert_int_equal(u, SOCK_DGRAM);
	assert_int_equal(rille_event_i64(event, 2, &i), 0);
	assert_int_equal(i, -1);
	assert_error(seen->r, rille_event_u64(event, 2, &u), -ERANGE, "out-of-range");
	assert_int_equal(rille_event_u64(event, 3, &u), 0);
	assert_true(u == UINT64_MAX);
	assert_error(seen->r, rille_event_i64(event, 3, &i), -ERANGE, "out-of-range");
	assert_int_equal(i, -1); /* as it was */

	/* No value is no error. */
	assert_int_equal(rille_event_bytes(event, 4, &bytes, &len), -ENODATA);
	assert_int_equal(rille_event_show(event, 4, &text, &len), 0);
	assert_string_equal(text, "-");
	assert_int_equal(rille_event_show(event, 0, &text, NULL), 0);
	assert_string_equal(text, "AF_INET");
	assert_int_equal(rille_event_show(event, 1, &text, &len), 0);
	assert_string_equal(text, "SOCK_DGRAM");
	assert_int_equal(len, strlen(text));

	/* What a field is not, and fields that are not. */
	assert_error(seen->r, rille_event_bytes(event, 0, &bytes, &len), -EINVAL, "wrong-type");
	assert_error(seen->r, rille_event_i64(event, 4, &i), -EINVAL, "wrong-type");
	assert_error(seen->r, rille_event_array(event, 0, &i, 1, NULL), -EINVAL, "wrong-type");
	assert_error(seen->r, rille_event_sockaddr(event, 0, room, sizeof(room)), -EINVAL, "wrong-type");
	assert_error(seen->r, rille_event_i64(event, 6, &i), -ERANGE, "out-of-range");
	assert_error(seen->r, rille_event_i64(event, -1, &i), -ERANGE, "out-of-range");
	assert_error(seen->r, rille_event_show(event, INT32_MAX, &text, NULL), -ERANGE, "out-of-range");

	/* Without a place to put it. */
	assert_error(seen->r, rille_event_i64(event, 0, NULL), -EINVAL, "null-argument");
	assert_error(seen->r, rille_event_u64(event, 0, NULL), -EINVAL, "null-argument");
	assert_error(seen->r, rille_event_bytes(event, 4, NULL, &len), -EINVAL, "null-argument");
	assert_error(seen->r, rille_event_bytes(event, 4, &bytes, NULL), -EINVAL, "null-argument");
	assert_error(seen->r, rille_event_show(event, 0, NULL, NULL), -EINVAL, "null-argument");
	assert_error(seen->r, rille_event_json(event, NULL, &len), -EINVAL, "null-argument");
	assert_error(seen->r, rille_event_json(event, &text, NULL), -EINVAL, "null-argument");
	assert_error(seen->r, rille_event_head(event, NULL), -EINVAL, "null-argument");
	assert_error(seen->r, rille_event_field(event, NULL), -EINVAL, "null-argument");
	head.size = 1;
	assert_error(seen->r, rille_event_head(event, &head), -EINVAL, "bad-argument");

	/* No stack was asked for. */
	struct rille_stack stack = {.size = sizeof(stack)};
	assert_int_equal(rille_event_stack(event, RILLE_USER, &stack), -ENODATA);
	assert_int_equal(rille_event_stack(event, RILLE_KERNEL_SIDE, &stack), -ENODATA);
	assert_error(seen->r, rille_event_stack(event, 3, &stack), -EINVAL, "bad-argument");
}

/* Each field comes back as what it is, and as nothing else; no Lua state exists for it. */
static void test_values(void **state)
{
	struct seen seen = {.look = look_at_values};
	const struct rille_probe probe = SOCKETS(250);
	const char *reason = open_probes(&seen, &probe, 1);
	if (reason)
		skip_because(reason);
	assert_null(seen.r->script);
	make_sockets(250, 2);
	assert_int_equal(dispatch(seen.r, 2), 2);
	assert_int_equal(seen.events, 2);
	rille_free(seen.r);
}

static struct sockaddr_in bound;

static void look_at_arrays(struct seen *seen, const rille_event *event)
{
	struct rille_head head = {.size = sizeof(head)};
	struct sockaddr_storage address;
	int64_t numbers[4] = {9, 9, 9, 9};
	uint64_t has = 0;
	const void *bytes;
	const char *text;
	size_t len;
	assert_int_equal(rille_event_head(event, &head), 0);
	if (head.declared == 1) {
		/* The one descriptor is open, the other cannot be. */
		assert_int_equal(rille_event_array(event, 1, numbers, 4, &has), 2);
		assert_int_equal(has, 1);
		assert_true(numbers[0] > 0 && numbers[1] == 0 && numbers[2] == 9);
		assert_int_equal(rille_event_array(event, 0, NULL, 0, NULL), 2);
		assert_int_equal(rille_event_array(event, 0, numbers, 1, NULL), 2);
		assert_error(seen->r, rille_event_array(event, 0, NULL, 1, NULL), -EINVAL, "null-argument");
		assert_error(seen->r, rille_event_i64(event, 0, numbers), -EINVAL, "wrong-type");
		return;
	}
	memset(&address, 0xff, sizeof(address));
	assert_int_equal(rille_event_sockaddr(event, 0, &address, sizeof(address)), sizeof(bound));
	assert_memory_equal(&address, &bound, sizeof(bound));
	for (size_t i = sizeof(bound); i < sizeof(address); i++)
		assert_int_equal(((const char *)&address)[i], 0);
	memset(&address, 0, sizeof(address));
	assert_int_equal(
	        rille_event_sockaddr(event, 0, &address, 4), sizeof(bound)); /* no more than there is room for */
	assert_int_equal(((struct sockaddr_in *)&address)->sin_addr.s_addr, 0);
	assert_int_equal(rille_event_bytes(event, 0, &bytes, &len), 0);
	assert_int_equal(len, sizeof(bound));
	assert_memory_equal(bytes, &bound, sizeof(bound));
	assert_int_equal(rille_event_show(event, 0, &text, NULL), 0);
	assert_string_equal(text, "127.1.2.3:0");
}

/* What is told of a stack is what a script is told; a script's own entries count with its handle, and nothing known is no
 * error. */
static void test_origins(void **state)
{
	static const char text[] =
	        "table.insert(rille.origins, 1, { name = 'mine', about = 'a', match = { 'my_*' } })\n"
	        "return { probes = { { 'syscall:bind' } } }";
	const struct rille_frame resolver[] = {{.kind = "native", .name = "send_dg", .module = "/usr/lib/libc.so.6"},
	        {.kind = "java", .name = "com.example.Main.main"}},
	                         mine = {.kind = "native", .name = "my_call", .module = "/opt/prog"};
	struct rille_origin origin = {.size = sizeof(origin)};
	rille *handles[] = {new_handle(), new_handle()};
	assert_int_equal(rille_load_string(handles[1], text, strlen(text), "mine"), 0);
	for (int i = 0; i < 2; i++) {
		rille *r = handles[i];
		assert_int_equal(rille_origin(r, resolver, 2, NULL, &origin), 0);
		assert_string_equal(origin.name, "glibc-resolver");
		assert_non_null(origin.about);
		assert_non_null(origin.advice);
		assert_null(origin.crac);
		assert_int_equal(origin.frame, 0);
		assert_int_equal(origin.by, 1);
		assert_int_equal(rille_origin(r, &mine, 1, NULL, &origin), i ? 0 : -ENODATA);
		assert_string_equal(origin.name, i ? "mine" : "glibc-resolver");
		assert_int_equal(rille_origin(r, NULL, 0, NULL, &origin), -ENODATA);
		assert_int_equal(rille_origin(r, &resolver[1], 1, NULL, &origin), -ENODATA);
		assert_int_equal(rille_last_error(r)->code, 0);
		assert_error(r, rille_origin(r, NULL, 1, NULL, &origin), -EINVAL, "null-argument");
		assert_error(r, rille_origin(r, resolver, 2, NULL, NULL), -EINVAL, "null-argument");
	}
	assert_int_equal(rille_origin(NULL, resolver, 2, NULL, &origin), -EINVAL);
	rille_free(handles[0]);
	rille_free(handles[1]);
}

static void look_at_moment(struct seen *seen, const rille_event *event)
{
	struct rille_head head = {.size = sizeof(head)};
	assert_int_equal(rille_event_head(event, &head), 0);
	assert_int_equal(head.declared, seen->events == 1 ? 0 : 2); /* the call begins, then returns */
	assert_int_equal(rille_event_field(event, "ret"), seen->events == 1 ? -ENOENT : 0);
}

/* A probe fires when its call begins or when it returns; one that the kernel does not have is left out if it may be. */
static void test_moments(void **state)
{
	const struct rille_field family = {.name = "family"}, ret = {.name = "ret"};
	struct rille_probe entry = SOCKETS(250), exit = SOCKETS(250),
	                   absent = {.size = sizeof(absent), .on = "syscall:no_such_call"};
	entry.fields = &family;
	exit.fields = &ret;
	entry.nfields = exit.nfields = 1;
	entry.at = "entry";
	exit.at = "exit";
	absent.optional = 1;
	const struct rille_probe probes[] = {entry, absent, exit};
	struct seen seen = {.look = look_at_moment};
	const char *reason = open_probes(&seen, probes, 3);
	if (reason)
		skip_because(reason);
	assert_int_equal(rille_probe_count(seen.r), 2);
	make_sockets(250, 1);
	assert_int_equal(dispatch(seen.r, 2), 2);
	assert_int_equal(seen.events, 2);
	rille_free(seen.r);
}

/* Arrays whose elements can be missing one by one, and socket addresses as bytes, struct and text. */
static void test_arrays_and_addresses(void **state)
{
	const struct rille_field address = {.name = "addr", .expr = "sockaddr(umyaddr, addrlen)"};
	const struct rille_field pair[] = {{.name = "fds = s32(buf, 2)"}, {.name = "inodes", .expr = "fd_inode(fds)"}};
	const struct rille_probe probes[] = {
	        {.size = sizeof(*probes),
	                .on = "syscall:bind",
	                .where = "comm == \"binder\"",
	                .fields = &address,
	                .nfields = 1},
	        {.size = sizeof(*probes),
	                .on = "syscall:write",
	                .where = "comm == \"binder\" && count == 8",
	                .fields = pair,
	                .nfields = 2},
	};
	struct seen seen = {.look = look_at_arrays};
	bound = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010203)};
	const char *reason = open_probes(&seen, probes, 2);
	if (reason)
		skip_because(reason);
	pid_t child = fork();
	if (child == 0) {
		FILE *comm = fopen("/proc/self/comm", "w");
		fputs("binder", comm);
		fclose(comm);
		bind(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&bound, sizeof(bound));
		const int fds[] = {open("/dev/null", O_WRONLY), -1};
		(void)!write(fds[0], fds, sizeof(fds));
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(dispatch(seen.r, 2), 2);
	assert_int_equal(seen.events, 2);
	rille_free(seen.r);
}

static void keep_json(struct seen *seen, const rille_event *event)
{
	const char *line;
	size_t len;
	assert_int_equal(rille_event_json(event, &line, &len), 0);
	assert_int_equal(strlen(line), len);
	assert_null(strchr(line, '\n'));
	size_t used = strlen(seen->json);
	snprintf(seen->json + used, sizeof(seen->json) - used, "%.*s\n", (int)len, line);
}

/* rille_event_json() is the line that the output `jsonl` has in its file, byte for byte. */
static void test_json(void **state)
{
	char path[] = "/tmp/rille-test-XXXXXX", line[4096], lines[sizeof(((struct seen *)0)->json)] = "";
	struct rille_probe probe = SOCKETS(250);
	probe.stack = "both";
	struct seen seen = {.r = new_handle(), .look = keep_json};
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(rille_add_probe(seen.r, &probe), 0);
	assert_int_equal(rille_add_output(seen.r, "jsonl", NULL, fd), 0);
	assert_int_equal(rille_set(seen.r, "addresses", "yes"), 0);
	assert_int_equal(rille_on_event(seen.r, on_event, &seen), 0);
	const char *reason = attach(seen.r);
	if (!reason) {
		make_sockets(250, 1);
		assert_int_equal(dispatch(seen.r, 1), 1);
		assert_int_equal(rille_stop(seen.r, NULL), 0);
		rille_free(seen.r);
	}
	FILE *file = fopen(path, "r");
	while (fgets(line, sizeof(line), file))
		if (strstr(line, "\"type\":\"event\""))
			strncat(lines, line, sizeof(lines) - strlen(lines) - 1);
	fclose(file);
	close(fd);
	unlink(path);
	if (reason)
		skip_because(reason);
	assert_int_equal(seen.events, 1);
	assert_string_equal(seen.json, lines);
}

static void keep_frames(struct seen *seen, const rille_event *event)
{
	struct rille_stack stack = {.size = sizeof(stack)}, again = {.size = sizeof(again)};
	assert_int_equal(rille_event_stack(event, RILLE_USER, &stack), 0);
	assert_true(stack.nframes >= 3);
	assert_int_equal(rille_event_stack(event, RILLE_USER, &again), 0);
	assert_ptr_equal(again.frames, stack.frames);
	assert_string_equal(stack.end, "root");
	assert_true(stack.site != 0);
	assert_string_equal(stack.frames[0].kind, "native");
	assert_string_equal(stack.frames[0].name, "socket");
	bool found = false;
	for (size_t i = 0; i < stack.nframes; i++)
		found |= stack.frames[i].name && strcmp(stack.frames[i].name, "make_sockets_and_wait") == 0;
	assert_true(found);
	seen->frames = stack.frames;
}

/* The stack of a process that waits, so that it can be read. */
static __attribute__((noinline)) int make_sockets_and_wait(int fd)
{
	char byte;
	close(socket(AF_INET, SOCK_DGRAM, 250));
	return (int)read(fd, &byte, 1);
}

/* An event that was kept is noticed, in a later callback as well; kept frames say that they are old. Nothing crashes. */
static void use_kept(struct seen *seen, const rille_event *event)
{
	int64_t value;
	const rille_event *old = seen->kept[0];
	if (seen->events < 2 || seen->events > 250) /* the objects come round again */
		return;
	assert_ptr_not_equal(old, event);
	assert_error(seen->r, rille_event_i64(old, 0, &value), -ESTALE, "stale-event");
}

static void assert_stale(const rille *r, const rille_event *event)
{
	struct rille_head head = {.size = sizeof(head)};
	struct rille_stack stack = {.size = sizeof(stack)};
	const char *text;
	const void *bytes;
	size_t len;
	int64_t i;
	uint64_t u;
	assert_error(r, rille_event_head(event, &head), -ESTALE, "stale-event");
	assert_error(r, rille_event_field(event, "family"), -ESTALE, "stale-event");
	assert_error(r, rille_event_i64(event, 0, &i), -ESTALE, "stale-event");
	assert_error(r, rille_event_u64(event, 0, &u), -ESTALE, "stale-event");
	assert_error(r, rille_event_bytes(event, 0, &bytes, &len), -ESTALE, "stale-event");
	assert_error(r, rille_event_array(event, 0, &i, 1, &u), -ESTALE, "stale-event");
	assert_error(r, rille_event_sockaddr(event, 0, &i, sizeof(i)), -ESTALE, "stale-event");
	assert_error(r, rille_event_show(event, 0, &text, &len), -ESTALE, "stale-event");
	assert_error(r, rille_event_json(event, &text, &len), -ESTALE, "stale-event");
	assert_error(r, rille_event_stack(event, RILLE_USER, &stack), -ESTALE, "stale-event");
}

static void test_stale(void **state)
{
	struct seen seen = {.look = use_kept};
	const struct rille_probe probe = SOCKETS(250);
	const char *reason = open_probes(&seen, &probe, 1);
	if (reason)
		skip_because(reason);
	make_sockets(250, 300);
	assert_int_equal(dispatch(seen.r, 300), 300);
	for (int i = 0; i < 300; i++)
		assert_stale(seen.r, seen.kept[i]);
	assert_int_equal(rille_stop(seen.r, NULL), 0);
	assert_stale(seen.r, seen.kept[299]);
	rille_free(seen.r);
}

static void test_stale_frames(void **state)
{
	int go[2];
	struct seen seen = {.look = keep_frames};
	struct rille_probe probe = SOCKETS(250);
	probe.stack = "user";
	const char *reason = open_probes(&seen, &probe, 1);
	if (reason)
		skip_because(reason);
	assert_int_equal(pipe(go), 0);
	pid_t child = fork();
	if (child == 0) {
		close(go[1]);
		_exit(make_sockets_and_wait(go[0]));
	}
	assert_int_equal(dispatch(seen.r, 1), 1);
	close(go[1]);
	close(go[0]);
	waitpid(child, NULL, 0);
	assert_int_equal(seen.events, 1);
	assert_string_equal(seen.frames[0].kind, "stale");
	assert_null(seen.frames[0].name);
	rille_free(seen.r);
}

static void look_at_own_child(struct seen *seen, const rille_event *event)
{
	struct rille_stack stack = {.size = sizeof(stack)};
	assert_int_equal(rille_event_stack(event, RILLE_USER, &stack), 0);
	assert_string_equal(stack.end, "root");
	assert_string_equal(stack.frames[0].name, "socket");
}

/* A child that the host forked and that has gone when its event is looked at: its memory was the host's. */
static void test_own_child(void **state)
{
	struct seen seen = {.look = look_at_own_child};
	struct rille_probe probe = SOCKETS(250);
	probe.stack = "user";
	const char *reason = open_probes(&seen, &probe, 1);
	if (reason)
		skip_because(reason);
	make_sockets(250, 1);
	assert_int_equal(dispatch(seen.r, 1), 1);
	assert_int_equal(seen.events, 1);
	rille_free(seen.r);
}

/* A callback ends the trace, or reports an error, which is counted, told, and ends it only under `strict`. */
static int warnings;

static void count_warnings(void *user, int level, const char *message)
{
	warnings += level == RILLE_LOG_WARN && strstr(message, "callback failed") != NULL;
}

static void test_results(void **state)
{
	const struct rille_probe probe = SOCKETS(250);
	struct seen seen = {.result = RILLE_END};
	const char *reason = open_probes(&seen, &probe, 1);
	if (reason)
		skip_because(reason);
	make_sockets(250, 5);
	assert_int_equal(dispatch(seen.r, 5), -ESHUTDOWN);
	assert_int_equal(seen.events, 1);
	assert_string_equal(rille_over_reason(seen.r), "callback");
	rille_free(seen.r);

	for (int strict = 0; strict <= 1; strict++) {
		struct rille_options options = {.size = sizeof(options), .cache_dir = "", .strict = (uint8_t)strict};
		options.log = count_warnings;
		options.log_level = RILLE_LOG_WARN;
		struct rille_totals totals = {.size = sizeof(totals)};
		warnings = 0;
		seen = (struct seen){.r = new_handle_with(&options), .result = -EBADMSG};
		assert_int_equal(rille_add_probe(seen.r, &probe), 0);
		assert_int_equal(rille_on_event(seen.r, on_event, &seen), 0);
		assert_int_equal(rille_attach(seen.r), 0);
		make_sockets(250, 5);
		int got = dispatch(seen.r, 5);
		if (strict)
			assert_error(seen.r, got, -EBADMSG, "callback-failed");
		else
			assert_int_equal(got, 5);
		assert_int_equal(rille_probe_stats(seen.r, 0, &totals), 0);
		assert_int_equal(totals.callback_errors, strict ? 1 : 5);
		assert_int_equal(warnings, strict ? 0 : 3);
		rille_on_event(seen.r, NULL, NULL);
		rille_free(seen.r);
	}
}

/* Beside a script: the callback comes after the script's, for every event, whatever the script does with it. */
static void look_after_script(struct seen *seen, const rille_event *event)
{
	int64_t minus;
	assert_int_equal(rille_event_i64(event, rille_event_field(event, "minus"), &minus), 0);
	assert_int_equal(minus, -1);
}

static void test_beside_script(void **state)
{
	static const char script[] =
	        "local n = 0\n"
	        "return { probes = { { 'syscall:socket', where = 'protocol == 250', fields = { 'minus = -1' },\n"
	        "  on_event = function(ev, out) n = n + 1; if n == 2 then error('second') end end } } }\n";
	struct rille_options options = {.size = sizeof(options), .cache_dir = "", .log = count_warnings};
	struct seen seen = {.r = new_handle_with(&options), .look = look_after_script};
	assert_int_equal(rille_load_string(seen.r, script, sizeof(script) - 1, "test"), 0);
	assert_int_equal(rille_on_event(seen.r, on_event, &seen), 0);
	const char *reason = attach(seen.r);
	if (reason)
		skip_because(reason);
	make_sockets(250, 3);
	assert_int_equal(dispatch(seen.r, 3), 3);
	assert_int_equal(seen.events, 3);
	struct rille_totals totals = {.size = sizeof(totals)};
	assert_int_equal(rille_probe_stats(seen.r, 0, &totals), 0);
	assert_int_equal(totals.callback_errors, 1); /* the script's */
	rille_free(seen.r);
}

/* Two engines with different probes see their own events only. */
static void test_two(void **state)
{
	const struct rille_probe probes[] = {SOCKETS(250), SOCKETS(251)};
	struct seen first = {0}, second = {0};
	const char *reason = open_probes(&first, &probes[0], 1);
	if (reason)
		skip_because(reason);
	assert_null(open_probes(&second, &probes[1], 1));
	make_sockets(250, 3);
	make_sockets(251, 5);
	assert_int_equal(dispatch(second.r, 5), 5);
	assert_int_equal(dispatch(first.r, 3), 3);
	assert_int_equal(first.events, 3);
	assert_int_equal(second.events, 5);
	rille_free(first.r);
	make_sockets(250, 1);
	make_sockets(251, 1);
	assert_int_equal(dispatch(second.r, 1), 1);
	assert_int_equal(second.events, 6);
	rille_free(second.r);
}

/* --- misuse --- */

/* The same error in any state but before attaching. */
static void assert_too_late(rille *r)
{
	const struct rille_probe probe = SOCKETS(250);
	void *data;
	size_t len;
	assert_error(r, rille_add_probe(r, &probe), -EBUSY, "wrong-state");
	assert_error(r, rille_load_recipe(r, "bind"), -EBUSY, "wrong-state");
	assert_error(r, rille_load_string(r, "x", 1, "x"), -EBUSY, "wrong-state");
	assert_error(r, rille_load_table(r, "x", "x"), -EBUSY, "wrong-state");
	assert_error(r, rille_load_file(r, "/dev/null"), -EBUSY, "wrong-state");
	assert_error(r, rille_load_object(r, "x", 1), -EBUSY, "wrong-state");
	assert_error(r, rille_set(r, "limit", "1"), -EBUSY, "wrong-state");
	assert_error(r, rille_set_param(r, "x", "1"), -EBUSY, "wrong-state");
	assert_error(r, rille_target_comm(r, "x"), -EBUSY, "wrong-state");
	assert_error(r, rille_target_uid(r, 1), -EBUSY, "wrong-state");
	assert_error(r, rille_add_output(r, "text", NULL, 1), -EBUSY, "wrong-state");
	assert_error(r, rille_check(r), -EBUSY, "wrong-state");
	assert_error(r, rille_emit(r, RILLE_EMIT_C, &data, &len), -EBUSY, "wrong-state");
	assert_error(r, rille_attach(r), -EBUSY, "wrong-state");
}

static void test_order(void **state)
{
	struct rille_totals totals = {.size = sizeof(totals)};
	const struct rille_probe probe = SOCKETS(250);
	void *data;
	size_t len;
	rille *r = new_handle();
	/* With nothing to trace. */
	assert_error(r, rille_attach(r), -EINVAL, "wrong-state");
	assert_error(r, rille_check(r), -EINVAL, "wrong-state");
	assert_error(r, rille_emit(r, RILLE_EMIT_C, &data, &len), -EINVAL, "wrong-state");
	assert_error(r, rille_dispatch(r, 0, 0), -EINVAL, "wrong-state");
	assert_error(r, rille_probe_stats(r, 0, &totals), -ENOENT, "out-of-range");
	assert_true(rille_fd(r) < 0);
	assert_int_equal(rille_stop(r, NULL), 0); /* what is not running is stopped */
	rille_wake(r);
	/* A script and probes do not mix, in either order. */
	assert_int_equal(rille_add_probe(r, &probe), 0);
	assert_error(r, rille_load_recipe(r, "bind"), -EBUSY, "wrong-state");
	assert_error(r, rille_set_param(r, "x", "1"), -EINVAL, "wrong-state");
	rille *scripted = new_handle();
	assert_int_equal(rille_load_recipe(scripted, "bind"), 0);
	assert_error(scripted, rille_load_recipe(scripted, "bind"), -EBUSY, "wrong-state");
	assert_error(scripted, rille_add_probe(scripted, &probe), -EBUSY, "wrong-state");
	rille_free(scripted);
	assert_error(r, rille_dispatch(r, 0, 0), -EINVAL, "wrong-state");

	struct seen seen = {.r = r};
	assert_int_equal(rille_on_event(r, on_event, &seen), 0);
	const char *reason = attach(r);
	if (reason)
		skip_because(reason);
	assert_too_late(r);
	make_sockets(250, 1);
	assert_int_equal(dispatch(r, 1), 1); /* none of it did harm */
	assert_int_equal(rille_stop(r, NULL), 0);
	assert_int_equal(rille_stop(r, NULL), 0);
	assert_too_late(r);
	assert_error(r, rille_target_pid(r, getpid()), -EBUSY, "wrong-state");
	assert_error(r, rille_dispatch(r, 0, 0), -EINVAL, "wrong-state");
	assert_error(r, rille_on_event(r, on_event, &seen), -EBUSY, "wrong-state");
	assert_int_equal(rille_probe_stats(r, 0, &totals), 0);
	assert_int_equal(totals.sent, 1);
	rille_wake(r);
	rille_free(r);
}

static int no_item(void *user, const struct rille_item *item)
{
	return 1;
}

static void test_null(void **state)
{
	rille *r = new_handle();
	struct rille_totals totals = {.size = sizeof(totals)};
	void *data;
	size_t len;
	int64_t i;
	assert_error(r, rille_load_recipe(r, NULL), -EINVAL, "null-argument");
	assert_error(r, rille_load_file(r, NULL), -EINVAL, "null-argument");
	assert_error(r, rille_load_string(r, NULL, 0, "x"), -EINVAL, "null-argument");
	assert_error(r, rille_load_table(r, NULL, "x"), -EINVAL, "null-argument");
	assert_error(r, rille_load_object(r, NULL, 5), -EINVAL, "null-argument");
	assert_error(r, rille_add_probe(r, NULL), -EINVAL, "null-argument");
	assert_error(r, rille_set(r, NULL, "1"), -EINVAL, "null-argument");
	assert_error(r, rille_set(r, "limit", NULL), -EINVAL, "null-argument");
	assert_error(r, rille_set_param(r, NULL, "1"), -EINVAL, "null-argument");
	assert_error(r, rille_target_comm(r, NULL), -EINVAL, "null-argument");
	assert_error(r, rille_emit(r, RILLE_EMIT_C, NULL, &len), -EINVAL, "null-argument");
	assert_error(r, rille_emit(r, RILLE_EMIT_C, &data, NULL), -EINVAL, "null-argument");
	assert_error(r, rille_list_recipes(r, NULL, NULL), -EINVAL, "null-argument");
	assert_error(r, rille_list_probes(r, "*", NULL, NULL), -EINVAL, "null-argument");
	assert_error(r, rille_list_arguments(r, NULL, NULL, NULL), -EINVAL, "null-argument");
	assert_error(r, rille_doctor(r, NULL, NULL), -EINVAL, "null-argument");
	assert_int_equal(rille_param(r, 0, NULL), -EINVAL);
	assert_int_equal(rille_phases(r, NULL, 0), 0);
	assert_int_equal(rille_on_event(r, NULL, NULL), 0); /* there is none */
	rille_free(r);

	/* No handle at all. */
	const struct rille_probe probe = SOCKETS(250);
	assert_error(NULL, rille_add_probe(NULL, &probe), -EINVAL, "null-argument");
	assert_int_equal(rille_load_recipe(NULL, "bind"), -EINVAL);
	assert_int_equal(rille_load_file(NULL, "x"), -EINVAL);
	assert_int_equal(rille_load_string(NULL, "x", 1, "x"), -EINVAL);
	assert_int_equal(rille_load_table(NULL, "x", "x"), -EINVAL);
	assert_int_equal(rille_load_object(NULL, "x", 1), -EINVAL);
	assert_int_equal(rille_set(NULL, "limit", "1"), -EINVAL);
	assert_int_equal(rille_set_param(NULL, "x", "1"), -EINVAL);
	assert_int_equal(rille_target_pid(NULL, 1), -EINVAL);
	assert_int_equal(rille_target_comm(NULL, "x"), -EINVAL);
	assert_int_equal(rille_target_uid(NULL, 1), -EINVAL);
	assert_int_equal(rille_add_output(NULL, NULL, NULL, 1), -EINVAL);
	assert_int_equal(rille_check(NULL), -EINVAL);
	assert_int_equal(rille_emit(NULL, 0, &data, &len), -EINVAL);
	assert_int_equal(rille_attach(NULL), -EINVAL);
	assert_int_equal(rille_dispatch(NULL, 0, 0), -EINVAL);
	assert_int_equal(rille_stop(NULL, NULL), -EINVAL);
	assert_int_equal(rille_fd(NULL), -EINVAL);
	assert_int_equal(rille_on_event(NULL, on_event, NULL), -EINVAL);
	assert_int_equal(rille_probe_stats(NULL, 0, &totals), -EINVAL);
	assert_int_equal(rille_param(NULL, 0, NULL), -EINVAL);
	assert_int_equal(rille_list_recipes(NULL, no_item, NULL), -EINVAL);
	assert_int_equal(rille_list_probes(NULL, "*", no_item, NULL), -EINVAL);
	assert_int_equal(rille_doctor(NULL, NULL, NULL), -EINVAL);
	assert_int_equal(rille_event_i64(NULL, 0, &i), -EINVAL);
	assert_int_equal(rille_event_head(NULL, NULL), -EINVAL);
	assert_int_equal(rille_event_field(NULL, "x"), -EINVAL);
	assert_int_equal(rille_probe_count(NULL), 0);
	assert_int_equal(rille_param_count(NULL), 0);
	assert_int_equal(rille_phases(NULL, NULL, 0), 0);
	assert_null(rille_over_reason(NULL));
	assert_string_equal(rille_summary(NULL), "");
	assert_string_equal(rille_mechanisms(NULL), "");
	rille_wake(NULL);
	rille_free(NULL);
}

/* Inside a callback the ground is not pulled from under it. */
static void misuse_inside(struct seen *seen, const rille_event *event)
{
	int64_t family;
	assert_error(seen->r, rille_dispatch(seen->r, 0, 0), -EBUSY, "in-callback");
	assert_error(seen->r, rille_stop(seen->r, NULL), -EBUSY, "in-callback");
	assert_error(seen->r, rille_attach(seen->r), -EBUSY, "in-callback");
	rille_free(seen->r);
	assert_error(seen->r, rille_last_error(seen->r)->code, -EBUSY, "in-callback");
	rille_wake(seen->r);
	assert_int_equal(rille_event_i64(event, 0, &family), 0); /* the event is still there */
	assert_int_equal(family, AF_INET);
	/* Another handle is none of this one's business. */
	assert_int_equal(rille_stop(seen->other, NULL), 0);
	rille_free(seen->other);
	seen->other = new_handle();
}

static void test_inside(void **state)
{
	const struct rille_probe probe = SOCKETS(250);
	struct seen seen = {.look = misuse_inside, .other = new_handle()};
	const char *reason = open_probes(&seen, &probe, 1);
	if (reason) {
		rille_free(seen.other);
		skip_because(reason);
	}
	make_sockets(250, 2);
	assert_int_equal(dispatch(seen.r, 2), 2);
	assert_int_equal(seen.events, 2);
	rille_free(seen.r);
	rille_free(seen.other);
}

static int misuse_in_list(void *user, const struct rille_item *item)
{
	rille *r = user;
	rille_free(r);
	assert_error(r, rille_last_error(r)->code, -EBUSY, "in-callback");
	assert_error(r, rille_attach(r), -EBUSY, "in-callback");
	return 1;
}

static void misuse_in_log(void *user, int level, const char *message)
{
	rille **r = user;
	assert_error(*r, rille_stop(*r, NULL), -EBUSY, "in-callback");
	rille_free(*r);
	warnings++;
}

/* Nor inside the other callbacks that a host can have. */
static void test_inside_others(void **state)
{
	rille *r;
	struct rille_options options = {
	        .size = sizeof(options), .log = misuse_in_log, .log_user = &r, .log_level = RILLE_LOG_DEBUG};
	options.cache_dir = "/dev/null"; /* which is no place for a cache: a warning */
	warnings = 0;
	r = rille_new(&options);
	assert_non_null(r);
	assert_int_equal(rille_list_probes(r, "syscall:*", misuse_in_list, r), 1);
	assert_int_equal(rille_list_recipes(r, misuse_in_list, r), 1);
	assert_true(warnings > 0);
	rille_free(r);
}

/* A child of the host may free the handle, use it wrongly or ignore it; the parent goes on as if nothing had happened. */
static int child_of_host(rille *r, int way)
{
	enum { PAGES = 1000 };
	volatile char *pages[PAGES];
	if (way == 0)
		return 0;
	/* Not all of the parent's memory is here. What took its place must not go with the handle. */
	for (int i = 0; way == 3 && i < PAGES; i++)
		pages[i] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (way == 2) {
		rille_wake(r);
		int stopped = rille_stop(r, NULL);
		bool told = strcmp(rille_last_error(r)->tag, "forked") == 0;
		if (stopped != -ECHILD || !told || rille_dispatch(r, 0, 0) != -ECHILD ||
		        rille_target_pid(r, 1) != -ECHILD)
			return 1;
	}
	rille_free(r);
	for (int i = 0; way == 3 && i < PAGES; i++)
		*pages[i] = 1;
	return 0;
}

static void test_fork(void **state)
{
	struct rille_probe probe = SOCKETS(250);
	struct seen seen = {0};
	probe.stack = "user";
	const char *reason = open_probes(&seen, &probe, 1);
	if (reason)
		skip_because(reason);
	int events = 0;
	for (int way = 0; way < 4; way++) {
		int status;
		make_sockets(250, 2); /* in the ring while the child is there */
		pid_t child = fork();
		if (child == 0)
			_exit(child_of_host(seen.r, way));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		make_sockets(250, 2);
		events += 4;
		assert_true(dispatch(seen.r, 4) >= 0);
		while (seen.events < events)
			assert_true(rille_dispatch(seen.r, 1000, 0) >= 0);
	}
	struct rille_totals totals = {.size = sizeof(totals)};
	assert_int_equal(rille_stop(seen.r, NULL), 0);
	assert_int_equal(rille_probe_stats(seen.r, 0, &totals), 0);
	assert_int_equal(totals.sent, events);
	assert_int_equal(seen.events, events);
	rille_free(seen.r);
}

/* --- objects made elsewhere --- */

static void emit_object(const char *script, void **ret, size_t *ret_len)
{
	const struct rille_probe probe = SOCKETS(250);
	rille *r = new_handle();
	if (script)
		assert_int_equal(rille_load_string(r, script, strlen(script), "made.lua"), 0);
	else
		assert_int_equal(rille_add_probe(r, &probe), 0);
	int e = rille_emit(r, RILLE_EMIT_OBJECT, ret, ret_len);
	char reason[512];
	snprintf(reason, sizeof(reason), "%s", rille_last_error(r)->formatted);
	bool no_compiler = strcmp(rille_last_error(r)->tag, "no-compiler") == 0;
	rille_free(r);
	if (e < 0 && no_compiler)
		skip_because(reason);
	if (e < 0)
		fail_msg("%s", reason);
}

static rille *without_compiler(void)
{
	const struct rille_options options = {.size = sizeof(options), .cache_dir = "", .compiler = "/nonexistent"};
	return rille_new(&options);
}

/* An object with probes and one with a script, callbacks and parameters included, are loaded where no compiler is. */
static void test_object(void **state)
{
	static const char script[] = "return { params = { { 'number', 'u32', default = 250 } }, probes = {\n"
	                             " { 'syscall:socket', where = 'protocol == $number', fields = { 'minus = -1' },\n"
	                             "   on_event = function(ev, out) out:stop('from the script') end } } }\n";
	void *object;
	size_t len;
	emit_object(NULL, &object, &len);
	struct seen seen = {.r = without_compiler(), .look = look_at_values};
	assert_int_equal(rille_load_object(seen.r, object, len), 0);
	free(object);
	assert_null(seen.r->script);
	assert_int_equal(rille_on_event(seen.r, on_event, &seen), 0);
	const char *reason = attach(seen.r);
	if (reason)
		skip_because(reason);
	make_sockets(250, 2);
	assert_int_equal(dispatch(seen.r, 2), 2);
	assert_int_equal(seen.events, 2);
	rille_free(seen.r);

	emit_object(script, &object, &len);
	seen = (struct seen){.r = without_compiler()};
	assert_int_equal(rille_load_object(seen.r, object, len), 0);
	free(object);
	assert_int_equal(rille_set_param(seen.r, "number", "251"), 0);
	assert_int_equal(rille_on_event(seen.r, on_event, &seen), 0);
	assert_int_equal(rille_attach(seen.r), 0);
	make_sockets(250, 1);
	make_sockets(251, 1);
	assert_int_equal(dispatch(seen.r, 2), -ESHUTDOWN);
	assert_string_equal(rille_over_reason(seen.r), "from the script");
	assert_int_equal(seen.events, 1);
	rille_free(seen.r);
}

/* Each changed byte, and each length, is refused; so is an object that another program would come of. */
static void test_bad_object(void **state)
{
	void *object;
	size_t len;
	emit_object(NULL, &object, &len);
	unsigned char *copy = malloc(len);
	for (size_t i = 0; i < len; i += i < 64 ? 1 : 61) {
		memcpy(copy, object, len);
		copy[i] ^= 0x41;
		rille *r = without_compiler();
		int e = rille_load_object(r, copy, len);
		assert_error(r, e, -EINVAL, "bad-object");
		e = rille_load_object(r, object, i);
		assert_error(r, e, -EINVAL, "bad-object");
		rille_free(r);
	}
	rille *r = without_compiler();
	assert_int_equal(rille_load_object(r, object, len), 0);
	assert_error(r, rille_load_object(r, object, len), -EBUSY, "wrong-state");
	assert_int_equal(rille_set(r, "filter", "family == 2"), 0);
	assert_error(r, rille_attach(r), -EINVAL, "object-mismatch");
	rille_free(r);
	free(copy);
	free(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_places),
	        cmocka_unit_test(test_stages),
	        cmocka_unit_test(test_refused_probes),
	        cmocka_unit_test(test_sizes),
	        cmocka_unit_test(test_values),
	        cmocka_unit_test(test_origins),
	        cmocka_unit_test(test_moments),
	        cmocka_unit_test(test_arrays_and_addresses),
	        cmocka_unit_test(test_json),
	        cmocka_unit_test(test_stale),
	        cmocka_unit_test(test_stale_frames),
	        cmocka_unit_test(test_own_child),
	        cmocka_unit_test(test_results),
	        cmocka_unit_test(test_beside_script),
	        cmocka_unit_test(test_two),
	        cmocka_unit_test(test_order),
	        cmocka_unit_test(test_null),
	        cmocka_unit_test(test_inside),
	        cmocka_unit_test(test_inside_others),
	        cmocka_unit_test(test_fork),
	        cmocka_unit_test(test_object),
	        cmocka_unit_test(test_bad_object),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
