/* Socket addresses, decoded from the bytes that a traced process passed to the kernel.
 *
 * The bytes are the process's own: too short for their family, longer than it, without a terminating zero, or of no
 * known family. So an address is first parsed into struct address, where each family checks the length that it needs,
 * and what does not parse is shown as its bytes in hexadecimal: never as a guess.
 *
 * AF_UNIX needs care (unix(7)): a path ends at its first zero byte *or* at the end of the bytes; a leading zero byte
 * makes the rest a name in the abstract namespace, in which zero bytes count; and no bytes behind the family mean that
 * there is no name (for bind: that the kernel chooses one). */
#include "engine/out/sockaddr.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
	bool known;      /* parsed: else only `family` (if has_family) and the bytes mean something */
	bool has_family; /* there were at least two bytes */
	sa_family_t family;
	const char *name; /* AF_UNIX: path or abstract name */
	size_t name_len;
	bool abstract;
	char host[INET6_ADDRSTRLEN]; /* AF_INET, AF_INET6 */
	uint16_t port;
	uint32_t scope, flow;
	union {
		struct sockaddr_nl netlink;
		struct sockaddr_vm vsock;
		struct sockaddr_ll packet;
	};
};

static bool parse_unix(struct address *a, const uint8_t *data, size_t len)
{
	const char *path = (const char *)data + sizeof(sa_family_t);
	size_t room = len - sizeof(sa_family_t);
	a->abstract = room && !path[0];
	a->name = path + a->abstract;
	a->name_len = a->abstract ? room - 1 : strnlen(path, room);
	return true;
}

static bool parse_inet(struct address *a, const uint8_t *data, size_t len)
{
	struct sockaddr_in in;
	/* The kernel wants 16 bytes, of which the last 8 mean nothing. */
	if (len < offsetof(struct sockaddr_in, sin_zero))
		return false;
	memcpy(&in, data, offsetof(struct sockaddr_in, sin_zero));
	inet_ntop(AF_INET, &in.sin_addr, a->host, sizeof(a->host));
	a->port = ntohs(in.sin_port);
	return true;
}

static bool parse_inet6(struct address *a, const uint8_t *data, size_t len)
{
	struct sockaddr_in6 in = {0};
	/* 24 bytes is what RFC 2133 defined and the kernel still takes: no scope. */
	if (len < offsetof(struct sockaddr_in6, sin6_scope_id))
		return false;
	memcpy(&in, data, len < sizeof(in) ? len : sizeof(in));
	inet_ntop(AF_INET6, &in.sin6_addr, a->host, sizeof(a->host));
	a->port = ntohs(in.sin6_port);
	a->flow = ntohl(in.sin6_flowinfo);
	a->scope = len < sizeof(in) ? 0 : in.sin6_scope_id;
	return true;
}

static bool parse_fixed(void *ret, size_t need, size_t size, const uint8_t *data, size_t len)
{
	if (len < need)
		return false;
	memset(ret, 0, size);
	memcpy(ret, data, len < size ? len : size);
	return true;
}

static bool parse_packet(struct address *a, const uint8_t *data, size_t len)
{
	if (!parse_fixed(&a->packet, offsetof(struct sockaddr_ll, sll_addr), sizeof(a->packet), data, len))
		return false;
	size_t got = len - offsetof(struct sockaddr_ll, sll_addr);
	size_t most = got < sizeof(a->packet.sll_addr) ? got : sizeof(a->packet.sll_addr);
	if (a->packet.sll_halen > most)
		a->packet.sll_halen = (unsigned char)most;
	return true;
}

static struct address parse(const uint8_t *data, size_t len)
{
	struct address a = {0};
	if (len < sizeof(sa_family_t))
		return a;
	memcpy(&a.family, data, sizeof(a.family));
	a.has_family = true;
	switch (a.family) {
	case AF_UNIX:
		a.known = parse_unix(&a, data, len);
		break;
	case AF_INET:
		a.known = parse_inet(&a, data, len);
		break;
	case AF_INET6:
		a.known = parse_inet6(&a, data, len);
		break;
	case AF_NETLINK:
		a.known = parse_fixed(&a.netlink, sizeof(a.netlink), sizeof(a.netlink), data, len);
		break;
	case AF_VSOCK:
		a.known = parse_fixed(&a.vsock, offsetof(struct sockaddr_vm, svm_flags), sizeof(a.vsock), data, len);
		break;
	case AF_PACKET:
		a.known = parse_packet(&a, data, len);
		break;
	}
	return a;
}

/* The AF_ constants by value: several names share one (AF_LOCAL, AF_FILE, AF_UNIX), so the common ones are said here.
 */
static const char *common_family(sa_family_t family)
{
	switch (family) {
	case AF_UNSPEC:
		return "AF_UNSPEC";
	case AF_UNIX:
		return "AF_UNIX";
	case AF_INET:
		return "AF_INET";
	case AF_INET6:
		return "AF_INET6";
	case AF_NETLINK:
		return "AF_NETLINK";
	case AF_PACKET:
		return "AF_PACKET";
	case AF_VSOCK:
		return "AF_VSOCK";
	case AF_BLUETOOTH:
		return "AF_BLUETOOTH";
	case AF_CAN:
		return "AF_CAN";
	case AF_TIPC:
		return "AF_TIPC";
	case AF_ALG:
		return "AF_ALG";
	case AF_XDP:
		return "AF_XDP";
	}
	return NULL;
}

const char *sockaddr_family(unsigned family)
{
	return family <= UINT16_MAX ? common_family((sa_family_t)family) : NULL;
}

static void add_hex(struct text *out, const uint8_t *data, size_t len)
{
	char *at = text_reserve(out, 2 * len);
	if (!at)
		return;
	for (size_t i = 0; i < len; i++) {
		*at++ = "0123456789abcdef"[data[i] >> 4];
		*at++ = "0123456789abcdef"[data[i] & 15];
	}
	*at = 0;
	out->len += 2 * len;
}

static void add_family(struct text *out, sa_family_t family)
{
	const char *name = common_family(family);
	if (name)
		text_adds(out, name);
	else
		text_addu(out, family);
}

static void add_link_address(struct text *out, const struct sockaddr_ll *packet)
{
	for (unsigned i = 0; i < packet->sll_halen; i++) {
		if (i)
			text_addc(out, ':');
		add_hex(out, &packet->sll_addr[i], 1);
	}
}

/* How the text form treats bytes of a name: for a terminal, or for the inside of a JSON string. */
typedef void add_name_fn(struct text *out, const char *s, size_t n);

static void unix_text(struct text *out, const struct address *a, add_name_fn *add_name)
{
	if (!a->name_len && !a->abstract) {
		text_adds(out, "(unnamed)");
		return;
	}
	if (a->abstract)
		text_addc(out, '@');
	add_name(out, a->name, a->name_len);
}

static void vsock_number(struct text *out, unsigned v)
{
	if (v == VMADDR_CID_ANY)
		text_addc(out, '*');
	else
		text_addu(out, v);
}

static void known_text(struct text *out, const struct address *a, add_name_fn *add_name)
{
	switch (a->family) {
	case AF_UNIX:
		unix_text(out, a, add_name);
		break;
	case AF_INET:
		text_printf(out, "%s:%u", a->host, a->port);
		break;
	case AF_INET6:
		if (a->scope)
			text_printf(out, "[%s%%%u]:%u", a->host, a->scope, a->port);
		else
			text_printf(out, "[%s]:%u", a->host, a->port);
		break;
	case AF_NETLINK:
		text_printf(out, "netlink:pid=%u,groups=%#x", a->netlink.nl_pid, a->netlink.nl_groups);
		break;
	case AF_VSOCK:
		text_adds(out, "vsock:");
		vsock_number(out, a->vsock.svm_cid);
		text_addc(out, ':');
		vsock_number(out, a->vsock.svm_port);
		break;
	case AF_PACKET:
		text_printf(
		        out, "packet:ifindex=%d,protocol=%#06x", a->packet.sll_ifindex, ntohs(a->packet.sll_protocol));
		if (a->packet.sll_halen)
			text_adds(out, ",address=");
		add_link_address(out, &a->packet);
		break;
	}
}

static void address_text(
        struct text *out, const struct address *a, const uint8_t *data, size_t len, add_name_fn *add_name)
{
	if (a->known) {
		known_text(out, a, add_name);
	} else if (!a->has_family) {
		text_adds(out, len ? "(short) " : "(none)");
		add_hex(out, data, len);
	} else {
		add_family(out, a->family);
		if (len > sizeof(a->family))
			text_addc(out, ' ');
		add_hex(out, data + sizeof(a->family), len - sizeof(a->family));
	}
}

void sockaddr_text(struct text *out, const uint8_t *data, size_t len)
{
	struct address a = parse(data, len);
	address_text(out, &a, data, len, text_add_clean);
}

static void known_json(struct text *out, const struct address *a)
{
	switch (a->family) {
	case AF_UNIX:
		if (!a->name_len && !a->abstract)
			break;
		text_adds(out, a->abstract ? ",\"abstract\":\"" : ",\"path\":\"");
		text_add_json(out, a->name, a->name_len);
		text_addc(out, '"');
		break;
	case AF_INET6:
	case AF_INET:
		text_printf(out, ",\"address\":\"%s\",\"port\":%u", a->host, a->port);
		if (a->family == AF_INET6)
			text_printf(out, ",\"scope_id\":%u,\"flowinfo\":%u", a->scope, a->flow);
		break;
	case AF_NETLINK:
		text_printf(out, ",\"pid\":%u,\"groups\":%u", a->netlink.nl_pid, a->netlink.nl_groups);
		break;
	case AF_VSOCK:
		text_printf(out, ",\"cid\":%u,\"port\":%u", a->vsock.svm_cid, a->vsock.svm_port);
		break;
	case AF_PACKET:
		text_printf(out, ",\"protocol\":%u,\"ifindex\":%d,\"address\":\"", ntohs(a->packet.sll_protocol),
		        a->packet.sll_ifindex);
		add_link_address(out, &a->packet);
		text_addc(out, '"');
		break;
	}
}

void sockaddr_json(struct text *out, const uint8_t *data, size_t len)
{
	struct address a = parse(data, len);
	text_adds(out, "{\"family\":");
	if (a.has_family && common_family(a.family))
		text_printf(out, "\"%s\"", common_family(a.family));
	else if (a.has_family)
		text_addu(out, a.family);
	else
		text_adds(out, "null");
	if (a.known) {
		known_json(out, &a);
	} else {
		text_adds(out, ",\"data\":\"");
		add_hex(out, data, len);
		text_addc(out, '"');
	}
	text_adds(out, ",\"text\":\"");
	address_text(out, &a, data, len, text_add_json);
	text_adds(out, "\"}");
}
