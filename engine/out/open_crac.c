/* Which descriptor a line of a CheckpointException means.
 *
 * The JVM's lines have a number and, of sockets and pipes, an inode: where both agree it is that one, whoever looks. Where
 * the inode is another one the text is of another run (numbers mostly stay the same from run to run, inodes never do), or
 * the number has been used again; the answer says so and tells of what has the number now. Java's lines have no number:
 * sockets are found by their ports, files by their path. What is found so is as good as the text. */
#include "engine/out/open_crac.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum order { BY_FD, BY_INODE, BY_PORT, BY_PATH, ORDERS };

struct entry {
	const struct open_item *item;
	uint64_t key; /* of the first three orders */
};

struct open_crac {
	struct entry *orders[ORDERS];
	size_t n;
	const struct sockets *sockets;
	struct owners owners; /* of sockets that are in the text, but not open here */
};

const char *crac_verdict_name(enum crac_verdict verdict)
{
	static const char *const names[] = {"open", "other", "moved", "gone", "unnamed"};
	return names[verdict];
}

/* --- keys --- */

/* The port of an IP address; 0 = none. */
static uint16_t port_of(const uint8_t *address, size_t len)
{
	uint16_t family, port;
	if (len < 4)
		return 0;
	memcpy(&family, address, sizeof(family));
	memcpy(&port, address + 2, sizeof(port)); /* the same place in both families */
	return family == AF_INET || family == AF_INET6 ? ntohs(port) : 0;
}

/* "10.0.0.7:5432", "[::]:8080", "*:37596"; 0 = none */
static uint16_t port_in(const char *address)
{
	const char *colon = address ? strrchr(address, ':') : NULL;
	long port = colon ? strtol(colon + 1, NULL, 10) : 0;
	return port > 0 && port <= 65535 ? (uint16_t)port : 0;
}

static uint32_t ports_of(const struct sockets *sockets, const struct open_item *item)
{
	const struct socket_info *socket = item->socket;
	if (!socket)
		return 0;
	return (uint32_t)port_of(socket_local(sockets, socket), socket->local_len) << 16 |
	       port_of(socket_remote(sockets, socket), socket->remote_len);
}

static uint64_t key_of(const struct open_crac *crac, enum order order, const struct open_item *item)
{
	if (order == BY_FD)
		return (uint64_t)item->descriptor.fd;
	return order == BY_INODE ? item->descriptor.inode : order == BY_PORT ? ports_of(crac->sockets, item) : 0;
}

static int by_key(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return x->key < y->key ? -1 : x->key > y->key;
}

static int by_path(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return strcmp(x->item->path ? x->item->path : "", y->item->path ? y->item->path : "");
}

/* The first of those with that key, up to *ret_n; NULL = none. */
static const struct entry *lookup(const struct open_crac *crac, enum order order, uint64_t key, size_t *ret_n)
{
	const struct entry *entries = crac->orders[order];
	size_t low = 0, high = crac->n, end;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (entries[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < crac->n && entries[end].key == key; end++)
		;
	*ret_n = end - low;
	return end > low ? &entries[low] : NULL;
}

static const struct open_item *find_inode(const struct open_crac *crac, uint64_t inode)
{
	size_t n;
	const struct entry *found = inode ? lookup(crac, BY_INODE, inode, &n) : NULL;
	return found ? found->item : NULL;
}

/* An inode that is not here may be another process's: whoever has it is looked for once for all. */
static bool find_owners(struct open_crac *crac, const struct crac_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct crac_item *said = &list->items[i];
		if (said->kind == CRAC_SOCKET && said->inode && !find_inode(crac, said->inode) &&
		        owners_want(&crac->owners, said->inode, 0) < 0)
			return false;
	}
	owners_sort(&crac->owners);
	owners_search(&crac->owners, NULL, 0);
	return true;
}

const struct owner *open_crac_owner(const struct open_crac *crac, const struct crac_item *said)
{
	const struct owner *owner = said->inode ? owners_find(&crac->owners, said->inode, 0) : NULL;
	return owner && owner->pid ? owner : NULL;
}

struct open_crac *open_crac_new(const struct open_report *report, const struct crac_list *list)
{
	struct open_crac *crac = calloc(1, sizeof(*crac));
	if (!crac)
		return NULL;
	crac->n = report->nitems;
	crac->sockets = &report->sockets;
	for (enum order order = BY_FD; order < ORDERS; order++) {
		struct entry *entries = calloc(crac->n + 1, sizeof(*entries));
		crac->orders[order] = entries;
		if (!entries) {
			open_crac_free(crac);
			return NULL;
		}
		for (size_t i = 0; i < crac->n; i++)
			entries[i] = (struct entry){&report->items[i], key_of(crac, order, &report->items[i])};
		qsort(entries, crac->n, sizeof(*entries), order == BY_PATH ? by_path : by_key);
	}
	if (find_owners(crac, list))
		return crac;
	open_crac_free(crac);
	return NULL;
}

void open_crac_free(struct open_crac *crac)
{
	if (!crac)
		return;
	for (size_t i = 0; i < ORDERS; i++)
		free(crac->orders[i]);
	owners_fini(&crac->owners);
	free(crac);
}

static const struct open_item *find_path(const struct open_crac *crac, const char *path)
{
	struct open_item wanted = {.path = path};
	struct entry key = {.item = &wanted};
	const struct entry *found = bsearch(&key, crac->orders[BY_PATH], crac->n, sizeof(key), by_path);
	return found ? found->item : NULL;
}

/* --- answers --- */

/* Of those with the number in several processes, the one with the inode, else the first process's. */
static const struct open_item *find_fd(const struct open_crac *crac, int fd, uint64_t inode)
{
	size_t n;
	const struct entry *found = lookup(crac, BY_FD, (uint64_t)fd, &n);
	const struct open_item *first = found ? found->item : NULL;
	for (size_t i = 0; found && i < n; i++) {
		if (inode && found[i].item->descriptor.inode == inode)
			return found[i].item;
		if (found[i].item < first)
			first = found[i].item;
	}
	return first;
}

static enum descriptor_kind kind_of(enum crac_kind kind)
{
	static const enum descriptor_kind kinds[] = {[CRAC_UNKNOWN] = DESCRIPTOR_UNKNOWN,
	        [CRAC_SOCKET] = DESCRIPTOR_SOCKET,
	        [CRAC_FILE] = DESCRIPTOR_FILE,
	        [CRAC_DIRECTORY] = DESCRIPTOR_DIRECTORY,
	        [CRAC_CHARACTER] = DESCRIPTOR_DEVICE,
	        [CRAC_BLOCK] = DESCRIPTOR_DEVICE,
	        [CRAC_PIPE] = DESCRIPTOR_PIPE,
	        [CRAC_EVENTPOLL] = DESCRIPTOR_EVENTPOLL,
	        [CRAC_EVENTFD] = DESCRIPTOR_EVENTFD,
	        [CRAC_TIMERFD] = DESCRIPTOR_TIMERFD,
	        [CRAC_SIGNALFD] = DESCRIPTOR_SIGNALFD,
	        [CRAC_INOTIFY] = DESCRIPTOR_INOTIFY,
	        [CRAC_ANONYMOUS] = DESCRIPTOR_UNKNOWN,
	        [CRAC_SELECTOR] = DESCRIPTOR_EVENTPOLL};
	return kinds[kind];
}

static bool is_meant(const struct crac_item *said, const struct open_item *item)
{
	enum descriptor_kind kind = kind_of(said->kind), is = (enum descriptor_kind)item->descriptor.kind;
	if (said->inode)
		return item->descriptor.inode == said->inode;
	if (said->path && said->path[0] == '/')
		return item->path && !strcmp(item->path, said->path);
	if (said->kind == CRAC_PIPE)
		return is == DESCRIPTOR_PIPE || is == DESCRIPTOR_FIFO;
	return kind == DESCRIPTOR_UNKNOWN || kind == is;
}

/* A listening socket's remote port is 0 here and not told there. */
static const struct open_item *find_ports(const struct open_crac *crac, const struct crac_item *said)
{
	size_t n;
	uint32_t key = (uint32_t)port_in(said->local) << 16 | port_in(said->remote);
	const struct entry *found = key ? lookup(crac, BY_PORT, key, &n) : NULL;
	return found ? found->item : NULL;
}

static struct crac_answer answer(enum crac_verdict verdict, const struct open_item *item)
{
	return (struct crac_answer){item ? verdict : CRAC_GONE, item};
}

struct crac_answer open_crac_find(const struct open_crac *crac, const struct crac_item *said)
{
	const struct open_item *item;
	if (said->fd >= 0) {
		item = find_fd(crac, said->fd, said->inode);
		if (item && is_meant(said, item))
			return answer(CRAC_OPEN, item);
		const struct open_item *moved = find_inode(crac, said->inode);
		return moved ? answer(CRAC_MOVED, moved) : answer(CRAC_OTHER, item);
	}
	if (said->inode)
		return answer(CRAC_OPEN, find_inode(crac, said->inode));
	if (said->path)
		return answer(CRAC_OPEN, find_path(crac, said->path));
	if (said->kind == CRAC_SOCKET && (said->local || said->remote))
		return answer(CRAC_OPEN, find_ports(crac, said));
	return (struct crac_answer){CRAC_UNNAMED, NULL};
}

const struct open_item *open_crac_other_end(const struct open_crac *crac, const struct crac_item *said)
{
	return said->fd2 >= 0 ? find_fd(crac, said->fd2, 0) : NULL;
}
