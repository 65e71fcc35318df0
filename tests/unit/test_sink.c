/* The sinks: what a record says is in the output, exactly and harmlessly, and an output that fails is told and never
 * lost silently. Whether the JSON is what the schema promises is tests/live/test_cli.py's to check. */
#include "engine/out/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/skip.h"

/* A record of a probe with a field of each kind. */
struct sample {
	struct rille_record head;
	int64_t big;
	uint64_t huge;
	int32_t fds[2];
	uint64_t inodes[2];
	uint64_t inodes_present;
	int64_t family;
	int64_t error;
	char name[32];
	uint32_t data_len;
	uint8_t data[12];
	uint32_t addr_len;
	uint8_t addr[28];
	uint64_t flag;
};

#define FIELD(member, kind_, width_, count_, format_, prefix_)                                                         \
	{                                                                                                              \
		.name = (char *)#member, .kind = kind_, .width = width_, .count = count_,                              \
		.offset = offsetof(struct sample, member), .size = sizeof(((struct sample *)0)->member),               \
		.format = format_, .prefix = prefix_                                                                   \
	}

static struct field_schema fields[] = {
        FIELD(big, VALUE_INT, 8, 0, FORMAT_NONE, ""),
        FIELD(huge, VALUE_UINT, 8, 0, FORMAT_HEX, ""),
        FIELD(fds, VALUE_INT, 4, 2, FORMAT_NONE, ""),
        {.name = (char *)"inodes",
                .kind = VALUE_UINT,
                .width = 8,
                .count = 2,
                .offset = offsetof(struct sample, inodes),
                .size = 24,
                .element_bits = true},
        FIELD(family, VALUE_INT, 8, 0, FORMAT_ENUM, "AF_"),
        FIELD(error, VALUE_INT, 8, 0, FORMAT_ERRNO, ""),
        FIELD(name, VALUE_STR, 0, 0, FORMAT_NONE, ""),
        {.name = (char *)"data", .kind = VALUE_BYTES, .offset = offsetof(struct sample, data_len), .size = 16},
        {.name = (char *)"type", .kind = VALUE_SOCKADDR, .offset = offsetof(struct sample, addr_len), .size = 32},
        FIELD(flag, VALUE_BOOL, 1, 0, FORMAT_NONE, ""),
};

static struct probe_schema probe = {
        .index = 0,
        .name = (char *)"syscall:sample",
        .fields = fields,
        .nfields = sizeof(fields) / sizeof(*fields),
        .size = sizeof(struct sample),
        .stack_sides = STACK_USER,
};

static struct sample sample(void)
{
	struct sample s = {
	        .head = {.nsecs = 5000000001, .pid = 100, .tid = 101, .ppid = 1, .size = sizeof(s), .present = ~0ull},
	        .big = INT64_MIN,
	        .huge = UINT64_MAX,
	        .fds = {3, -1},
	        .inodes = {9007199254740993, 77},
	        .inodes_present = 1,
	        .family = AF_UNIX,
	        .error = ENOENT,
	        .data_len = 3,
	        .data = {0, 0xff, 'a'},
	        .addr_len = 2 + 5,
	        .addr = {AF_UNIX, 0, '/', 'a', '\n', 'b', 'c'},
	        .flag = 1,
	};
	memcpy(s.head.comm, "e\"vil\x1b[1m\n", 10);
	memcpy(s.name, "x\xff\"\\", 4);
	return s;
}

static struct frame frames[] = {
        {.ip = 0x7f0000001000,
                .kind = FRAME_NATIVE,
                .name = "leaf",
                .module = "/bin/pair",
                .offset = 18,
                .file = "/src/pair.c",
                .line = 7,
                .build_id = "abcd"},
        {.ip = 0x7f0000002000, .kind = FRAME_NATIVE, .module = "/lib/libc.so.6", .offset = 0x27345},
        {.ip = 0x7f0000003000,
                .kind = FRAME_JAVA,
                .name = "a.B.<init>",
                .file = "B.java",
                .line = 70,
                .tier = TIER_INTERP},
        {.ip = 0x7f0000004000,
                .kind = FRAME_NATIVE,
                .name = "ev\x1bil",
                .module = "/bin/pair",
                .offset = 1,
                .how = HOW_SCAN},
        {.ip = 0x7f0000005000, .kind = FRAME_UNKNOWN},
};

static struct stack stack = {.frames = frames, .nframes = sizeof(frames) / sizeof(*frames), .end = STACK_NO_CFI};

static const struct stack *resolve(struct event *event, enum stack_sides side)
{
	return &stack;
}

static struct event event_of(const struct sample *s)
{
	return (struct event){.probe = &probe,
	        .record = &s->head,
	        .size = sizeof(*s),
	        .wall_nsecs = 1795552417123456789,
	        .number = 1,
	        .resolve = resolve};
}

static const struct sink_meta meta = {.version = "0",
        .script = "s",
        .host = "h",
        .kernel = "k",
        .probes = &probe,
        .nprobes = 1,
        .started = 1795552417000000000};

/* Everything a sink wrote for what `use` did with it. */
static char *output_of(struct sink_options options, int (*use)(struct sink *sink))
{
	struct sink *sink;
	struct err err = {0};
	options.fd = memfd_create("out", MFD_CLOEXEC);
	assert_int_equal(sink_open(&sink, &options, &meta, &err), 0);
	assert_int_equal(use(sink), 0);
	assert_int_equal(sink_flush(sink), 0);
	sink_free(sink);
	off_t len = lseek(options.fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)len + 1);
	assert_int_equal(pread(options.fd, text, (size_t)len, 0), len);
	close(options.fd);
	return text;
}

static int one_event(struct sink *sink)
{
	struct sample s = sample();
	struct event event = event_of(&s);
	return sink_event(sink, &event);
}

/* Integers keep all 64 bits, what is missing is null, names and bytes of the target cannot leave their string. */
static void test_jsonl_event(void **state)
{
	char *text = output_of((struct sink_options){.format = "jsonl"}, one_event);
	char *line = strchr(text, '\n');
	assert_non_null(line);
	assert_string_equal(line + 1,
	        "{\"type\":\"event\",\"probe\":\"syscall:sample\",\"time\":\"2026-11-24T20:33:37.123456789Z\","
	        "\"nsecs\":5000000001,\"pid\":100,\"tid\":101,\"ppid\":1,\"comm\":\"e\\\"vil\\u001b[1m\\n\","
	        "\"big\":-9223372036854775808,\"huge\":18446744073709551615,\"fds\":[3,-1],"
	        "\"inodes\":[9007199254740993,null],\"family\":\"AF_UNIX\",\"error\":\"ENOENT\","
	        "\"name\":\"x\xef\xbf\xbd\\\"\\\\\",\"data\":\"00ff61\","
	        "\"type_\":{\"family\":\"AF_UNIX\",\"path\":\"/a\\nbc\",\"text\":\"/a\\nbc\"},\"flag\":true,"
	        "\"ustack\":[{\"kind\":\"native\",\"name\":\"leaf\",\"module\":\"/bin/pair\",\"offset\":18,"
	        "\"file\":\"/src/pair.c\",\"line\":7,\"build_id\":\"abcd\"},"
	        "{\"kind\":\"native\",\"name\":null,\"module\":\"/lib/libc.so.6\",\"offset\":160581},"
	        "{\"kind\":\"java\",\"name\":\"a.B.<init>\",\"offset\":0,\"file\":\"B.java\",\"line\":70,\"tier\":"
	        "\"interp\"},"
	        "{\"kind\":\"native\",\"name\":\"ev\\u001bil\",\"module\":\"/bin/pair\",\"offset\":1,\"how\":\"scan\"},"
	        "{\"kind\":\"unknown\",\"name\":null,\"address\":\"0x7f0000005000\"}],\"ustack_end\":\"no-cfi\"}\n");
	free(text);
}

static void test_text_event(void **state)
{
	char *text = output_of((struct sink_options){.format = "text", .timestamp = TIMESTAMP_ISO}, one_event);
	assert_string_equal(text,
	        "2026-11-24T20:33:37.123456789Z syscall:sample e\"vil\\x1b[1m\\x0a 100/101 big=-9223372036854775808 "
	        "huge=0xffffffffffffffff fds=[3,-1] inodes=[9007199254740993,-] family=AF_UNIX error=ENOENT "
	        "name=\"x\\xff\\\"\\\\\" data=\"\\x00\\xffa\" type=/a\\x0abc flag=true\n"
	        "    leaf+0x12 (pair) pair.c:7\n"
	        "    libc.so.6+0x27345\n"
	        "    a.B.<init>(B.java:70)\n"
	        "    ev\\x1bil+0x1 (pair) [scan]\n"
	        "    0x7f0000005000 [unknown]\n"
	        "    [stack ends: no-cfi]\n\n");
	free(text);
}

/* A record that is shorter than its schema gives nulls, never bytes beyond it. */
static int short_event(struct sink *sink)
{
	struct sample s = sample();
	struct sample *cut = malloc(sizeof(s.head));
	memcpy(cut, &s, sizeof(s.head));
	struct event event = event_of(cut);
	event.size = sizeof(s.head);
	int r = sink_event(sink, &event);
	free(cut);
	return r;
}

static void test_short_record(void **state)
{
	char *text = output_of((struct sink_options){.format = "jsonl"}, short_event);
	assert_non_null(strstr(text, "\"big\":null,\"huge\":null,\"fds\":null,\"inodes\":null,\"family\":null"));
	free(text);
}

static void test_columns(void **state)
{
	static const char *const chosen[] = {"fds", "big"};
	struct sink_options options = {.format = "text", .timestamp = TIMESTAMP_NONE, .columns = chosen, .ncolumns = 2};
	char *text = output_of(options, one_event);
	char *end = strchr(text, '\n');
	*end = 0;
	assert_string_equal(text, "syscall:sample e\"vil\\x1b[1m\\x0a 100/101 fds=[3,-1] big=-9223372036854775808");
	free(text);

	static const char *const wrong[] = {"inode"};
	struct sink *sink;
	struct err err = {0};
	options.columns = wrong;
	options.ncolumns = 1;
	options.fd = 1;
	assert_int_equal(sink_open(&sink, &options, &meta, &err), -EINVAL);
	assert_string_equal(err.tag, "unknown-field");
	assert_non_null(strstr(err.hint, "inodes"));
}

/* A write error is the result of every later call, and of the end. */
static void test_full_disk(void **state)
{
	struct sink *sink;
	struct err err = {0};
	struct sample s = sample();
	struct event event = event_of(&s);
	if (access("/dev/full", W_OK) != 0)
		skip_because("no /dev/full here");
	struct sink_options options = {.format = "jsonl", .path = "/dev/full"};
	assert_int_equal(sink_open(&sink, &options, &meta, &err), 0);
	assert_int_equal(sink_event(sink, &event), 0);
	assert_int_equal(sink_flush(sink), -ENOSPC);
	assert_int_equal(sink_event(sink, &event), -ENOSPC);
	struct sink_end end = {.reason = "done"};
	assert_int_equal(sink_finish(sink, &end), -ENOSPC);
	sink_free(sink);
	options.path = "/nowhere/at/all";
	assert_int_equal(sink_open(&sink, &options, &meta, &err), -ENOENT);
	assert_non_null(strstr(err.message, "/nowhere/at/all"));
}

/* A pipe without a reader is -EPIPE, and no SIGPIPE reaches the host, which may not have asked to ignore it. */
static void test_closed_pipe(void **state)
{
	int fds[2];
	struct sink *sink;
	struct sample s = sample();
	struct event event = event_of(&s);
	sigset_t pending;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	signal(SIGPIPE, SIG_DFL);
	struct sink_options options = {.format = "text", .fd = fds[1]};
	assert_int_equal(sink_open(&sink, &options, &meta, NULL), 0);
	close(fds[0]);
	assert_int_equal(sink_event(sink, &event), 0);
	assert_int_equal(sink_flush(sink), -EPIPE);
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGPIPE));
	sink_free(sink);
	close(fds[1]);
}

/* %p and %t are replaced, the file is whole lines, and the descriptor does not reach children. */
static void test_path(void **state)
{
	char dir[] = "/tmp/rille-test-sink.XXXXXX", pattern[64], path[128];
	struct sink *sink;
	struct sample s = sample();
	struct event event = event_of(&s);
	assert_non_null(mkdtemp(dir));
	snprintf(pattern, sizeof(pattern), "%s/a%%%%-%%p-%%t.txt", dir);
	struct sink_options options = {.format = "text", .path = pattern, .color = true};
	assert_int_equal(sink_open(&sink, &options, &meta, NULL), 0);
	assert_int_equal(sink_event(sink, &event), 0);
	struct probe_totals totals = {.probe = &probe, .stats = {.sent = 1, .lost_ring = 5}};
	struct sink_end end = {.reason = "done", .probes = &totals, .nprobes = 1};
	assert_int_equal(sink_finish(sink, &end), 0);
	sink_free(sink);
	snprintf(path, sizeof(path), "%s/a%%-%d-20261124T203337.txt", dir, (int)getpid());
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	char text[4096] = "";
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	assert_null(strchr(text, '\x1b')); /* no colours in a file */
	assert_non_null(strstr(text, "# syscall:sample: 1 sent, 5 lost: ring buffer full\n"));
	unlink(path);
	rmdir(dir);
}

static int a_row_and_text(struct sink *sink)
{
	struct cell cells[] = {
	        {.name = "n", .kind = CELL_UINT, .u = UINT64_MAX},
	        {.name = "f", .kind = CELL_NUMBER, .n = 0.1},
	        {.name = "type", .kind = CELL_TEXT, .text = {"a\"\x1b", 3}},
	        {.name = "none", .kind = CELL_NULL},
	};
	int r = sink_row(sink, cells, 4);
	return r ? r : sink_print(sink, "one\n\x1btwo", 8);
}

static void test_rows(void **state)
{
	char *text = output_of((struct sink_options){.format = "jsonl"}, a_row_and_text);
	assert_string_equal(strchr(text, '\n') + 1, "{\"type\":\"row\",\"n\":18446744073709551615,\"f\":0.1,"
	                                            "\"type_\":\"a\\\"\\u001b\",\"none\":null}\n"
	                                            "{\"type\":\"print\",\"text\":\"one\\n\\u001btwo\"}\n");
	free(text);
	text = output_of((struct sink_options){.format = "text"}, a_row_and_text);
	assert_string_equal(text, "n=18446744073709551615 f=0.1 type=\"a\\\"\\x1b\" none=-\none\n\\x1btwo\n");
	free(text);
}

enum { MANY = 70000 };

static int many_places(struct sink *sink)
{
	struct sample s = sample();
	struct event event = event_of(&s);
	int r = 0;
	for (unsigned i = 0; i < MANY && !r; i++) {
		snprintf(s.head.comm, sizeof(s.head.comm), "c%u", i);
		r = sink_event(sink, &event);
	}
	return r ? r : sink_finish(sink, &(struct sink_end){.reason = "done"});
}

static unsigned long long sum_of_counts(char *text)
{
	unsigned long long sum = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		sum += strtoull(strrchr(line, ' '), NULL, 10);
	return sum;
}

/* However many stacks there are, memory is bounded and no event is missing from the counts. */
static void test_bounded(void **state)
{
	char *text = output_of((struct sink_options){.format = "folded"}, many_places);
	assert_non_null(strstr(text, "\n[not kept] 4464\n")); /* 70000 - 65536 */
	assert_int_equal(sum_of_counts(text), MANY);
	free(text);
	text = output_of((struct sink_options){.format = "speedscope"}, many_places);
	assert_non_null(strstr(text, "\"name\":\"[not kept]\",\"samples\":[[]],\"weights\":[4464]"));
	assert_non_null(strstr(text, "\"startValue\":0,\"endValue\":65536}"));
	free(text);
	free(output_of((struct sink_options){.format = "pprof"}, many_places));
}

static int hostile_events(struct sink *sink)
{
	struct sample s = sample();
	struct event event = event_of(&s);
	int r = sink_event(sink, &event);
	memcpy(s.head.comm, "\t7f ;# ,\"=1", 12);
	r = r ? r : sink_event(sink, &event);
	event.size = sizeof(s.head);
	r = r ? r : sink_event(sink, &event);
	return r ? r : sink_finish(sink, &(struct sink_end){.reason = "done"});
}

/* Nothing that a target chose reaches a terminal or starts a line, in any format that is text. */
static void test_harmless(void **state)
{
	for (const char *const *format = sink_formats(); *format; format++) {
		char *text = output_of((struct sink_options){.format = *format}, hostile_events);
		assert_int_not_equal(text[0], 0);
		for (const char *s = text; *s && strcmp(*format, "pprof") != 0; s++)
			if ((*s & 0xff) < ' ' || *s == 0x7f)
				assert_true(*s == '\n' || *s == '\t' || (*s == '\r' && s[1] == '\n'));
		free(text);
	}
	char *text = output_of((struct sink_options){.format = "perf-script"}, hostile_events);
	assert_null(strstr(text, "\n\t7f ;"));
	free(text);
	text = output_of((struct sink_options){.format = "folded"}, hostile_events);
	assert_non_null(strstr(text, "_7f__#_,\"=1;[incomplete: no-cfi];"));
	free(text);
}

static void test_unknown_format(void **state)
{
	struct sink *sink;
	struct err err = {0};
	struct sink_options options = {.format = "jsonn", .fd = 1};
	assert_int_equal(sink_open(&sink, &options, &meta, &err), -EINVAL);
	assert_string_equal(err.tag, "unknown-output-format");
	assert_int_equal(err.class, ERR_SCRIPT);
	assert_non_null(strstr(err.hint, "jsonl"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_jsonl_event),
	        cmocka_unit_test(test_text_event),
	        cmocka_unit_test(test_short_record),
	        cmocka_unit_test(test_columns),
	        cmocka_unit_test(test_full_disk),
	        cmocka_unit_test(test_closed_pipe),
	        cmocka_unit_test(test_path),
	        cmocka_unit_test(test_rows),
	        cmocka_unit_test(test_bounded),
	        cmocka_unit_test(test_harmless),
	        cmocka_unit_test(test_unknown_format),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
