/* The sockets of a network namespace, as the kernel's sock_diag tells them: state, addresses, and who is at the other end. */
#ifndef RILLE_PROC_SOCKETS_H
#define RILLE_PROC_SOCKETS_H

#include "engine/base/err.h"
#include "engine/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct socket_info {
	uint64_t inode; /* the N of socket:[N]; one number space for all namespaces */
	uint64_t peer;  /* AF_UNIX: inode of the connected other end; 0 = none. Others: see sockets_peer() */
	uint16_t family;
	uint8_t type;                  /* SOCK_STREAM … */
	uint8_t protocol;              /* of AF_INET and AF_INET6: IPPROTO_TCP …; of AF_NETLINK: NETLINK_ROUTE … */
	uint8_t state;                 /* TCP_ESTABLISHED …; 0 = has none */
	uint8_t local_len, remote_len; /* 0 = none */
	uint16_t space;                /* which network namespace, by order of reading */
	uint32_t local, remote;        /* offsets in sockets.addresses: a struct sockaddr each */
	uint32_t waiting;              /* of a listening socket: connections that nobody has accepted yet */
};

struct sockets {
	struct socket_info *list; /* in order of inode, once sockets_sort() was called */
	size_t n, cap;
	struct text addresses;
	struct sockets_ends *ends; /* made when a peer is first asked for */
	size_t nends;
	ino_t *spaces; /* namespaces read so far */
	size_t nspaces, spaces_cap;
	bool cut;
	char trouble[128]; /* "" = all of it could be read */
};

/* Adds all sockets of the namespace that a process is in, unless it was read before. 0 or a negative errno with `err`
 * (tag sock-diag). What single families of sockets refuse is in `trouble`. Afterwards call sockets_sort(). */
int sockets_read(struct sockets *sockets, pid_t pid, struct err *err);
void sockets_sort(struct sockets *sockets);
const struct socket_info *sockets_find(const struct sockets *sockets, uint64_t inode);
/* The inode of the other end, if it is on this machine: of AF_UNIX as the kernel says, of TCP the socket whose addresses are the same
 * the other way round. 0 = none. */
uint64_t sockets_peer(struct sockets *sockets, const struct socket_info *socket);
void sockets_fini(struct sockets *sockets);
const uint8_t *socket_local(const struct sockets *sockets, const struct socket_info *socket);
const uint8_t *socket_remote(const struct sockets *sockets, const struct socket_info *socket);
const char *socket_type_name(unsigned type);                     /* "SOCK_STREAM"; NULL = none such */
const char *socket_state_name(const struct socket_info *socket); /* "LISTEN"; NULL = has none */

#endif
