/* sock_diag (sock_diag(7)): one dump a family of sockets, in the network namespace of the process that is asked about.
 *
 * A netlink socket belongs to the namespace in which it was made. To make one in another namespace a thread has to be
 * there for a moment; a short-lived one goes, so that the host's own threads never leave theirs.
 *
 * A family without sock_diag (a kernel built without it, a module that is not there) is left out and named: its sockets
 * then have an inode and nothing more. The peer of a Unix socket is told by the kernel. That of a TCP socket is the one
 * whose two addresses are the same with their sides changed, if it is on this machine, in a namespace that was read.
 *
 * Everything is bounded: the kernel sends what there is in pieces of 32 KiB, MAX_SOCKETS are kept, and a dump that
 * gives nothing for five seconds is given up. */
#include "engine/proc/sockets.h"
#include "engine/base/grow.h"
#include "engine/proc/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h> /* some versions of the next need it */
#include <linux/vm_sockets.h>
#include <linux/vm_sockets_diag.h>
#include <net/if_arp.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_SOCKETS = 4 << 20, PIECE = 32768, PATIENCE_SECONDS = 5 };

/* One question and who reads its answers. */
struct dump {
	struct sockets *sockets;
	uint16_t space;
	uint8_t protocol;
};
typedef void read_fn(struct dump *dump, const void *data, size_t len);

static uint32_t add_address(struct sockets *sockets, const void *address, size_t len)
{
	uint32_t at = (uint32_t)sockets->addresses.len;
	text_add(&sockets->addresses, address, len);
	return at;
}

static struct socket_info *add_socket(struct dump *dump, uint64_t inode)
{
	struct sockets *sockets = dump->sockets;
	if (!inode)
		return NULL; /* of nobody: a connection in TIME_WAIT, one that was not accepted yet */
	if (sockets->n >= MAX_SOCKETS ||
	        grow(&sockets->list, &sockets->cap, sockets->n + 1, sizeof(*sockets->list)) < 0) {
		sockets->cut = true;
		return NULL;
	}
	struct socket_info *socket = &sockets->list[sockets->n++];
	memset(socket, 0, sizeof(*socket));
	socket->inode = inode;
	socket->space = dump->space;
	return socket;
}

static void set_local(struct sockets *sockets, struct socket_info *socket, const void *address, size_t len)
{
	socket->local = add_address(sockets, address, len);
	socket->local_len = (uint8_t)len;
}

static void set_remote(struct sockets *sockets, struct socket_info *socket, const void *address, size_t len)
{
	socket->remote = add_address(sockets, address, len);
	socket->remote_len = (uint8_t)len;
}

/* --- AF_UNIX --- */

static void set_unix_name(struct sockets *sockets, struct socket_info *socket, const void *name, size_t len)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (len > sizeof(address.sun_path))
		len = sizeof(address.sun_path);
	memcpy(address.sun_path, name, len);
	set_local(sockets, socket, &address, offsetof(struct sockaddr_un, sun_path) + len);
}

/* The attributes behind a message's fixed part. */
static void read_attributes(
        const void *data, size_t len, void (*fn)(void *user, int type, const void *data, size_t len), void *user)
{
	const uint8_t *at = data;
	while (len >= sizeof(struct nlattr)) {
		struct nlattr attribute;
		memcpy(&attribute, at, sizeof(attribute));
		size_t step = NLA_ALIGN(attribute.nla_len);
		if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > len)
			return;
		fn(user, attribute.nla_type & NLA_TYPE_MASK, at + NLA_HDRLEN, attribute.nla_len - NLA_HDRLEN);
		if (step >= len)
			return;
		at += step;
		len -= step;
	}
}

struct unix_reading {
	struct sockets *sockets;
	struct socket_info *socket;
};

static void unix_attribute(void *user, int type, const void *data, size_t len)
{
	struct unix_reading *reading = user;
	struct unix_diag_rqlen queue;
	uint32_t peer;
	if (type == UNIX_DIAG_NAME) {
		set_unix_name(reading->sockets, reading->socket, data, len);
	} else if (type == UNIX_DIAG_PEER && len >= sizeof(peer)) {
		memcpy(&peer, data, sizeof(peer));
		reading->socket->peer = peer;
	} else if (type == UNIX_DIAG_RQLEN && len >= sizeof(queue)) {
		memcpy(&queue, data, sizeof(queue));
		reading->socket->waiting = reading->socket->state == TCP_LISTEN ? queue.udiag_rqueue : 0;
	}
}

static void read_unix(struct dump *dump, const void *data, size_t len)
{
	struct unix_diag_msg message;
	if (len < sizeof(message))
		return;
	memcpy(&message, data, sizeof(message));
	struct socket_info *socket = add_socket(dump, message.udiag_ino);
	if (!socket)
		return;
	socket->family = AF_UNIX;
	socket->type = message.udiag_type;
	socket->state = message.udiag_state;
	struct unix_reading reading = {dump->sockets, socket};
	read_attributes((const uint8_t *)data + sizeof(message), len - sizeof(message), unix_attribute, &reading);
}

/* --- AF_INET, AF_INET6 --- */

static int type_of(uint8_t protocol)
{
	return protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ? SOCK_DGRAM
	       : protocol == IPPROTO_RAW                              ? SOCK_RAW
	                                                              : SOCK_STREAM;
}

static size_t inet_address(struct sockaddr_in6 *ret, uint8_t family, const void *bits, uint16_t port, uint32_t device)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	memset(ret, 0, sizeof(*ret));
	if (family == AF_INET) {
		four->sin_family = AF_INET;
		four->sin_port = port;
		memcpy(&four->sin_addr, bits, sizeof(four->sin_addr));
		return sizeof(*four);
	}
	ret->sin6_family = AF_INET6;
	ret->sin6_port = port;
	memcpy(&ret->sin6_addr, bits, sizeof(ret->sin6_addr));
	if (IN6_IS_ADDR_LINKLOCAL(&ret->sin6_addr))
		ret->sin6_scope_id = device;
	return sizeof(*ret);
}

static bool has_remote(const struct inet_diag_msg *message)
{
	static const uint8_t zeros[16];
	return message->id.idiag_dport || memcmp(message->id.idiag_dst, zeros, sizeof(zeros)) != 0;
}

static void read_inet(struct dump *dump, const void *data, size_t len)
{
	struct inet_diag_msg message;
	struct sockaddr_in6 address;
	if (len < sizeof(message))
		return;
	memcpy(&message, data, sizeof(message));
	struct socket_info *socket = add_socket(dump, message.idiag_inode);
	if (!socket || (message.idiag_family != AF_INET && message.idiag_family != AF_INET6))
		return;
	socket->family = message.idiag_family;
	socket->protocol = dump->protocol;
	socket->type = (uint8_t)type_of(dump->protocol);
	socket->state = message.idiag_state;
	socket->waiting = message.idiag_state == TCP_LISTEN ? message.idiag_rqueue : 0;
	size_t size = inet_address(
	        &address, socket->family, message.id.idiag_src, message.id.idiag_sport, message.id.idiag_if);
	set_local(dump->sockets, socket, &address, size);
	if (!has_remote(&message))
		return;
	size = inet_address(
	        &address, socket->family, message.id.idiag_dst, message.id.idiag_dport, message.id.idiag_if);
	set_remote(dump->sockets, socket, &address, size);
}

/* --- AF_NETLINK, AF_PACKET, AF_VSOCK --- */

static void read_netlink(struct dump *dump, const void *data, size_t len)
{
	struct netlink_diag_msg message;
	if (len < sizeof(message))
		return;
	memcpy(&message, data, sizeof(message));
	struct socket_info *socket = add_socket(dump, message.ndiag_ino);
	if (!socket)
		return;
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_pid = message.ndiag_portid};
	socket->family = AF_NETLINK;
	socket->type = message.ndiag_type;
	socket->protocol = message.ndiag_protocol;
	set_local(dump->sockets, socket, &address, sizeof(address));
}

static void read_packet(struct dump *dump, const void *data, size_t len)
{
	struct packet_diag_msg message;
	if (len < sizeof(message))
		return;
	memcpy(&message, data, sizeof(message));
	struct socket_info *socket = add_socket(dump, message.pdiag_ino);
	if (!socket)
		return;
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(message.pdiag_num)};
	socket->family = AF_PACKET;
	socket->type = message.pdiag_type;
	set_local(dump->sockets, socket, &address, offsetof(struct sockaddr_ll, sll_addr));
}

static void read_vsock(struct dump *dump, const void *data, size_t len)
{
	struct vsock_diag_msg message;
	if (len < sizeof(message))
		return;
	memcpy(&message, data, sizeof(message));
	struct socket_info *socket = add_socket(dump, message.vdiag_ino);
	if (!socket)
		return;
	struct sockaddr_vm address = {
	        .svm_family = AF_VSOCK, .svm_cid = message.vdiag_src_cid, .svm_port = message.vdiag_src_port};
	socket->family = AF_VSOCK;
	socket->type = message.vdiag_type;
	socket->state = message.vdiag_state;
	set_local(dump->sockets, socket, &address, sizeof(address));
	if (message.vdiag_state != TCP_ESTABLISHED)
		return;
	address.svm_cid = message.vdiag_dst_cid;
	address.svm_port = message.vdiag_dst_port;
	set_remote(dump->sockets, socket, &address, sizeof(address));
}

/* --- asking --- */

union request {
	struct unix_diag_req un;
	struct inet_diag_req_v2 inet;
	struct netlink_diag_req netlink;
	struct packet_diag_req packet;
	struct vsock_diag_req vsock;
};

static int send_request(int fd, const union request *request, size_t size)
{
	struct {
		struct nlmsghdr head;
		union request body;
	} message = {.head = {.nlmsg_len = (uint32_t)(sizeof(struct nlmsghdr) + size),
	                     .nlmsg_type = SOCK_DIAG_BY_FAMILY,
	                     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	memcpy(&message.body, request, size);
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n = sendto(fd, &message, message.head.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	return n < 0 ? -errno : 0;
}

/* One piece of the answer. 1: more will come; 0: that was all; negative errno: the kernel says no. */
static int read_piece(const uint8_t *piece, size_t len, struct dump *dump, read_fn *read_it)
{
	while (len >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr head;
		int error = -EIO;
		memcpy(&head, piece, sizeof(head));
		if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > len)
			return -EIO;
		if (head.nlmsg_type == NLMSG_DONE)
			return 0;
		if (head.nlmsg_type == NLMSG_ERROR) {
			if (head.nlmsg_len >= sizeof(head) + sizeof(error))
				memcpy(&error, piece + sizeof(head), sizeof(error));
			return error < 0 ? error : 0;
		}
		if (head.nlmsg_type == SOCK_DIAG_BY_FAMILY)
			read_it(dump, piece + sizeof(head), head.nlmsg_len - sizeof(head));
		size_t step = NLMSG_ALIGN(head.nlmsg_len);
		if (step >= len)
			break;
		piece += step;
		len -= step;
	}
	return 1;
}

static int ask(int fd, const union request *request, size_t size, struct dump *dump, read_fn *read_it)
{
	int r = send_request(fd, request, size);
	uint8_t *piece = r == 0 ? malloc(PIECE) : NULL;
	if (!piece)
		return r ? r : -ENOMEM;
	do {
		ssize_t n = recv(fd, piece, PIECE, 0);
		if (n < 0 && errno == EINTR)
			continue;
		r = n > 0 ? read_piece(piece, (size_t)n, dump, read_it) : n < 0 ? -errno : -EIO;
	} while (r > 0);
	free(piece);
	return r;
}

static void note_trouble(struct sockets *sockets, const char *family, int error)
{
	size_t len = strlen(sockets->trouble);
	snprintf(sockets->trouble + len, sizeof(sockets->trouble) - len, "%s%s: %s", len ? ", " : "", family,
	        error == -ENOENT ? "no sock_diag in this kernel" : strerror(-error));
}

/* What a machine may well not have is not worth a word. */
static void ask_others(int fd, struct dump *dump)
{
	union request request;
	request = (union request){.netlink = {
	                                  .sdiag_family = AF_NETLINK,
	                                  .sdiag_protocol = NDIAG_PROTO_ALL,
	                          }};
	ask(fd, &request, sizeof(request.netlink), dump, read_netlink);
	request = (union request){.packet = {.sdiag_family = AF_PACKET}};
	ask(fd, &request, sizeof(request.packet), dump, read_packet);
	request = (union request){.vsock = {.sdiag_family = AF_VSOCK, .vdiag_states = UINT32_MAX}};
	ask(fd, &request, sizeof(request.vsock), dump, read_vsock);
}

static void ask_inet(int fd, struct dump *dump)
{
	static const uint8_t protocols[] = {
	        IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_SCTP, IPPROTO_RAW, IPPROTO_ICMP};
	for (size_t i = 0; i < sizeof(protocols); i++) {
		for (int family = AF_INET; family <= AF_INET6; family += AF_INET6 - AF_INET) {
			union request request = {.inet = {
			                                 .sdiag_family = (uint8_t)family,
			                                 .sdiag_protocol = protocols[i],
			                                 .idiag_states = UINT32_MAX,
			                         }};
			dump->protocol = protocols[i];
			int r = ask(fd, &request, sizeof(request.inet), dump, read_inet);
			if (r < 0 && protocols[i] == IPPROTO_TCP && family == AF_INET)
				note_trouble(dump->sockets, "TCP", r);
		}
	}
}

static void ask_all(int fd, struct dump *dump)
{
	union request request = {.un = {
	                                 .sdiag_family = AF_UNIX,
	                                 .udiag_states = UINT32_MAX,
	                                 .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN,
	                         }};
	int r = ask(fd, &request, sizeof(request.un), dump, read_unix);
	if (r < 0)
		note_trouble(dump->sockets, "Unix sockets", r);
	ask_inet(fd, dump);
	ask_others(fd, dump);
}

/* --- being in the right namespace --- */

struct visit {
	int space; /* descriptor of the namespace; -1: the one we are in */
	int fd, error;
};

static void *visit_main(void *user)
{
	struct visit *visit = user;
	struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	if (visit->space >= 0 && setns(visit->space, CLONE_NEWNET) < 0) {
		visit->error = -errno;
		return NULL;
	}
	visit->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	visit->error = visit->fd < 0 ? -errno : 0;
	if (visit->fd >= 0)
		setsockopt(visit->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return NULL;
}

static int visit_in_thread(struct visit *visit)
{
	pthread_t thread;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&thread, NULL, visit_main, visit);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return -r;
	pthread_join(thread, NULL);
	return visit->error;
}

/* A netlink socket in the namespace of a process; *ret_space identifies the namespace. */
static int open_diag(pid_t pid, ino_t *ret_space)
{
	char path[64];
	struct stat theirs, ours;
	struct visit visit = {.space = -1, .fd = -1};
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	int space = open(path, O_RDONLY | O_CLOEXEC);
	if (space < 0 || fstat(space, &theirs) < 0 || stat("/proc/thread-self/ns/net", &ours) < 0) {
		int error = -errno;
		if (space >= 0)
			close(space);
		return error;
	}
	*ret_space = theirs.st_ino;
	if (theirs.st_ino != ours.st_ino)
		visit.space = space;
	int r = visit.space >= 0 ? visit_in_thread(&visit) : (visit_main(&visit), visit.error);
	close(space);
	return r < 0 ? r : visit.fd;
}

static bool was_read(const struct sockets *sockets, ino_t space)
{
	for (size_t i = 0; i < sockets->nspaces; i++)
		if (sockets->spaces[i] == space)
			return true;
	return false;
}

int sockets_read(struct sockets *sockets, pid_t pid, struct err *err)
{
	ino_t space = 0;
	int fd = open_diag(pid, &space);
	if (fd < 0)
		return err_set(err, fd, fd == -EPERM || fd == -EACCES ? ERR_PERMISSION : ERR_RUNTIME, "sock-diag",
		        "cannot ask about the sockets of process %d: %s", (int)pid, strerror(-fd));
	if (was_read(sockets, space) || sockets->nspaces >= UINT16_MAX) {
		close(fd);
		return 0;
	}
	if (grow(&sockets->spaces, &sockets->spaces_cap, sockets->nspaces + 1, sizeof(space)) < 0) {
		close(fd);
		return err_nomem(err);
	}
	struct dump dump = {.sockets = sockets, .space = (uint16_t)sockets->nspaces};
	sockets->spaces[sockets->nspaces++] = space;
	ask_all(fd, &dump);
	close(fd);
	return text_failed(&sockets->addresses) ? err_nomem(err) : 0;
}

/* --- finding --- */

static int by_inode(const void *a, const void *b)
{
	const struct socket_info *x = a, *y = b;
	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

void sockets_sort(struct sockets *sockets)
{
	free(sockets->ends); /* of what was read before */
	sockets->ends = NULL;
	sockets->nends = 0;
	if (sockets->n)
		qsort(sockets->list, sockets->n, sizeof(*sockets->list), by_inode);
}

const struct socket_info *sockets_find(const struct sockets *sockets, uint64_t inode)
{
	struct socket_info key = {.inode = inode};
	return sockets->n ? bsearch(&key, sockets->list, sockets->n, sizeof(key), by_inode) : NULL;
}

const uint8_t *socket_local(const struct sockets *sockets, const struct socket_info *socket)
{
	return (const uint8_t *)text_str(&sockets->addresses) + socket->local;
}

const uint8_t *socket_remote(const struct sockets *sockets, const struct socket_info *socket)
{
	return (const uint8_t *)text_str(&sockets->addresses) + socket->remote;
}

/* A connection as one of its sides sees it. IPv4 addresses are written as IPv6 sees them, so that a socket of each
 * family can be two ends of one connection. */
struct sockets_ends {
	uint8_t local[18], remote[18];
	uint16_t space;
	uint64_t inode;
};

static void add_end(uint8_t ret[18], const uint8_t *address)
{
	struct sockaddr_in four;
	struct sockaddr_in6 six;
	memcpy(&four, address, sizeof(four));
	if (four.sin_family == AF_INET) {
		static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
		memcpy(ret, mapped, sizeof(mapped));
		memcpy(ret + 12, &four.sin_addr, 4);
	} else {
		memcpy(&six, address, sizeof(six));
		memcpy(ret, &six.sin6_addr, 16);
	}
	memcpy(ret + 16, &four.sin_port, 2); /* at the same place in both */
}

static bool is_connection(const struct socket_info *socket)
{
	return (socket->family == AF_INET || socket->family == AF_INET6) && socket->protocol == IPPROTO_TCP &&
	       socket->local_len && socket->remote_len;
}

static struct sockets_ends ends_of(const struct sockets *sockets, const struct socket_info *socket)
{
	struct sockets_ends ends = {.space = socket->space, .inode = socket->inode};
	add_end(ends.local, socket_local(sockets, socket));
	add_end(ends.remote, socket_remote(sockets, socket));
	return ends;
}

static int by_ends(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct sockets_ends, space));
}

static void make_ends(struct sockets *sockets)
{
	sockets->ends = calloc(sockets->n + 1, sizeof(*sockets->ends));
	for (size_t i = 0; sockets->ends && i < sockets->n; i++)
		if (is_connection(&sockets->list[i]))
			sockets->ends[sockets->nends++] = ends_of(sockets, &sockets->list[i]);
	if (sockets->ends && sockets->nends)
		qsort(sockets->ends, sockets->nends, sizeof(*sockets->ends), by_ends);
}

/* Two namespaces may use the same addresses: one in the same is preferred, and two that fit equally well are none. */
static uint64_t other_end(const struct sockets *sockets, const struct socket_info *socket)
{
	struct sockets_ends mine = ends_of(sockets, socket), key = mine;
	memcpy(key.local, mine.remote, sizeof(key.local));
	memcpy(key.remote, mine.local, sizeof(key.remote));
	const struct sockets_ends *end = sockets->ends + sockets->nends, *at;
	at = sockets->nends ? bsearch(&key, sockets->ends, sockets->nends, sizeof(key), by_ends) : NULL;
	if (!at)
		return 0;
	while (at > sockets->ends && by_ends(at - 1, &key) == 0)
		at--;
	uint64_t elsewhere = 0;
	size_t nelsewhere = 0;
	for (; at < end && by_ends(at, &key) == 0; at++) {
		if (at->space == mine.space)
			return at->inode;
		elsewhere = at->inode;
		nelsewhere++;
	}
	return nelsewhere == 1 ? elsewhere : 0;
}

uint64_t sockets_peer(struct sockets *sockets, const struct socket_info *socket)
{
	if (!is_connection(socket))
		return socket->peer;
	if (!sockets->ends)
		make_ends(sockets);
	return sockets->ends ? other_end(sockets, socket) : 0;
}

void sockets_fini(struct sockets *sockets)
{
	free(sockets->list);
	free(sockets->ends);
	free(sockets->spaces);
	text_fini(&sockets->addresses);
	memset(sockets, 0, sizeof(*sockets));
}

const char *socket_type_name(unsigned type)
{
	static const char *const names[] = {[SOCK_STREAM] = "SOCK_STREAM",
	        [SOCK_DGRAM] = "SOCK_DGRAM",
	        [SOCK_RAW] = "SOCK_RAW",
	        [SOCK_RDM] = "SOCK_RDM",
	        [SOCK_SEQPACKET] = "SOCK_SEQPACKET"};
	return type < sizeof(names) / sizeof(*names) ? names[type] : NULL;
}

const char *socket_state_name(const struct socket_info *socket)
{
	static const char *const names[] = {[TCP_ESTABLISHED] = "ESTABLISHED",
	        [TCP_SYN_SENT] = "SYN_SENT",
	        [TCP_SYN_RECV] = "SYN_RECV",
	        [TCP_FIN_WAIT1] = "FIN_WAIT1",
	        [TCP_FIN_WAIT2] = "FIN_WAIT2",
	        [TCP_TIME_WAIT] = "TIME_WAIT",
	        [TCP_CLOSE] = "CLOSE",
	        [TCP_CLOSE_WAIT] = "CLOSE_WAIT",
	        [TCP_LAST_ACK] = "LAST_ACK",
	        [TCP_LISTEN] = "LISTEN",
	        [TCP_CLOSING] = "CLOSING"};
	bool has_one = socket->family == AF_INET || socket->family == AF_INET6 || socket->family == AF_UNIX ||
	               socket->family == AF_VSOCK;
	if (!has_one || socket->state >= sizeof(names) / sizeof(*names))
		return NULL;
	return names[socket->state];
}
