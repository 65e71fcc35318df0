/* From a look at /proc to a report.
 *
 * The order matters, since processes do not stand still. First comes the look: descriptors, then sockets. Then the
 * session brings the table up to a moment after the look. Then both are joined: where the table agrees with what was
 * seen, the maker is known. Where it does not, the descriptor changed between the two, and it is read once more: it is
 * gone, or it has become what the table says. What disagrees even then has no maker that could be proved, and none is
 * shown.
 *
 * Agreement is about identity. Sockets, pipes and memfds have an inode of their own. Files may be opened twice, and
 * anonymous inodes are shared by all of a kind; there the replay of all events is the proof, and only as long as none
 * were lost. */
#include "engine/out/open_report.h"
#include "engine/base/grow.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- the look --- */

static void look_at(struct open_report *report, pid_t pid, bool told_if_gone)
{
	if (grow(&report->listed, &report->listed_cap, report->nlisted + 1, sizeof(*report->listed)) < 0) {
		report->failed = true;
		return;
	}
	struct open_listed *listed = &report->listed[report->nlisted];
	memset(listed, 0, sizeof(*listed));
	listed->pid = pid;
	int r = descriptors_scan(pid, &listed->list, &listed->err);
	if (r < 0 && !told_if_gone && listed->err.tag && strcmp(listed->err.tag, "no-process") == 0)
		descriptors_fini(&listed->list);
	else
		report->nlisted++;
}

static int by_pid(const void *a, const void *b)
{
	const struct open_listed *x = a, *y = b;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static bool is_listed(const struct open_report *report, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (report->listed[i].pid == pid)
			return true;
	return false;
}

static void look_at_all(struct open_report *report)
{
	pid_t *pids, self = getpid();
	ssize_t n = processes_list(&pids);
	for (ssize_t i = 0; i < n; i++)
		if (pids[i] != self)
			look_at(report, pids[i], false);
	if (n >= 0)
		free(pids);
}

/* Those that the user named, and whom the table knows as their children. */
static void look_at_targets(struct open_report *report, const struct open_table *table, const struct sink_meta *meta)
{
	for (size_t i = 0; i < meta->npids; i++)
		look_at(report, meta->pids[i], !meta->traced);
	size_t named = report->nlisted;
	if (!meta->follow && !meta->filtered)
		return;
	for (const struct open_process *process = table->processes; process; process = process->hh.next)
		if (!is_listed(report, named, process->pid))
			look_at(report, process->pid, false);
}

/* What cannot be asked leaves sockets without addresses, and is told. */
static void read_sockets(struct open_report *report)
{
	for (size_t i = 0; i < report->nlisted; i++) {
		struct err err = {0};
		const struct descriptors *list = &report->listed[i].list;
		bool any = false;
		for (size_t d = 0; d < list->n && !any; d++)
			any = list->list[d].kind == DESCRIPTOR_SOCKET;
		if (any && sockets_read(&report->sockets, list->pid, &err) < 0 && !report->sockets.trouble[0])
			memcpy(report->sockets.trouble, err.message, sizeof(report->sockets.trouble) - 1);
	}
	sockets_sort(&report->sockets);
}

void open_report_list(struct open_report *report, const struct open_table *table, const struct sink_meta *meta)
{
	if (meta->npids || meta->filtered)
		look_at_targets(report, table, meta);
	else
		look_at_all(report);
	if (report->nlisted)
		qsort(report->listed, report->nlisted, sizeof(*report->listed), by_pid);
}

void open_report_look(struct open_report *report, const struct open_table *table, const struct sink_meta *meta)
{
	open_report_list(report, table, meta);
	read_sockets(report);
	report->wall_nsecs = (int64_t)now_ns(CLOCK_REALTIME);
	report->nsecs = now_ns(CLOCK_MONOTONIC);
}

/* --- who made it --- */

static bool is_path_kind(enum descriptor_kind kind)
{
	return kind == DESCRIPTOR_FILE || kind == DESCRIPTOR_DIRECTORY || kind == DESCRIPTOR_DEVICE ||
	       kind == DESCRIPTOR_FIFO || kind == DESCRIPTOR_NAMESPACE || kind == DESCRIPTOR_MEMFD;
}

/* The kernel side and /proc do not draw all lines at the same places. */
static bool kinds_agree(enum descriptor_kind known, enum descriptor_kind seen)
{
	return known == DESCRIPTOR_UNKNOWN || known == seen || (is_path_kind(known) && is_path_kind(seen)) ||
	       (known == DESCRIPTOR_PIPE && seen == DESCRIPTOR_FIFO) || known == DESCRIPTOR_ANON ||
	       seen == DESCRIPTOR_ANON;
}

static bool inodes_agree(const struct open_file *file, pid_t pid, const struct descriptor *seen)
{
	enum descriptor_kind kind = (enum descriptor_kind)seen->kind;
	if (!file->inode || !seen->inode || file->inode == seen->inode)
		return true;
	if (!is_path_kind(kind) && kind != DESCRIPTOR_MEMFD)
		return kind != DESCRIPTOR_SOCKET && kind != DESCRIPTOR_PIPE;
	return file->inode == descriptor_kernel_inode(pid, seen->fd);
}

static bool agrees(const struct open_slot *slot, pid_t pid, const struct descriptor *seen)
{
	return kinds_agree((enum descriptor_kind)slot->file->kind, (enum descriptor_kind)seen->kind) &&
	       inodes_agree(slot->file, pid, seen);
}

/* An inode of its own proves which file it is; that this descriptor of it was made by a dup is bookkeeping. */
static bool is_proved(const struct open_slot *slot, const struct descriptor *seen, uint64_t lost)
{
	bool unique = slot->file->inode && descriptor_inode_is_unique((enum descriptor_kind)seen->kind);
	return slot->lost == lost || (unique && slot->maker == slot->file->maker);
}

static enum open_origin origin_of(const struct open_slot *slot, const struct descriptor *seen, uint64_t lost)
{
	if (!is_proved(slot, seen, lost))
		return ORIGIN_UNPROVED;
	if (slot->maker)
		return ORIGIN_KNOWN;
	return slot->file->before ? ORIGIN_BEFORE : ORIGIN_UNKNOWN;
}

/* Reads the descriptor again. False: it has gone. */
static bool read_again(struct open_report *report, struct open_item *item)
{
	struct descriptor now;
	struct text path = {0};
	bool there = descriptor_read(item->listed->pid, item->descriptor.fd, &now, &path);
	if (there && (now.kind != item->descriptor.kind || now.inode != item->descriptor.inode)) {
		/* A process may do this as often as it likes: what is kept of it is one text a report. */
		item->descriptor = now;
		item->path = NULL;
		if (now.kind != DESCRIPTOR_SOCKET && now.kind != DESCRIPTOR_PIPE && !report->changed && path.len) {
			report->changed = text_steal(&path);
			item->path = report->changed;
		}
	}
	text_fini(&path);
	return there;
}

/* False: it is not open any more. */
static bool find_origin(struct open_report *report, const struct open_table *table, struct open_item *item, bool traced)
{
	const struct open_process *process = item->listed->process;
	const struct open_slot *slot = open_process_slot(process, item->descriptor.fd);
	pid_t pid = item->listed->pid;
	item->origin = ORIGIN_NOT_TRACED;
	if (!traced)
		return true;
	bool fits = slot && (item->listed->ended || agrees(slot, pid, &item->descriptor));
	if (!fits && !item->listed->ended) {
		if (!read_again(report, item))
			return false;
		fits = slot && agrees(slot, pid, &item->descriptor);
	}
	item->origin = fits ? origin_of(slot, &item->descriptor, table->lost) : ORIGIN_UNKNOWN;
	if (!fits && table->lost)
		item->origin = ORIGIN_UNPROVED;
	item->slot = fits && item->origin != ORIGIN_UNPROVED ? slot : NULL;
	return true;
}

/* --- items --- */

static bool is_asked_for(const struct sink_open *what, const struct descriptor *descriptor)
{
	if (what->crac)
		return true;
	if (what->kinds && !(what->kinds >> descriptor->kind & 1))
		return false;
	if (!what->nfds && !what->ninodes)
		return true;
	for (size_t i = 0; i < what->nfds; i++)
		if (what->fds[i] == descriptor->fd)
			return true;
	for (size_t i = 0; i < what->ninodes; i++)
		if (what->inodes[i] == descriptor->inode && descriptor->inode)
			return true;
	return false;
}

static void add_item(struct open_report *report, struct open_table *table, struct open_listed *listed,
        const struct descriptor *descriptor, bool traced)
{
	if (grow(&report->items, &report->items_cap, report->nitems + 1, sizeof(*report->items)) < 0) {
		report->failed = true;
		return;
	}
	struct open_item *item = &report->items[report->nitems];
	memset(item, 0, sizeof(*item));
	item->listed = listed;
	item->descriptor = *descriptor;
	item->path = descriptor_path(&listed->list, descriptor);
	if (find_origin(report, table, item, traced))
		report->nitems++;
}

/* A process that has ended, as the table saw it then. */
static void list_ended(struct open_report *report, const struct open_ended *ended)
{
	if (grow(&report->listed, &report->listed_cap, report->nlisted + 1, sizeof(*report->listed)) < 0) {
		report->failed = true;
		return;
	}
	struct open_listed *listed = &report->listed[report->nlisted++];
	memset(listed, 0, sizeof(*listed));
	listed->pid = listed->list.pid = ended->process->pid;
	listed->ended = ended->wall_nsecs;
	listed->process = ended->process;
	memcpy(listed->list.comm, ended->process->comm, sizeof(listed->list.comm));
	for (const struct open_slot *slot = ended->process->fds->slots; slot; slot = slot->hh.next) {
		struct descriptors *list = &listed->list;
		const struct open_file *file = slot->file;
		if (!open_slot_is_told(ended->process, slot))
			continue;
		if (grow(&list->list, &list->cap, list->n + 1, sizeof(*list->list)) < 0) {
			report->failed = true;
			return;
		}
		struct descriptor *one = &list->list[list->n++];
		*one = (struct descriptor){.fd = slot->fd, .kind = file->kind, .inode = file->inode};
		if (!file->path)
			continue;
		text_addc(&list->paths, 0); /* offset 0 means none */
		one->path = (uint32_t)list->paths.len;
		text_add(&list->paths, file->path, strlen(file->path) + 1);
	}
}

static void add_items(struct open_report *report, struct open_table *table, const struct sink_open *what, bool traced)
{
	for (size_t i = 0; i < report->nlisted; i++) {
		struct open_listed *listed = &report->listed[i];
		if (!listed->ended)
			listed->process = open_table_process(table, listed->pid);
		for (size_t d = 0; d < listed->list.n && !report->failed; d++)
			if (is_asked_for(what, &listed->list.list[d]))
				add_item(report, table, listed, &listed->list.list[d], traced);
	}
}

/* --- other ends --- */

static void find_socket(struct open_report *report, struct open_item *item)
{
	item->socket = sockets_find(&report->sockets, item->descriptor.inode);
	if (item->socket)
		item->peer = sockets_peer(&report->sockets, item->socket);
}

/* One that was opened anew for both, through /proc, is at neither end. */
static void find_pipe_end(struct open_item *item)
{
	if (item->descriptor.ends == DESCRIPTOR_READS)
		item->peer_end = DESCRIPTOR_WRITES;
	else if (item->descriptor.ends == DESCRIPTOR_WRITES)
		item->peer_end = DESCRIPTOR_READS;
	if (item->peer_end)
		item->peer = item->descriptor.inode;
}

static void find_peers(struct open_report *report)
{
	for (size_t i = 0; i < report->nitems; i++) {
		struct open_item *item = &report->items[i];
		if (item->listed->ended)
			continue;
		if (item->descriptor.kind == DESCRIPTOR_SOCKET)
			find_socket(report, item);
		else if (item->descriptor.kind == DESCRIPTOR_PIPE)
			find_pipe_end(item);
		if (item->peer && owners_want(&report->owners, item->peer, item->peer_end) < 0)
			report->failed = true;
	}
	owners_sort(&report->owners);
}

static void find_owners(struct open_report *report)
{
	pid_t *known = calloc(report->nlisted + 1, sizeof(*known));
	size_t nknown = 0;
	for (size_t i = 0; i < report->nlisted; i++) {
		const struct descriptors *list = &report->listed[i].list;
		if (report->listed[i].ended)
			continue;
		owners_offer(&report->owners, list);
		if (known && !report->listed[i].err.code)
			known[nknown++] = list->pid; /* in order: open_report_look() sorted them */
	}
	owners_search(&report->owners, known, nknown);
	free(known);
	for (size_t i = 0; i < report->nitems; i++) {
		struct open_item *item = &report->items[i];
		if (item->peer)
			item->owner = owners_find(&report->owners, item->peer, item->peer_end);
	}
}

/* --- order --- */

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static const struct open_site *site_of(const struct open_item *item)
{
	const struct open_maker *maker = open_item_maker(item);
	return maker ? maker->site : NULL;
}

/* Equal for items that have one stack. */
static int by_group(const struct open_item *a, const struct open_item *b)
{
	int c = compare((uintptr_t)a->listed, (uintptr_t)b->listed);
	if (!c)
		c = compare(a->descriptor.kind, b->descriptor.kind);
	if (!c)
		c = compare(a->origin, b->origin);
	if (!c)
		c = compare((uintptr_t)site_of(a), (uintptr_t)site_of(b));
	if (!c && a->slot && b->slot)
		c = compare(a->slot->how, b->slot->how);
	return c;
}

static int by_group_and_number(const void *a, const void *b)
{
	const struct open_item *x = a, *y = b;
	int c = by_group(x, y);
	return c ? c : compare((uint64_t)x->descriptor.fd, (uint64_t)y->descriptor.fd);
}

static int by_kind_and_group(const void *a, const void *b)
{
	const struct open_item *x = a, *y = b;
	int c = compare((uintptr_t)x->listed, (uintptr_t)y->listed);
	if (!c)
		c = compare(x->descriptor.kind, y->descriptor.kind);
	if (!c)
		c = compare((uint64_t)x->group, (uint64_t)y->group);
	return c ? c : compare((uint64_t)x->descriptor.fd, (uint64_t)y->descriptor.fd);
}

static void put_in_order(struct open_report *report)
{
	struct open_item *items = report->items;
	if (!report->nitems)
		return;
	qsort(items, report->nitems, sizeof(*items), by_group_and_number);
	for (size_t i = 0; i < report->nitems; i++)
		items[i].group =
		        i && by_group(&items[i - 1], &items[i]) == 0 ? items[i - 1].group : items[i].descriptor.fd;
	qsort(items, report->nitems, sizeof(*items), by_kind_and_group);
}

void open_report_join(struct open_report *report, struct open_table *table, const struct sink_open *what, bool traced)
{
	report->lost = table->lost;
	report->ended_dropped = table->ended_dropped;
	for (size_t i = 0; i < table->nended; i++)
		if (table->ended[i].process->target || !what->by_site) /* what has ended does not grow */
			list_ended(report, &table->ended[i]);
	add_items(report, table, what, traced);
	find_peers(report);
	find_owners(report);
	put_in_order(report);
	for (size_t i = 0; i < report->nitems; i++)
		report->items[i].listed->shown++;
}

/* --- by creation point --- */

struct open_trend {
	struct trend_key {
		const struct probe_schema *probe;
		uint64_t place;
	} key;
	int64_t first, previous;
	unsigned seen; /* in which report */
	UT_hash_handle hh;
};

static struct trend_key key_of(const struct open_item *item)
{
	const struct open_maker *maker = open_item_maker(item);
	return (struct trend_key){maker ? maker->probe : NULL, maker && maker->site ? maker->site->place : 0};
}

static int by_place(const void *a, const void *b)
{
	const struct open_item *x = a, *y = b;
	struct trend_key kx = key_of(x), ky = key_of(y);
	int c = compare(x->origin, y->origin);
	if (!c)
		c = compare((uintptr_t)kx.probe, (uintptr_t)ky.probe);
	if (!c)
		c = compare(kx.place, ky.place);
	if (!c)
		c = compare((uint64_t)x->listed->pid, (uint64_t)y->listed->pid);
	return c ? c : compare((uint64_t)x->descriptor.fd, (uint64_t)y->descriptor.fd);
}

static int by_growth(const void *a, const void *b)
{
	const struct open_place *x = a, *y = b;
	if (x->growth != y->growth)
		return x->growth > y->growth ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return compare(x->first, y->first);
}

static void add_place(struct open_report *report, size_t first)
{
	if (grow(&report->places, &report->places_cap, report->nplaces + 1, sizeof(*report->places)) < 0) {
		report->failed = true;
		return;
	}
	const struct open_item *item = &report->items[first];
	struct trend_key key = key_of(item);
	report->places[report->nplaces++] =
	        (struct open_place){.site = site_of(item), .probe = key.probe, .place = key.place, .first = first};
}

/* A creation point that was not there before has grown from nothing; in the first report nothing has grown. */
static void follow_trend(const struct open_report *report, struct open_trend **trend, struct open_place *place)
{
	struct trend_key key = {place->probe, place->place};
	struct open_trend *known;
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): a struct read as bytes */
	HASH_FIND(hh, *trend, &key, sizeof(key), known);
	if (!known) {
		known = calloc(1, sizeof(*known));
		if (!known)
			return;
		known->key = key;
		known->first = report->number == 1 ? (int64_t)place->count : 0;
		HASH_ADD(hh, *trend, key, sizeof(key), known);
	}
	place->delta = (int64_t)place->count - known->previous;
	place->growth = (int64_t)place->count - known->first;
	known->previous = (int64_t)place->count;
	known->seen = report->number;
	if (!known->hh.tbl)
		free(known);
}

/* One that nothing of is open any more starts again. */
static void forget_gone(struct open_trend **trend, unsigned number)
{
	struct open_trend *one, *next;
	HASH_ITER (hh, *trend, one, next) {
		if (one->seen == number)
			continue;
		HASH_DEL(*trend, one);
		free(one);
	}
}

void open_report_places(struct open_report *report, struct open_trend **trend)
{
	if (report->nitems)
		qsort(report->items, report->nitems, sizeof(*report->items), by_place);
	for (size_t i = 0; i < report->nitems && !report->failed; i++) {
		const struct open_item *item = &report->items[i];
		struct trend_key key = key_of(item);
		if (item->origin != ORIGIN_KNOWN)
			continue;
		struct open_place *last = report->nplaces ? &report->places[report->nplaces - 1] : NULL;
		if (!last || last->probe != key.probe || last->place != key.place)
			add_place(report, i);
		if (!report->failed)
			report->places[report->nplaces - 1].count++;
	}
	for (size_t i = 0; i < report->nplaces; i++)
		follow_trend(report, trend, &report->places[i]);
	forget_gone(trend, report->number);
	if (report->nplaces)
		qsort(report->places, report->nplaces, sizeof(*report->places), by_growth);
}

void open_trend_free(struct open_trend *trend)
{
	struct open_trend *one, *next;
	HASH_ITER (hh, trend, one, next) {
		HASH_DEL(trend, one);
		free(one);
	}
}

void open_report_fini(struct open_report *report)
{
	for (size_t i = 0; i < report->nlisted; i++)
		descriptors_fini(&report->listed[i].list);
	sockets_fini(&report->sockets);
	owners_fini(&report->owners);
	free(report->listed);
	free(report->items);
	free(report->places);
	free(report->changed);
	memset(report, 0, sizeof(*report));
}

/* --- names --- */

static bool add_unix_path(struct text *ret, const struct sockets *sockets, const struct socket_info *socket)
{
	enum { START = offsetof(struct sockaddr_un, sun_path) };
	const char *address = (const char *)socket_local(sockets, socket);
	if (socket->family != AF_UNIX || socket->local_len <= START || !address[START])
		return false;
	text_add(ret, address + START, strnlen(address + START, socket->local_len - START));
	return true;
}

void open_item_path(const struct open_report *report, const struct open_item *item, struct text *ret)
{
	if (item->path) {
		text_adds(ret, item->path);
	} else if (item->socket && !add_unix_path(ret, &report->sockets, item->socket) &&
	           item->socket->family == AF_UNIX && item->peer) {
		const struct socket_info *peer = sockets_find(&report->sockets, item->peer);
		if (peer)
			add_unix_path(ret, &report->sockets, peer);
	}
}
