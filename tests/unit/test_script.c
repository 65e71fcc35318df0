/* Scripts between the session and Lua: what is declared, parameters, and what callbacks get. */
#include "engine/core/state.h"
#include "engine/script/script.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct loaded {
	struct session *session;
	struct script *script;
	struct err err;
	struct text log;
};

static void keep_log(void *user, int level, const char *message)
{
	text_adds(user, message);
	text_addc(user, '\n');
}

/* 0 or what script_load() says. */
static int load(struct loaded *l, const char *text)
{
	struct session_options options = {.cache_dir = ""};
	memset(l, 0, sizeof(*l));
	struct logger logger = {keep_log, &l->log, LOG_DEBUG};
	struct script_options script_options = {.log = &logger};
	assert_int_equal(session_new(&l->session, &options), 0);
	return script_load(&l->script, l->session, text, strlen(text), "test.lua", -1, &script_options, &l->err);
}

static void unload(struct loaded *l)
{
	session_free(l->session);
	script_free(l->script);
	text_fini(&l->log);
}

/* Invariant: every event of the recipe fds begins with what happened, and has a stack if something is new. */
static void test_recipe_fds(void **state)
{
	struct loaded l;
	assert_int_equal(load(&l, recipe_find("fds")->text), 0);
	const struct spec *spec = session_spec(l.session);
	assert_true(spec->nprobes > 50);
	for (size_t p = 0; p < spec->nprobes; p++) {
		const struct spec_probe *probe = &spec->probes[p];
		assert_true(probe->nfields > 0);
		assert_string_equal(probe->fields[0].name.text, "op");
		bool is_new = !strcmp(probe->fields[0].expr.text, "'new'");
		bool told_later = strstr(probe->on.text, "io_uring_complete") != NULL;
		assert_int_equal(probe->stack.sides, is_new && !told_later ? STACK_USER : probe->stack.sides);
	}
	unload(&l);
}

/* Invariant: the recipes show exactly the columns that their documentation promises, in that order. */
static void test_recipes(void **state)
{
	static const struct {
		const char *recipe, *columns;
	} expected[] = {
	        {"bind", "syscall:bind: fd inode addr ret errno"},
	        {"socket", "syscall:socket: fd inode family type protocol"},
	        {"socketpair", "syscall:socketpair: fds inodes family type"},
	        {"unix", "syscall:socket: fd inode family type protocol; syscall:socketpair: fds inodes family type"},
	};
	size_t n;
	recipe_table(&n);
	assert_int_equal(n, sizeof(expected) / sizeof(*expected) + 1); /* fds: below */
	for (size_t i = 0; i < n - 1; i++) {
		const struct recipe *recipe = recipe_find(expected[i].recipe);
		assert_non_null(recipe);
		assert_int_equal(strlen(recipe->text), recipe->len);
		struct loaded l;
		assert_int_equal(load(&l, recipe->text), 0);
		struct spec *spec = session_spec(l.session);
		struct text columns = {0};
		for (size_t p = 0; p < spec->nprobes; p++) {
			text_printf(&columns, "%s%s:", p ? "; " : "", spec->probes[p].on.text);
			for (size_t f = 0; f < spec->probes[p].nfields; f++)
				text_printf(&columns, " %s", spec->probes[p].fields[f].name.text);
			assert_int_equal(spec->probes[p].stack.sides, STACK_USER);
			assert_false(spec->probes[p].has_callback);
		}
		assert_string_equal(text_str(&columns), expected[i].columns);
		assert_true(strlen(spec->summary) > 10);
		text_fini(&columns);
		unload(&l);
	}
	assert_null(recipe_find("bnid"));
}

/* Invariant: a value is taken exactly if its type has it, and arrives below in its normal form. */
static void test_params(void **state)
{
	static const char script[] =
	        "return { params = { { 'b', 'bool' }, { 'u8', 'u8' }, { 's8', 's8' }, { 'u64', 'u64' }, { 's64', 's64' "
	        "},\n"
	        "{ 'l', 'u16[]' }, { 's', 'string' }, { 'c', 'const:AF_' }, { 'cl', 'const:AF_[]' },\n"
	        "{ 'd', 'u32[]', default = { 1, 0x10, 3 } }, { 'e', 'bool', default = true }, { 'f', 'const:AF_', "
	        "default = 'inet' } },\n"
	        "probes = { { 'syscall:bind' } } }";
	static const struct {
		const char *name, *value, *normal; /* NULL: refused */
	} cases[] = {
	        {"b", "yes", "1"},
	        {"b", "", "1"},
	        {"b", "OFF", "0"},
	        {"b", "2", NULL},
	        {"b", "maybe", NULL},
	        {"u8", "255", "255"},
	        {"u8", "256", NULL},
	        {"u8", "-1", NULL},
	        {"u8", "-0", "0"},
	        {"u8", "0xff", "255"},
	        {"u8", "010", "10"},
	        {"u8", "", NULL},
	        {"u8", " 1", NULL},
	        {"u8", "1 ", NULL},
	        {"u8", "1.5", NULL},
	        {"u8", "0x", NULL},
	        {"s8", "-128", "-128"},
	        {"s8", "-129", NULL},
	        {"s8", "127", "127"},
	        {"s8", "128", NULL},
	        {"s8", "+5", "5"},
	        {"s8", "--5", NULL},
	        {"s8", "- 5", NULL},
	        {"u64", "18446744073709551615", "18446744073709551615"},
	        {"u64", "18446744073709551616", NULL},
	        {"s64", "-9223372036854775808", "-9223372036854775808"},
	        {"s64", "9223372036854775808", NULL},
	        {"l", "1,2,3", "1,2,3"},
	        {"l", "1, 0x2 ,3", "1,2,3"},
	        {"l", "", ""},
	        {"l", "1,,2", NULL},
	        {"l", "1,", NULL},
	        {"l", ",1", NULL},
	        {"l", "1 2", NULL},
	        {"l", "65536", NULL},
	        {"s", "any thing, at all", "any thing, at all"},
	        {"s", "", ""},
	        {"c", "AF_UNIX", "1"},
	        {"c", "unix", "1"},
	        {"c", "Af_Inet6", "10"},
	        {"c", "1", "1"},
	        {"c", "-1", "-1"},
	        {"c", "AF_UNX", NULL},
	        {"c", "", NULL},
	        {"cl", "unix,inet,16", "1,2,16"},
	        {"cl", "unix,nix", NULL},
	};
	struct loaded l;
	assert_int_equal(load(&l, script), 0);
	struct spec *spec = session_spec(l.session);
	assert_string_equal(spec->params[9].fallback.text, "1,16,3");
	assert_string_equal(spec->params[10].fallback.text, "1");
	assert_string_equal(spec->params[11].fallback.text, "2");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int r = script_set_param(l.script, cases[i].name, cases[i].value, &l.err);
		if (r != (cases[i].normal ? 0 : -EINVAL))
			fail_msg("%s = '%s' gives %d", cases[i].name, cases[i].value, r);
		if (r < 0)
			assert_string_equal(l.err.tag, "bad-parameter");
		for (size_t p = 0; p < spec->nparams && r == 0; p++)
			if (!strcmp(spec->params[p].name.text, cases[i].name))
				assert_string_equal(spec->params[p].value.text, cases[i].normal);
	}
	assert_int_equal(script_set_param(l.script, "nothing", "1", &l.err), -EINVAL);
	assert_string_equal(l.err.tag, "unknown-parameter");
	unload(&l);
}

/* A record with a field of every kind, and what a callback is to make of it. */
struct sample {
	struct rille_record head;
	int64_t fd;
	uint64_t big;
	int32_t pair[2];
	uint64_t inodes[2], inodes_present;
	uint64_t flag;
	char name[16];
	struct {
		uint32_t len;
		uint8_t data[12];
	} bytes;
	struct {
		uint32_t len;
		struct sockaddr_in in;
		uint32_t pad;
	} address;
	uint64_t gone;
};

#define FIELD(n, k, w, c, member)                                                                                      \
	{                                                                                                              \
		.name = (char *)(n), .kind = (k), .width = (w), .count = (c),                                          \
		.offset = offsetof(struct sample, member), .size = sizeof(((struct sample *)0)->member)                \
	}

static struct field_schema sample_fields[] = {
        FIELD("fd", VALUE_INT, 4, 0, fd),
        FIELD("big", VALUE_UINT, 8, 0, big),
        FIELD("pair", VALUE_INT, 4, 2, pair),
        {.name = (char *)"inodes",
                .kind = VALUE_UINT,
                .width = 8,
                .count = 2,
                .element_bits = true,
                .offset = offsetof(struct sample, inodes),
                .size = 24},
        FIELD("flag", VALUE_BOOL, 1, 0, flag),
        FIELD("name", VALUE_STR, 0, 0, name),
        FIELD("bytes", VALUE_BYTES, 0, 0, bytes),
        FIELD("address", VALUE_SOCKADDR, 0, 0, address),
        FIELD("gone", VALUE_UINT, 8, 0, gone),
};

static struct frame sample_frames[] = {
        {.ip = 0x1000,
                .kind = FRAME_NATIVE,
                .name = "leaf",
                .module = "/bin/prog",
                .offset = 0x12,
                .file = "/src/prog.c",
                .line = 7},
        {.ip = 0x2000, .kind = FRAME_NATIVE, .name = "evil\x1b[2J", .module = "/bin/prog", .offset = 1},
        {.ip = 0x3000, .kind = FRAME_UNKNOWN},
};
static struct stack sample_stack = {.frames = sample_frames, .nframes = 3, .end = STACK_NO_CFI, .site = 99};
static unsigned resolved;

static const struct stack *resolve_sample(struct event *event, enum stack_sides side)
{
	resolved++;
	return &sample_stack;
}

static const char sample_script[] =
        "local probe = { 'syscall:socket', fields = { 'fd', 'big', 'pair', 'inodes', 'flag', 'name', 'bytes', "
        "'address', 'gone' },\n"
        "  stack = 'user' }\n"
        "local kept\n"
        "function probe.on_event(ev, out)\n"
        "  assert(math.type(ev.fd) == 'integer' and ev.fd == -3)\n"
        "  assert(ev.big == -2 and tostring(rille.u64(ev.big)) == '18446744073709551614')\n"
        "  assert(#ev.pair == 2 and ev.pair[1] == 3 and ev.pair[2] == -4)\n"
        "  assert(ev.inodes[1] == nil and ev.inodes[2] == 77)\n"
        "  assert(ev.flag == true and ev.name == 'text' and ev.bytes == 'a\\0b')\n"
        "  assert(tostring(ev.address) == '127.0.0.1:80' and ev.address.port == 80 and ev.address.address == "
        "'127.0.0.1')\n"
        "  assert(ev.address.family == 'AF_INET' and 'to ' .. ev.address == 'to 127.0.0.1:80')\n"
        "  assert(ev.gone == nil and ev:show('gone') == '-')\n"
        "  assert(ev:show('fd') == '-3' and ev:show('pair') == '[3,-4]' and ev:show('pid') == '10')\n"
        "  assert(ev.probe == 'syscall:socket' and ev.pid == 10 and ev.tid == 11 and ev.ppid == 12 and ev.comm == "
        "'sixteen bytes 16')\n"
        "  assert(ev.time == 1795552417123456789 and ev.nsecs == 5 and ev.number == 42)\n"
        "  assert(rille.time(ev.time) == '2026-11-24T20:33:37.123456789Z')\n"
        "  assert(#ev.ustack == 3 and ev.ustack == ev.ustack and ev.ustack.site == 99 and ev.ustack_end == 'no-cfi')\n"
        "  assert(rille.frame(ev.ustack[1]) == 'leaf+0x12 (prog) prog.c:7')\n"
        "  assert(ev.ustack[2].name == 'evil\\\\x1b[2J' and not ev.ustack[3].name)\n"
        "  assert(ev.kstack == nil and ev.kstack_end == nil)\n"
        "  assert(not pcall(function() return ev.nothing end) and not pcall(function() ev.fd = 1 end))\n"
        "  assert(ev.other == nil)\n" /* a field of the second probe */
        "  if kept then assert(not pcall(function() return kept.fd end)) end\n"
        "  kept = ev\n"
        "  local copy = ev:copy()\n"
        "  assert(copy.fd == -3 and copy.inodes[2] == 77 and #copy.ustack == 3 and copy.ustack_end == 'no-cfi')\n"
        "  out:row { fd = copy.fd, big = rille.u64(copy.big), yes = true, half = 0.5, addr = ev.address }\n"
        "end\n"
        "return { probes = { probe, { 'syscall:bind', fields = { 'other = 1' } } } }";

/* Invariant: a callback gets the values that are in the record, in Lua's types, and nothing that is not there. */
static void test_event(void **state)
{
	struct loaded l;
	if (load(&l, sample_script) < 0)
		fail_msg("%s", l.err.message);
	struct probe_schema probe = {.name = (char *)"syscall:socket",
	        .fields = sample_fields,
	        .nfields = sizeof(sample_fields) / sizeof(*sample_fields),
	        .stack_sides = STACK_USER};
	struct sample sample = {
	        .head = {.nsecs = 5, .pid = 10, .tid = 11, .ppid = 12, .size = sizeof(sample), .present = 0xff},
	        .fd = -3,
	        .big = UINT64_MAX - 1,
	        .pair = {3, -4},
	        .inodes = {55, 77},
	        .inodes_present = 2,
	        .flag = 1,
	        .name = "text",
	        .bytes = {3, "a\0b"},
	        .address = {sizeof(struct sockaddr_in), {.sin_family = AF_INET}}};
	memcpy(sample.head.comm, "sixteen bytes 16", 16);
	sample.address.in.sin_port = htons(80);
	sample.address.in.sin_addr.s_addr = htonl(0x7f000001);
	struct event event = {.probe = &probe,
	        .record = &sample.head,
	        .size = sizeof(sample),
	        .number = 42,
	        .wall_nsecs = 1795552417123456789,
	        .resolve = resolve_sample};
	const struct session_callbacks *callbacks = &l.session->callbacks;
	for (int i = 0; i < 100; i++)
		assert_int_equal(callbacks->on_event(callbacks->user, &event, &l.err), 0);
	assert_string_equal(text_str(&l.log), "");
	assert_int_equal(callbacks->callback_errors(callbacks->user, 0), 0);
	unload(&l);
}

/* Invariant: a stack that no callback looks at is not resolved. */
static void test_lazy(void **state)
{
	struct loaded l;
	assert_int_equal(
	        load(&l,
	                "return { probes = { { 'syscall:bind', on_event = function(ev) assert(ev.pid == 10) end } } }"),
	        0);
	struct probe_schema probe = {.name = (char *)"syscall:bind", .stack_sides = STACK_USER};
	struct rille_record record = {.pid = 10, .size = sizeof(record)};
	struct event event = {.probe = &probe, .record = &record, .size = sizeof(record), .resolve = resolve_sample};
	resolved = 0;
	assert_int_equal(l.session->callbacks.on_event(l.script, &event, &l.err), 0);
	assert_string_equal(text_str(&l.log), "");
	assert_int_equal(resolved, 0);
	unload(&l);
}

/* Invariant: a script without callbacks leaves the session nothing to call. */
static void test_no_callbacks(void **state)
{
	struct loaded l;
	assert_int_equal(load(&l, "return { probes = { { 'syscall:bind' } } }"), 0);
	const struct session_callbacks *callbacks = &l.session->callbacks;
	assert_null(callbacks->on_event);
	assert_null(callbacks->on_start);
	assert_null(callbacks->on_tick);
	assert_int_equal(callbacks->tick_ns, 0);
	unload(&l);
}

/* Invariant: after a script that did not load, another can be loaded into the same session. */
static void test_again(void **state)
{
	struct loaded l;
	struct script_options options = {0};
	assert_int_equal(load(&l, "return { probes = { { 'syscall:bind', fields = { 'fd' }, where = 1 } } }"), -EINVAL);
	assert_null(l.script);
	static const char good[] = "return { probes = { { 'syscall:socket' } } }";
	assert_int_equal(script_load(&l.script, l.session, good, strlen(good), "b.lua", -1, &options, &l.err), 0);
	assert_int_equal(session_spec(l.session)->nprobes, 1);
	assert_string_equal(session_spec(l.session)->probes[0].on.text, "syscall:socket");
	unload(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_recipe_fds),
	        cmocka_unit_test(test_recipes),
	        cmocka_unit_test(test_params),
	        cmocka_unit_test(test_event),
	        cmocka_unit_test(test_lazy),
	        cmocka_unit_test(test_no_callbacks),
	        cmocka_unit_test(test_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
