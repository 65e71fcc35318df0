/* Reading a trace back: what the format jsonl writes of any event is, read and written again, the same text. So nothing
 * that jsonl says is lost or changed on the way, whatever a traced process had in its memory. */
#include "engine/base/linereader.h"
#include "engine/out/trace_read.h"
#include "engine/probe/decode.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct sample {
	struct rille_record head;
	int64_t big;
	uint64_t huge;
	int32_t fds[4];
	uint64_t fds_present;
	uint64_t families[2];
	uint64_t families_present;
	uint64_t flags, error, ip, small;
	char name[32];
	uint32_t data_len;
	uint8_t data[12];
	uint32_t ip_len;
	uint8_t ip_bytes[20];
	uint32_t addr_len;
	uint8_t addr[128];
	uint64_t flag;
};

#define FIELD(member, kind_, width_, format_, prefix_)                                                                 \
	{                                                                                                              \
		.name = (char *)#member, .kind = kind_, .width = width_, .offset = offsetof(struct sample, member),    \
		.size = sizeof(((struct sample *)0)->member), .format = format_, .prefix = prefix_                     \
	}
#define ARRAY(member, kind_, width_, count_, format_, prefix_)                                                         \
	{                                                                                                              \
		.name = (char *)#member, .kind = kind_, .width = width_, .count = count_, .element_bits = true,        \
		.offset = offsetof(struct sample, member), .size = sizeof(((struct sample *)0)->member) + 8,           \
		.format = format_, .prefix = prefix_                                                                   \
	}
#define BYTES(member, kind_, len_, format_)                                                                            \
	{                                                                                                              \
		.name = (char *)#member, .kind = kind_, .offset = offsetof(struct sample, len_),                       \
		.size = sizeof(((struct sample *)0)->member) + 4, .format = format_                                    \
	}

static struct field_schema fields[] = {
        FIELD(big, VALUE_INT, 8, FORMAT_NONE, ""),
        FIELD(huge, VALUE_UINT, 8, FORMAT_HEX, ""),
        ARRAY(fds, VALUE_INT, 4, 4, FORMAT_NONE, ""),
        ARRAY(families, VALUE_UINT, 8, 2, FORMAT_ENUM, "AF_"),
        FIELD(flags, VALUE_UINT, 4, FORMAT_FLAGS, "SOCK_"),
        FIELD(error, VALUE_INT, 8, FORMAT_ERRNO, ""),
        FIELD(ip, VALUE_UINT, 4, FORMAT_IP, ""),
        FIELD(small, VALUE_INT, 1, FORMAT_NONE, ""),
        FIELD(name, VALUE_STR, 0, FORMAT_NONE, ""),
        BYTES(data, VALUE_BYTES, data_len, FORMAT_NONE),
        BYTES(ip_bytes, VALUE_BYTES, ip_len, FORMAT_IP),
        {.name = (char *)"type",
                .kind = VALUE_SOCKADDR,
                .offset = offsetof(struct sample, addr_len),
                .size = sizeof(((struct sample *)0)->addr) + 4},
        FIELD(flag, VALUE_BOOL, 1, FORMAT_NONE, ""),
};

static struct probe_schema probe = {
        .name = (char *)"syscall:sample",
        .fields = fields,
        .nfields = sizeof(fields) / sizeof(*fields),
        .size = sizeof(struct sample),
        .stack_sides = STACK_USER | STACK_KERNEL,
};

static uint64_t state = 88172645463325252ull;

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static uint64_t below(uint64_t n)
{
	return any() % n;
}

static void fill(void *to, size_t n)
{
	static const char likely[] = "ab\"\\\n\x80\xff\xc3\xa9\0/";
	for (size_t i = 0; i < n; i++)
		((uint8_t *)to)[i] = below(2) ? (uint8_t)likely[below(sizeof(likely) - 1)] : (uint8_t)any();
}

static uint64_t any_number(void)
{
	return any() >> below(64);
}

static void fill_address(struct sample *s)
{
	static const uint16_t families[] = {
	        AF_UNIX, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_VSOCK, AF_PACKET, AF_CAN, 999, AF_UNSPEC};
	uint16_t family = families[below(sizeof(families) / sizeof(*families))];
	fill(s->addr, sizeof(s->addr));
	memcpy(s->addr, &family, sizeof(family));
	if (below(4) == 0)
		s->addr[2] = 0; /* an abstract name */
	s->addr_len = (uint32_t)below(4) ? (uint32_t)below(40) : (uint32_t)below(sizeof(s->addr) + 1);
}

static struct sample any_sample(void)
{
	struct sample s = {.head = {.nsecs = any_number(),
	                           .pid = (uint32_t)any(),
	                           .tid = (uint32_t)any(),
	                           .ppid = (uint32_t)any(),
	                           .size = sizeof(s),
	                           .present = any() | any()}};
	for (size_t i = 0, n = below(sizeof(s.head.comm) + 1); i < n; i++) /* bytes that are not UTF-8 need more room */
		s.head.comm[i] = (char)(1 + below(127));
	s.big = (int64_t)any_number() * (below(2) ? 1 : -1);
	s.huge = any_number();
	fill(s.fds, sizeof(s.fds));
	s.fds_present = any();
	for (int i = 0; i < 2; i++)
		s.families[i] = below(4) ? below(60) : any_number();
	s.families_present = any();
	s.flags = below(2) ? below(8) | (below(2) ? 02000000 : 0) : any();
	s.error = below(2) ? below(140) : (uint64_t) - (int64_t)below(600);
	s.ip = any();
	s.small = any();
	s.flag = below(2);
	fill(s.name, below(sizeof(s.name) + 1));
	s.data_len = (uint32_t)below(sizeof(s.data) + 1);
	fill(s.data, sizeof(s.data));
	s.ip_len = below(3) ? (below(2) ? 4 : 16) : (uint32_t)below(21);
	fill(s.ip_bytes, sizeof(s.ip_bytes));
	fill_address(&s);
	return s;
}

/* --- stacks --- */

static struct frame frames[2][8];
static char names[64][24];
static struct stack stacks[2];

static const char *any_name(void)
{
	return below(3) ? names[below(64)] : NULL;
}

static void any_stack(struct stack *stack, struct frame *list)
{
	stack->frames = list;
	stack->nframes = below(9);
	stack->end = (enum stack_end)below(STACK_ENDS);
	for (size_t i = 0; i < stack->nframes; i++)
		list[i] = (struct frame){.ip = any_number(),
		        .kind = (uint8_t)below(FRAME_UNKNOWN + 1),
		        .tier = (uint8_t)below(TIER_TURBOFAN + 1),
		        .how = (uint8_t)below(HOW_APPROX + 1),
		        .inlined = below(2),
		        .name = any_name(),
		        .signature = any_name(),
		        .module = any_name(),
		        .build_id = below(2) ? "abcdef0123" : NULL,
		        .offset = any_number(),
		        .file = any_name(),
		        .line = (int32_t)below(3000) - 2};
}

static const struct stack *resolve(struct event *event, enum stack_sides side)
{
	return &stacks[side == STACK_KERNEL];
}

/* --- writing, reading, writing --- */

static struct sink *open_jsonl(int *fd, const struct sink_meta *meta)
{
	struct sink *sink;
	*fd = memfd_create("out", MFD_CLOEXEC);
	struct sink_options options = {.format = "jsonl", .fd = *fd, .addresses = true, .signatures = true};
	assert_int_equal(sink_open(&sink, &options, meta, NULL), 0);
	return sink;
}

static char *close_jsonl(struct sink *sink, int fd)
{
	assert_int_equal(sink_flush(sink), 0);
	sink_free(sink);
	off_t len = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)len + 1);
	assert_int_equal(pread(fd, text, (size_t)len, 0), len);
	close(fd);
	return text;
}

struct copy {
	struct sink *sink;
	int fd;
};

static int take_meta(void *user, const struct sink_meta *meta, struct err *err)
{
	struct copy *copy = user;
	copy->sink = open_jsonl(&copy->fd, meta);
	return 0;
}

static int take_event(void *user, struct event *event, struct err *err)
{
	return sink_event(((struct copy *)user)->sink, event);
}

static int take_row(void *user, const struct cell *cells, size_t n, struct err *err)
{
	return sink_row(((struct copy *)user)->sink, cells, n);
}

static int take_print(void *user, const char *text, size_t len, struct err *err)
{
	return sink_print(((struct copy *)user)->sink, text, len);
}

static int take_aggregate(void *user, const struct aggregate *aggregate, struct err *err)
{
	return sink_aggregate(((struct copy *)user)->sink, aggregate);
}

static int take_lost(void *user, const struct probe_totals *totals, uint64_t lost, struct err *err)
{
	return sink_lost(((struct copy *)user)->sink, totals, lost);
}

static int take_end(void *user, const struct sink_end *end, struct err *err)
{
	return sink_finish(((struct copy *)user)->sink, end);
}

static const struct trace_handler handler = {
        NULL, take_meta, take_event, take_row, take_print, take_aggregate, take_lost, take_end};

static char *read_and_write(const char *text)
{
	struct copy copy = {0};
	struct trace_reader *reader;
	struct trace_handler takers = handler;
	takers.user = &copy;
	assert_int_equal(trace_reader_new(&reader), 0);
	for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
		struct err err = {0};
		int r = trace_read_line(reader, text, (size_t)(end - text), &takers, &err);
		if (r)
			fail_msg("%s in %.*s", err.message, (int)(end - text), text);
	}
	char *again = close_jsonl(copy.sink, copy.fd);
	trace_reader_free(reader);
	return again;
}

/* Says where two long texts differ. */
static void assert_same(const char *again, const char *text)
{
	size_t i = 0;
	while (again[i] && again[i] == text[i])
		i++;
	size_t from = i < 60 ? 0 : i - 60;
	if (again[i] != text[i])
		fail_msg("read back: …%.120s…\nwritten:   …%.120s…", again + from, text + from);
}

static const struct sink_meta meta = {.version = "0",
        .script = "s\n\"",
        .host = "h",
        .kernel = "k",
        .probes = &probe,
        .nprobes = 1,
        .started = 1795552417000000000,
        .mechanisms = "one\ntwo\n"};

static void test_any_event(void **unused)
{
	for (size_t i = 0; i < 64; i++)
		fill(names[i], below(sizeof(names[i])));
	for (int round = 0; round < 20; round++) {
		int fd;
		struct sink *sink = open_jsonl(&fd, &meta);
		for (int i = 0; i < 500; i++) {
			struct sample s = any_sample();
			any_stack(&stacks[0], frames[0]);
			any_stack(&stacks[1], frames[1]);
			struct event event = {.probe = &probe,
			        .record = &s.head,
			        .size = sizeof(s),
			        .wall_nsecs = (int64_t)(any() >> 2),
			        .resolve = resolve};
			assert_int_equal(sink_event(sink, &event), 0);
		}
		char *text = close_jsonl(sink, fd), *again = read_and_write(text);
		assert_same(again, text);
		free(text);
		free(again);
	}
}

static void test_what_is_no_event(void **unused)
{
	struct cell cells[] = {
	        {.name = "null"},
	        {.name = "bool", .kind = CELL_BOOL, .b = true},
	        {.name = "int", .kind = CELL_INT, .i = INT64_MIN},
	        {.name = "uint", .kind = CELL_UINT, .u = UINT64_MAX},
	        {.name = "whole", .kind = CELL_NUMBER, .n = 9007199254740992.0},
	        {.name = "part", .kind = CELL_NUMBER, .n = 0.1},
	        {.name = "great", .kind = CELL_NUMBER, .n = 1e300},
	        {.name = "text", .kind = CELL_TEXT, .text = {"a\0\xff\"", 4}},
	        {.name = "pid", .kind = CELL_INT, .i = 1},
	        {.name = "pid_", .kind = CELL_INT, .i = 2},
	};
	struct probe_totals totals = {.probe = &probe,
	        .stats = {1, 2, 3, 4, 5, 6, 7, UINT64_MAX},
	        .callback_errors = 8,
	        .unresolved = 9,
	        .ends = {[STACK_NO_CFI] = 3, [STACK_COMPAT] = 6}};
	struct sink_end end = {
	        .probes = &totals, .nprobes = 1, .mappings_lost = 4, .reason = "re\"ason", .seconds = 0.123456789};
	int fd;
	struct sink *sink = open_jsonl(&fd, &meta);
	sink_row(sink, cells, sizeof(cells) / sizeof(*cells));
	sink_print(sink, "line\n", 5);
	sink_print(sink, "no line", 7);
	sink_print(sink, "\n", 1);
	sink_lost(sink, &totals, 7);
	sink_finish(sink, &end);
	char *text = close_jsonl(sink, fd), *again = read_and_write(text);
	assert_same(again, text);
	free(text);
	free(again);
}

/* Each prefix of each line is refused or read, and never anything else: the sanitizer watches. */
static void test_cut_lines(void **unused)
{
	int fd;
	struct sink *sink = open_jsonl(&fd, &meta);
	struct sample s = any_sample();
	any_stack(&stacks[0], frames[0]);
	any_stack(&stacks[1], frames[1]);
	struct event event = {.probe = &probe, .record = &s.head, .size = sizeof(s), .resolve = resolve};
	sink_event(sink, &event);
	char *text = close_jsonl(sink, fd), *second = strchr(text, '\n') + 1;
	struct copy copy = {0};
	struct trace_reader *reader;
	struct trace_handler takers = handler;
	takers.user = &copy;
	assert_int_equal(trace_reader_new(&reader), 0);
	for (size_t len = 0; len < (size_t)(second - text) - 1; len++) {
		char *part = malloc(len ? len : 1);
		memcpy(part, text, len);
		assert_int_equal(trace_read_line(reader, part, len, &takers, &(struct err){0}), -EPROTO);
		free(part);
	}
	assert_int_equal(trace_read_line(reader, text, (size_t)(second - text) - 1, &takers, NULL), 0);
	for (size_t len = 0; len < strlen(second) - 1; len++) {
		char *part = malloc(len ? len : 1);
		memcpy(part, second, len);
		assert_int_equal(trace_read_line(reader, part, len, &takers, &(struct err){0}), -EBADMSG);
		free(part);
	}
	trace_reader_free(reader);
	free(close_jsonl(copy.sink, copy.fd));
	free(text);
}

/* Names that are shown are read: for every family of constants, each value, pairs of flags, and what has no name. */
static void test_encode(void **unused)
{
	static const char *const formats[] = {"AF_", "SOCK_", "O_", "IN_", "EPOLL", "MSG_", "CLONE_", "PROT_", "MAP_",
	        "SIG", "S_I", "IPPROTO_", "errno"};
	size_t named = 0;
	for (size_t f = 0; f < sizeof(formats) / sizeof(*formats); f++) {
		struct field_schema field = {.kind = VALUE_INT, .width = 4};
		struct decoder decoder;
		if (decode_format(formats[f], &field.format, field.prefix, NULL) < 0)
			continue;
		assert_int_equal(decoder_init(&decoder, &field, NULL), 0);
		for (int i = 0; i < 20000; i++) {
			uint64_t a = decoder.nnames ? decoder.names[below(decoder.nnames)].value : below(200);
			uint64_t b = decoder.nnames && below(2) ? decoder.names[below(decoder.nnames)].value : 0;
			int64_t v = (int32_t)(below(8) ? a | b : any()), back;
			struct text text = {0}, again = {0};
			decode(&decoder, v, &text);
			if (isalpha((unsigned char)text_str(&text)[0])) {
				named++;
				assert_true(encode(&decoder, text.data, text.len, &back));
				decode(&decoder, (int32_t)back, &again);
				assert_string_equal(text_str(&again), text_str(&text));
			}
			text_fini(&text);
			text_fini(&again);
		}
		int64_t nothing;
		assert_false(encode(&decoder, "AF_NO_SUCH_NAME", strlen("AF_NO_SUCH_NAME"), &nothing));
		assert_false(encode(&decoder, "", 0, &nothing));
		decoder_fini(&decoder);
	}
	assert_true(named > 50000);
}

/* Lines of all lengths around the pieces in which a file is read; too long ones are passed over, nothing else. */
static void test_lines(void **unused)
{
	static const size_t lengths[] = {0, 1, 65534, 65535, 65536, 65537, 5, 200000, 131072, 200001, 400000, 7, 0, 3};
	enum { MOST = 200000, N = sizeof(lengths) / sizeof(*lengths) };
	int fd = memfd_create("lines", MFD_CLOEXEC);
	char *line = malloc(400000);
	for (size_t i = 0; i < N; i++) {
		memset(line, 'a' + (int)i, lengths[i]);
		assert_int_equal(write(fd, line, lengths[i]), lengths[i]);
		if (i + 1 < N) /* the last has no newline */
			assert_int_equal(write(fd, "\n", 1), 1);
	}
	free(line);
	lseek(fd, 0, SEEK_SET);
	struct linereader reader = {.fd = fd, .most = MOST};
	const char *got;
	size_t len;
	for (size_t i = 0; i < N; i++) {
		int r = linereader_next(&reader, &got, &len);
		assert_int_equal(r, lengths[i] > MOST ? -EMSGSIZE : 1);
		if (r < 0)
			continue;
		assert_int_equal(len, lengths[i]);
		for (size_t at = 0; at < len; at++)
			assert_int_equal(got[at], 'a' + (int)i);
	}
	assert_int_equal(linereader_next(&reader, &got, &len), 0);
	assert_int_equal(linereader_next(&reader, &got, &len), 0);
	linereader_fini(&reader);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_any_event),
	        cmocka_unit_test(test_what_is_no_event),
	        cmocka_unit_test(test_cut_lines),
	        cmocka_unit_test(test_encode),
	        cmocka_unit_test(test_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
