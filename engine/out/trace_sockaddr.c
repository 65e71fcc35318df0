/* Socket addresses from JSON: what sockaddr_json() says of the bytes that come out is what was read. */
#include "engine/out/trace_reader.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static bool read_unix(struct text *out, struct json_object *from)
{
	static const sa_family_t family = AF_UNIX;
	const char *name;
	size_t len;
	text_add(out, &family, sizeof(family));
	if (trace_text(from, "abstract", &name, &len)) {
		text_addc(out, 0);
		text_add(out, name, len);
	} else if (trace_text(from, "path", &name, &len)) {
		text_add(out, name, len);
	}
	return true;
}

static bool read_inet(struct text *out, struct json_object *from)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	const char *host;
	uint32_t port;
	if (!trace_text(from, "address", &host, NULL) || !trace_u32(from, "port", &port) ||
	        inet_pton(AF_INET, host, &in.sin_addr) != 1)
		return false;
	in.sin_port = htons((uint16_t)port);
	text_add(out, &in, sizeof(in));
	return true;
}

static bool read_inet6(struct text *out, struct json_object *from)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6};
	const char *host;
	uint32_t port, flow = 0;
	if (!trace_text(from, "address", &host, NULL) || !trace_u32(from, "port", &port) ||
	        inet_pton(AF_INET6, host, &in.sin6_addr) != 1)
		return false;
	in.sin6_port = htons((uint16_t)port);
	trace_u32(from, "scope_id", &in.sin6_scope_id);
	trace_u32(from, "flowinfo", &flow);
	in.sin6_flowinfo = htonl(flow);
	text_add(out, &in, sizeof(in));
	return true;
}

static bool read_netlink(struct text *out, struct json_object *from)
{
	struct sockaddr_nl netlink = {.nl_family = AF_NETLINK};
	if (!trace_u32(from, "pid", &netlink.nl_pid) || !trace_u32(from, "groups", &netlink.nl_groups))
		return false;
	text_add(out, &netlink, sizeof(netlink));
	return true;
}

static bool read_vsock(struct text *out, struct json_object *from)
{
	struct sockaddr_vm vsock = {.svm_family = AF_VSOCK};
	uint32_t cid, port;
	if (!trace_u32(from, "cid", &cid) || !trace_u32(from, "port", &port))
		return false;
	vsock.svm_cid = cid;
	vsock.svm_port = port;
	text_add(out, &vsock, sizeof(vsock));
	return true;
}

static bool read_packet(struct text *out, struct json_object *from)
{
	struct sockaddr_ll packet = {.sll_family = AF_PACKET};
	struct json_object *index = trace_member(from, "ifindex", json_type_int);
	const char *address;
	uint32_t protocol;
	unsigned byte;
	int n;
	if (!index || !trace_u32(from, "protocol", &protocol) || !trace_text(from, "address", &address, NULL))
		return false;
	packet.sll_ifindex = json_object_get_int(index);
	packet.sll_protocol = htons((uint16_t)protocol);
	while (packet.sll_halen < sizeof(packet.sll_addr) && sscanf(address, "%2x%n", &byte, &n) == 1) {
		packet.sll_addr[packet.sll_halen++] = (uint8_t)byte;
		address += n;
		address += *address == ':';
	}
	text_add(out, &packet, sizeof(packet));
	return !*address;
}

bool trace_sockaddr_read(struct text *out, struct json_object *from)
{
	static const struct {
		const char *name;
		bool (*read)(struct text *out, struct json_object *from);
	} families[] = {
	        {"AF_UNIX", read_unix},
	        {"AF_INET", read_inet},
	        {"AF_INET6", read_inet6},
	        {"AF_NETLINK", read_netlink},
	        {"AF_VSOCK", read_vsock},
	        {"AF_PACKET", read_packet},
	};
	const char *family;
	if (!trace_text(from, "family", &family, NULL))
		return false;
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		if (strcmp(families[i].name, family) == 0)
			return families[i].read(out, from);
	return false;
}
