/* Decoders: the text of a value stands for that value and no other, and of several names the usual one is shown. */
#include "engine/probe/catalog.h"
#include "engine/probe/decode.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct decoder prepare(const char *as, enum value_kind kind, uint8_t width)
{
	struct field_schema field = {.kind = kind, .width = width};
	struct decoder decoder;
	struct err err = {0};
	if (as && decode_format(as, &field.format, field.prefix, &err))
		fail_msg("%s: %s", as, err.message);
	assert_int_equal(decoder_init(&decoder, &field, &err), 0);
	return decoder;
}

static void check(const char *as, enum value_kind kind, uint8_t width, int64_t value, const char *expected)
{
	struct decoder decoder = prepare(as, kind, width);
	struct text out = {0};
	decode(&decoder, value, &out);
	assert_string_equal(text_str(&out), expected);
	text_fini(&out);
	decoder_fini(&decoder);
}

/* As strace shows them. */
static void test_names(void **state)
{
	check("AF_", VALUE_INT, 4, 1, "AF_UNIX");
	check("AF_", VALUE_INT, 4, 16, "AF_NETLINK");
	check("AF_", VALUE_INT, 4, 99, "99");
	check("AF_", VALUE_UINT, 2, 10, "AF_INET6");
	check("SOCK_", VALUE_INT, 4, 1, "SOCK_STREAM");
	check("SOCK_", VALUE_INT, 4, 02004000 | 2, "SOCK_DGRAM|SOCK_NONBLOCK|SOCK_CLOEXEC");
	check("SOCK_", VALUE_INT, 4, 7, "0x7");
	check("SOCK_", VALUE_INT, 4, 1 | 0x4000, "SOCK_STREAM|0x4000");
	check("IPPROTO_", VALUE_INT, 4, 0, "IPPROTO_IP");
	check("O_", VALUE_INT, 4, 0, "O_RDONLY");
	check("O_", VALUE_INT, 4, 02000000 | 0100 | 1, "O_WRONLY|O_CREAT|O_CLOEXEC");
	check("O_", VALUE_INT, 4, O_TMPFILE | O_RDWR, "O_RDWR|O_TMPFILE");
	check("PROT_", VALUE_UINT, 8, 0, "PROT_NONE");
	check("PROT_", VALUE_UINT, 8, 5, "PROT_READ|PROT_EXEC");
	check("MAP_", VALUE_UINT, 8, 0x22, "MAP_PRIVATE|MAP_ANONYMOUS");
	check("MSG_", VALUE_UINT, 4, 0x4040, "MSG_DONTWAIT|MSG_NOSIGNAL");
	check("F_", VALUE_UINT, 4, 2, "F_SETFD");
	check("FUTEX_", VALUE_INT, 4, 129, "FUTEX_WAKE|FUTEX_PRIVATE_FLAG");
	check("SIG", VALUE_INT, 4, 9, "SIGKILL");
	check("SIG", VALUE_INT, 4, 17, "SIGCHLD");
	check("EPOLL", VALUE_UINT, 4, 0x80000001, "EPOLLIN|EPOLLET");
	check("TCP_", VALUE_INT, 4, 10, "TCP_LISTEN");
	check("RLIMIT_", VALUE_UINT, 4, 7, "RLIMIT_NOFILE");
}

/* -100 is AT_FDCWD in 32 bits as well as in 64; a sign does not make another constant of it. */
static void test_signs(void **state)
{
	struct decoder decoder = prepare("AT_", VALUE_INT, 4);
	struct text out = {0};
	decode(&decoder, 0x1000, &out);
	assert_string_equal(text_str(&out), "AT_EMPTY_PATH");
	text_fini(&out);
	decoder_fini(&decoder);
	check("SEEK_", VALUE_INT, 4, -1, "-1");
	check("SEEK_", VALUE_UINT, 8, -1, "18446744073709551615");
}

static void test_numbers(void **state)
{
	check(NULL, VALUE_INT, 8, INT64_MIN, "-9223372036854775808");
	check(NULL, VALUE_UINT, 8, -1, "18446744073709551615");
	check(NULL, VALUE_BOOL, 1, 1, "true");
	check("hex", VALUE_INT, 4, -1, "0xffffffff");
	check("hex", VALUE_UINT, 8, -1, "0xffffffffffffffff");
	check("octal", VALUE_UINT, 2, 0644, "0644");
	check("octal", VALUE_UINT, 2, 0, "0");
	check("errno", VALUE_INT, 4, -2, "ENOENT");
	check("errno", VALUE_INT, 4, 11, "EAGAIN");
	check("errno", VALUE_INT, 8, -512, "ERESTARTSYS");
	check("errno", VALUE_INT, 4, 0, "0");
	check("errno", VALUE_INT, 4, 9999, "9999");
	check("ip", VALUE_UINT, 4, (int64_t)htonl(0x7f000001), "127.0.0.1");
}

/* Three digits; what would round up to the next unit is shown in it. */
static void test_quantities(void **state)
{
	check("ns", VALUE_UINT, 8, 0, "0 ns");
	check("ns", VALUE_UINT, 8, 999, "999 ns");
	check("ns", VALUE_UINT, 8, 1000, "1 us");
	check("ns", VALUE_UINT, 8, 12345, "12.3 us");
	check("ns", VALUE_UINT, 8, 999499, "999 us");
	check("ns", VALUE_UINT, 8, 999500, "1 ms");
	check("ns", VALUE_UINT, 8, 1500000, "1.5 ms");
	check("ns", VALUE_UINT, 8, 1050000, "1.05 ms");
	check("ns", VALUE_INT, 8, -1500, "-1.5 us");
	check("ns", VALUE_UINT, 8, 3600000000000, "3600 s");
	check("bytes", VALUE_UINT, 8, 0, "0 B");
	check("bytes", VALUE_UINT, 8, 1023, "1023 B");
	check("bytes", VALUE_UINT, 8, 4096, "4 KiB");
	check("bytes", VALUE_UINT, 8, 1536, "1.5 KiB");
	check("bytes", VALUE_UINT, 8, (1 << 20) - 1, "1 MiB");
	check("bytes", VALUE_INT, 8, -14, "-14");
}

/* What decode() wrote, read back through the table of constants. */
static uint64_t read_back(char *text)
{
	uint64_t value = 0;
	for (char *save = NULL, *word = strtok_r(text, "|", &save); word; word = strtok_r(NULL, "|", &save)) {
		const struct constant *c = constant_find(word);
		value |= c ? (uint64_t)c->value : strtoull(word, NULL, 0);
	}
	return value;
}

/* Whatever the bits, the names and the rest say exactly the value. */
static void test_flags_are_exact(void **state)
{
	static const char *const FAMILIES[] = {"SOCK_", "O_", "MAP_", "PROT_", "MSG_", "CLONE_", "AT_", "FUTEX_", "IN_",
	        "MS_", "EPOLL", "POLL", "LOCK_", "SA_", "MFD_", "GRND_", "IORING_SETUP_"};
	uint64_t seed = 1;
	for (size_t i = 0; i < sizeof(FAMILIES) / sizeof(FAMILIES[0]); i++) {
		struct decoder decoder = prepare(FAMILIES[i], VALUE_UINT, 4);
		assert_int_equal(decoder.format, FORMAT_FLAGS);
		for (int round = 0; round < 2000; round++) {
			struct text out = {0};
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			uint32_t value = (uint32_t)(seed >> 32);
			value &= round % 2 ? (uint32_t)(seed >> 11) & (uint32_t)(seed >> 17) : UINT32_MAX;
			decode(&decoder, value, &out);
			assert_int_equal((uint32_t)read_back(out.data), value); /* MS_NOUSER is negative */
			text_fini(&out);
		}
		decoder_fini(&decoder);
	}
}

/* A prefix nobody wrote rules for is flags or an enumeration by what its constants look like. */
static void test_guess(void **state)
{
	static const struct {
		const char *prefix;
		enum format_kind format;
	} EXPECTED[] = {{"RENAME_", FORMAT_FLAGS}, {"FAN_", FORMAT_FLAGS}, {"IORING_OP_", FORMAT_ENUM},
	        {"MCL_", FORMAT_ENUM}, {"SCHED_FLAG_", FORMAT_FLAGS}, {"BPF_MAP_TYPE_", FORMAT_ENUM},
	        {"KEYCTL_", FORMAT_ENUM}, {"ARPHRD_", FORMAT_ENUM}, {"NETLINK_", FORMAT_ENUM},
	        {"MOUNT_ATTR_", FORMAT_FLAGS}};
	for (size_t i = 0; i < sizeof(EXPECTED) / sizeof(EXPECTED[0]); i++) {
		enum format_kind format;
		char prefix[32];
		assert_int_equal(decode_format(EXPECTED[i].prefix, &format, prefix, NULL), 0);
		assert_string_equal(prefix, EXPECTED[i].prefix);
		if (format != EXPECTED[i].format)
			fail_msg("%s: %d", prefix, format);
	}
}

static void test_unknown(void **state)
{
	static const char *const WORDS[] = {
	        "", "hx", "AF", "AFX_", "_", "AF_UNIX", "%s", "a-very-long-name-that-does-not-fit-in-it_"};
	for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
		enum format_kind format;
		char prefix[32];
		struct err err;
		assert_int_equal(decode_format(WORDS[i], &format, prefix, &err), -EINVAL);
		assert_string_equal(err.tag, "unknown-format");
		assert_true(err.hint[0]);
	}
}

/* Addresses as inet_ntop() writes them. */
static void test_ip(void **state)
{
	struct text out = {0};
	struct in6_addr in6;
	assert_int_equal(inet_pton(AF_INET6, "fe80::1:2", &in6), 1);
	decode_ip(&in6, sizeof(in6), &out);
	assert_string_equal(text_str(&out), "fe80::1:2");
	text_reset(&out);
	decode_ip("\x01\xff\x20", 3, &out);
	assert_string_equal(text_str(&out), "01ff20");
	text_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_names),
	        cmocka_unit_test(test_signs),
	        cmocka_unit_test(test_numbers),
	        cmocka_unit_test(test_quantities),
	        cmocka_unit_test(test_flags_are_exact),
	        cmocka_unit_test(test_guess),
	        cmocka_unit_test(test_unknown),
	        cmocka_unit_test(test_ip),
	};
	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
