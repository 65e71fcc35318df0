/* Socket addresses: what bytes a process passes are shown as what they mean to the kernel, and as themselves where they
 * mean nothing. The oracle for IP addresses is getnameinfo(). */
#include "engine/out/sockaddr.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

/* The text form; the bytes are in memory of exactly their size, so that the sanitizer sees a read beyond it. */
static char *text_of(const void *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct text out = {0};
	memcpy(copy, data, len);
	sockaddr_text(&out, copy, len);
	free(copy);
	return text_steal(&out);
}

static char *json_of(const void *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct text out = {0};
	memcpy(copy, data, len);
	sockaddr_json(&out, copy, len);
	free(copy);
	return text_steal(&out);
}

#define assert_text(data, len, want)                                                                                   \
	do {                                                                                                           \
		char *got = text_of(data, len);                                                                        \
		assert_string_equal(got, want);                                                                        \
		free(got);                                                                                             \
	} while (0)

#define assert_json(data, len, want)                                                                                   \
	do {                                                                                                           \
		char *got = json_of(data, len);                                                                        \
		assert_string_equal(got, want);                                                                        \
		free(got);                                                                                             \
	} while (0)

/* A path ends at its first zero byte or at the end of the bytes, whichever comes first; nothing behind counts. */
static void test_unix_path(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	strcpy(un.sun_path, "/run/x.sock");
	assert_text(&un, sizeof(un), "/run/x.sock");
	assert_text(&un, offsetof(struct sockaddr_un, sun_path) + 4, "/run");
	memset(un.sun_path, 'a', sizeof(un.sun_path));
	char *whole = text_of(&un, sizeof(un));
	assert_int_equal(strlen(whole), sizeof(un.sun_path));
	free(whole);
	strcpy(un.sun_path, "/a\"b\\c\x1b[2J");
	assert_text(&un, sizeof(un), "/a\"b\\c\\x1b[2J");
	assert_json(&un, sizeof(un),
	        "{\"family\":\"AF_UNIX\",\"path\":\"/a\\\"b\\\\c\\u001b[2J\",\"text\":\"/a\\\"b\\\\c\\u001b[2J\"}");
}

/* A leading zero byte makes an abstract name, in which further zero bytes count; no bytes are no name. */
static void test_unix_without_path(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	memcpy(un.sun_path, "\0ab\0c", 5);
	assert_text(&un, offsetof(struct sockaddr_un, sun_path) + 5, "@ab\\x00c");
	assert_json(&un, offsetof(struct sockaddr_un, sun_path) + 3,
	        "{\"family\":\"AF_UNIX\",\"abstract\":\"ab\",\"text\":\"@ab\"}");
	assert_text(&un, offsetof(struct sockaddr_un, sun_path), "(unnamed)");
	assert_text(&un, offsetof(struct sockaddr_un, sun_path) + 1, "@");
}

static void test_inet(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_text(&in, sizeof(in), "127.0.0.1:80");
	assert_text(&in, 8, "127.0.0.1:80"); /* sin_zero need not be there */
	assert_json(&in, sizeof(in),
	        "{\"family\":\"AF_INET\",\"address\":\"127.0.0.1\",\"port\":80,\"text\":\"127.0.0.1:80\"}");
	assert_text(&in, 7, "AF_INET 00507f0000");
}

/* Every address has the text that getnameinfo() gives it. */
static void test_inet6_as_getnameinfo(void **state)
{
	srandom(1);
	for (int i = 0; i < 2000; i++) {
		struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)random())};
		char host[64], port[16], want[128];
		for (int b = 0; b < 16; b++)
			in.sin6_addr.s6_addr[b] = random() % 3 ? 0 : (uint8_t)random();
		/* A scope only on a global address: getnameinfo() looks interfaces up for link-local ones. */
		in.sin6_addr.s6_addr[0] = 0x20;
		in.sin6_scope_id = random() % 2 ? 7 : 0;
		assert_int_equal(getnameinfo((struct sockaddr *)&in, sizeof(in), host, sizeof(host), port, sizeof(port),
		                         NI_NUMERICHOST | NI_NUMERICSERV),
		        0);
		snprintf(want, sizeof(want), "[%s]:%s", host, port);
		assert_text(&in, sizeof(in), want);
	}
}

static void test_inet6(void **state)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(443), .sin6_scope_id = 2};
	inet_pton(AF_INET6, "fe80::1", &in.sin6_addr);
	assert_text(&in, sizeof(in), "[fe80::1%2]:443");
	assert_text(&in, 24, "[fe80::1]:443"); /* the form without scope */
	assert_json(&in, sizeof(in),
	        "{\"family\":\"AF_INET6\",\"address\":\"fe80::1\",\"port\":443,\"scope_id\":2,\"flowinfo\":0,"
	        "\"text\":\"[fe80::1%2]:443\"}");
}

static void test_other_families(void **state)
{
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK, .nl_pid = 12, .nl_groups = 0x11};
	assert_text(&nl, sizeof(nl), "netlink:pid=12,groups=0x11");
	struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 1024};
	assert_text(&vm, sizeof(vm), "vsock:*:1024");
	struct sockaddr_ll ll = {
	        .sll_family = AF_PACKET, .sll_protocol = htons(0x0800), .sll_ifindex = 2, .sll_halen = 6};
	memcpy(ll.sll_addr, "\x02\x42\xac\x11\x00\x02", 6);
	assert_text(&ll, sizeof(ll), "packet:ifindex=2,protocol=0x0800,address=02:42:ac:11:00:02");
	ll.sll_halen = 255; /* says more than there is */
	assert_text(&ll, 14, "packet:ifindex=2,protocol=0x0800,address=02:42");
	assert_text("\x1d\0\x01\x02", 4, "AF_CAN 0102");
	assert_text("\xff\x7f\x01\x02", 4, "32767 0102");
	assert_text("\x01", 1, "(short) 01");
	assert_text("", 0, "(none)");
	assert_json("\x01", 1, "{\"family\":null,\"data\":\"01\",\"text\":\"(short) 01\"}");
}

/* No length and no bytes make it read beyond them (the sanitizers look), and the JSON form stays one line of printable
 * ASCII or valid UTF-8. */
static void test_any_bytes(void **state)
{
	static const uint8_t families[] = {
	        AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_VSOCK, AF_PACKET, AF_CAN};
	srandom(2);
	for (int i = 0; i < 20000; i++) {
		uint8_t bytes[130];
		size_t len = (size_t)random() % (sizeof(bytes) + 1);
		for (size_t b = 0; b < sizeof(bytes); b++)
			bytes[b] = (uint8_t)random();
		bytes[0] = families[(size_t)random() % sizeof(families)];
		bytes[1] = 0;
		char *text = text_of(bytes, len), *json = json_of(bytes, len);
		for (const char *p = text; *p; p++)
			assert_true(((unsigned char)*p >= 0x20 && *p != 0x7f) || *p == '\t');
		for (const char *p = json; *p; p++)
			assert_true((unsigned char)*p >= 0x20);
		assert_true(json[0] == '{' && json[strlen(json) - 1] == '}');
		free(text);
		free(json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_unix_path),
	        cmocka_unit_test(test_unix_without_path),
	        cmocka_unit_test(test_inet),
	        cmocka_unit_test(test_inet6),
	        cmocka_unit_test(test_inet6_as_getnameinfo),
	        cmocka_unit_test(test_other_families),
	        cmocka_unit_test(test_any_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
