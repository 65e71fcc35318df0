/* What is open, for people.
 *
 *     java 4711: 23 descriptors, at 20:33:37.123456
 *
 *     socket
 *       fd 5    socket:[7504404] AF_INET6 SOCK_STREAM LISTEN [::]:8080   age 12.3 s, thread 4713
 *       made by syscall:socket
 *         socket+0xb (libc.so.6)
 *         …
 *
 * Descriptors with one creation stack stand together and the stack once below them: a leak of 100,000 is read as one
 * place. By creation point it is the other way round: the place, then its descriptors, as many as fit a line. */
#include "engine/out/format.h"
#include "engine/out/frame_text.h"
#include "engine/out/open_crac.h"
#include "engine/out/open_report.h"
#include "engine/out/origin_text.h"
#include "engine/out/palette.h"
#include "engine/out/sockaddr.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { SHOWN_BY_PLACE = 8, MOST_INFO = 16384 };

struct writing {
	struct sink *sink;
	struct text *out;
	const struct palette *palette;
	const struct open_report *report;
	bool detailed;
};

static void add_clean(struct text *out, const char *s)
{
	text_add_clean(out, s, strlen(s));
}

static void add_age(struct text *out, double seconds)
{
	if (seconds < 0)
		seconds = 0;
	if (seconds < 120)
		text_printf(out, "%.1f s", seconds);
	else if (seconds < 7200)
		text_printf(out, "%.1f min", seconds / 60);
	else
		text_printf(out, "%.1f h", seconds / 3600);
}

static void add_time(struct writing *w, int64_t wall_nsecs)
{
	w->sink->stamp.local = w->sink->options.timestamp == TIMESTAMP_TIME;
	if (w->sink->options.timestamp == TIMESTAMP_ISO)
		timestamp_iso(&w->sink->stamp, w->out, wall_nsecs);
	else if (w->sink->options.timestamp == TIMESTAMP_EPOCH)
		timestamp_epoch(w->out, wall_nsecs);
	else
		timestamp_time(&w->sink->stamp, w->out, wall_nsecs);
}

/* --- one descriptor --- */

static void add_family(struct text *out, unsigned family, unsigned type)
{
	if (sockaddr_family(family))
		text_printf(out, " %s", sockaddr_family(family));
	else if (family)
		text_printf(out, " family %u", family);
	if (socket_type_name(type))
		text_printf(out, " %s", socket_type_name(type));
}

static void add_owner(struct writing *w, const struct owner *owner)
{
	text_printf(w->out, "fd %d of ", owner->fd);
	add_clean(w->out, owner->comm);
	text_printf(w->out, " %d", (int)owner->pid);
}

static void add_peer(struct writing *w, const struct open_item *item)
{
	if (!item->peer)
		return;
	text_printf(w->out, " %speer%s socket:[%" PRIu64 "]", w->palette->label, w->palette->reset, item->peer);
	if (!item->owner)
		return;
	text_adds(w->out, " = ");
	add_owner(w, item->owner);
}

static void add_pipe(struct writing *w, const struct open_item *item)
{
	static const char *const ends[] = {"", " read end", " write end", " both ends"};
	text_adds(w->out, ends[item->descriptor.ends & 3]);
	if (!item->owner)
		return;
	text_printf(w->out, " %speer%s ", w->palette->label, w->palette->reset);
	add_owner(w, item->owner);
}

static void add_socket(struct writing *w, const struct open_item *item)
{
	const struct socket_info *socket = item->socket;
	const struct sockets *all = &w->report->sockets;
	add_family(w->out, socket->family, socket->type);
	if (socket_state_name(socket))
		text_printf(w->out, " %s", socket_state_name(socket));
	if (socket->local_len) {
		text_addc(w->out, ' ');
		sockaddr_text(w->out, socket_local(all, socket), socket->local_len);
	}
	if (socket->remote_len) {
		text_adds(w->out, " \xe2\x86\x92 ");
		sockaddr_text(w->out, socket_remote(all, socket), socket->remote_len);
	}
	if (socket->waiting)
		text_printf(w->out, " (%u waiting to be accepted)", socket->waiting);
	add_peer(w, item);
}

/* A socket that the kernel's list does not have (not bound yet, in another namespace, its process gone): what its events told. */
static void add_known_socket(struct writing *w, const struct open_file *file)
{
	add_family(w->out, file->family, file->type);
	if (file->listens)
		text_adds(w->out, " LISTEN");
	if (file->local) {
		text_addc(w->out, ' ');
		sockaddr_text(w->out, file->local + 1, file->local[0]);
	}
	if (file->remote) {
		text_adds(w->out, " \xe2\x86\x92 ");
		sockaddr_text(w->out, file->remote + 1, file->remote[0]);
	}
}

/* Of a socket that has no address yet the kernel's list knows nothing. */
static void add_protocol(struct writing *w, const struct open_item *item)
{
	char protocol[32];
	bool told = item->slot && item->slot->file->family;
	if (told || item->listed->ended || !descriptor_protocol(item->listed->pid, item->descriptor.fd, protocol))
		return;
	text_addc(w->out, ' ');
	add_clean(w->out, protocol);
}

static void add_what(struct writing *w, const struct open_item *item)
{
	const struct descriptor *descriptor = &item->descriptor;
	switch (descriptor->kind) {
	case DESCRIPTOR_SOCKET:
	case DESCRIPTOR_PIPE:
		text_printf(w->out, "%s:[%" PRIu64 "]", descriptor_kind_name(descriptor->kind), descriptor->inode);
		break;
	default:
		if (item->path)
			add_clean(w->out, item->path);
		else
			text_adds(w->out, descriptor_kind_name(descriptor->kind));
	}
	if (descriptor->kind == DESCRIPTOR_PIPE)
		add_pipe(w, item);
	if (item->socket)
		add_socket(w, item);
	else if (item->slot && descriptor->kind == DESCRIPTOR_SOCKET)
		add_known_socket(w, item->slot->file);
	if (!item->socket && descriptor->kind == DESCRIPTOR_SOCKET)
		add_protocol(w, item);
}

static void add_origin(struct writing *w, const struct open_item *item)
{
	const struct open_maker *maker = open_item_maker(item);
	if (!maker)
		return;
	uint64_t end = item->listed->ended ? (uint64_t)(item->listed->ended - maker->wall_nsecs)
	                                   : w->report->nsecs - maker->nsecs;
	text_printf(w->out, "  %sage ", w->palette->dim);
	add_age(w->out, (double)(int64_t)end / 1e9);
	text_adds(w->out, ", thread ");
	text_printf(w->out, "%u", maker->tid);
	if (maker->pid != (uint32_t)item->listed->pid)
		text_printf(w->out, " of process %u", maker->pid);
	text_adds(w->out, w->palette->reset);
}

static void add_line(struct writing *w, const struct open_item *item)
{
	char number[24];
	snprintf(number, sizeof(number), "fd %d", item->descriptor.fd);
	text_printf(w->out, "  %s%-7s%s ", w->palette->process, number, w->palette->reset);
	add_what(w, item);
	add_origin(w, item);
	text_addc(w->out, '\n');
}

/* --- who made it --- */

static void add_stack(struct writing *w, const struct open_site *site)
{
	struct frame_style style = {w->palette, w->sink->options.addresses, w->sink->options.signatures};
	if (site)
		stack_text(w->out, &site->stack, &style);
	else
		text_adds(w->out, "    (its stack was not kept: there were too many different ones)\n");
}

/* A maker's stack tells what it is about, and a path or an address where nobody knows who made it. */
static void add_about(struct writing *w, const struct open_item *item, const struct open_site *site)
{
	struct text path = {0};
	open_item_path(w->report, item, &path);
	origin_text(w->out, w->sink->origins, site ? &site->stack : NULL, path.len ? text_str(&path) : NULL, "  ",
	        w->palette);
	text_fini(&path);
}

static void add_by(struct writing *w, const char *how, const struct open_maker *maker)
{
	text_printf(w->out, "  %s ", how);
	text_printf(w->out, "%s%s%s\n", w->palette->probe, maker->probe->name, w->palette->reset);
	add_stack(w, maker->site);
}

static void add_maker(struct writing *w, const struct open_item *item)
{
	static const char *const hows[] = {[OPEN_NEW] = "made by",
	        [OPEN_DUP] = "duplicated by",
	        [OPEN_RECEIVED] = "received by",
	        [OPEN_INHERITED] = "inherited, made by"};
	const struct open_maker *maker = open_item_maker(item), *file = open_item_file_maker(item);
	if (maker) {
		add_by(w, hows[item->slot->how], maker);
		if (file) {
			text_printf(w->out, "  of what process %u (", file->pid);
			add_clean(w->out, file->comm);
			text_printf(w->out, ") made as thread %u,", file->tid);
			add_by(w, "by", file);
		} else if (!item->slot->file->maker) {
			text_adds(w->out, item->slot->file->before ? "  of what was open before tracing began\n"
			                                           : "  of what was made where nobody looked\n");
		}
	} else if (item->origin == ORIGIN_BEFORE) {
		text_adds(w->out, "  opened before tracing began\n");
	} else if (item->origin == ORIGIN_UNKNOWN) {
		text_adds(w->out, "  made by nobody that was seen\n");
	} else if (item->origin == ORIGIN_UNPROVED) {
		text_adds(w->out, "  who made it cannot be proved: events were lost\n");
	}
	add_about(w, item, maker ? maker->site : NULL);
}

/* --- everything about one --- */

/* Other descriptors for the same open file, as the table knows them. */
static void add_shares(struct writing *w, const struct open_item *item)
{
	if (!item->slot)
		return;
	for (size_t i = 0; i < w->report->nlisted; i++) {
		const struct open_listed *listed = &w->report->listed[i];
		for (size_t d = 0; listed->process && d < listed->list.n; d++) {
			const struct open_slot *slot = open_process_slot(listed->process, listed->list.list[d].fd);
			if (!slot || slot->file != item->slot->file || slot == item->slot)
				continue;
			text_printf(w->out, "  the same open file is fd %d of ", slot->fd);
			add_clean(w->out, listed->list.comm);
			text_printf(w->out, " %d\n", (int)listed->pid);
		}
	}
}

static void add_info(struct writing *w, const struct open_item *item)
{
	struct text info = {0};
	if (item->listed->ended)
		return;
	descriptor_info(item->listed->pid, item->descriptor.fd, MOST_INFO, &info);
	for (const char *line = text_str(&info); *line;) {
		size_t len = strcspn(line, "\n");
		text_printf(w->out, "    %s", w->palette->dim);
		text_add_clean(w->out, line, len);
		text_printf(w->out, "%s\n", w->palette->reset);
		line += len + (line[len] == '\n');
	}
	text_fini(&info);
}

static void add_detail(struct writing *w, const struct open_item *item)
{
	add_shares(w, item);
	if (item->descriptor.inode)
		text_printf(w->out, "  inode %" PRIu64 "\n", item->descriptor.inode);
	add_info(w, item);
}

/* --- lists --- */

static bool same_group(const struct open_item *a, const struct open_item *b)
{
	return a->listed == b->listed && a->descriptor.kind == b->descriptor.kind && a->group == b->group;
}

static void add_process(struct writing *w, const struct open_listed *listed)
{
	size_t n = listed->shown;
	text_printf(w->out, "%s", w->palette->process);
	add_clean(w->out, listed->list.comm[0] ? listed->list.comm : "process");
	text_printf(w->out, "%s %d: ", w->palette->reset, (int)listed->pid);
	if (listed->err.code) {
		text_printf(w->out, "%s%s%s\n", w->palette->warn, listed->err.message, w->palette->reset);
		if (listed->err.hint[0])
			text_printf(w->out, "hint: %s\n", listed->err.hint);
		text_addc(w->out, '\n');
		return;
	}
	text_printf(w->out, "%zu descriptor%s, ", n, n == 1 ? "" : "s");
	if (listed->ended) {
		text_adds(w->out, "when it ended at ");
		add_time(w, listed->ended);
		text_adds(w->out, ", as events told");
	} else {
		text_adds(w->out, "at ");
		add_time(w, w->report->wall_nsecs);
	}
	text_adds(w->out, listed->list.cut ? " (there are more than are listed)\n" : "\n");
}

static void add_kind(struct writing *w, enum descriptor_kind kind)
{
	text_printf(w->out, "\n%s%s%s\n", w->palette->label, descriptor_kind_name(kind), w->palette->reset);
}

static void by_kind(struct writing *w)
{
	const struct open_report *report = w->report;
	size_t i = 0;
	for (size_t l = 0; l < report->nlisted; l++) {
		const struct open_listed *listed = &report->listed[l];
		size_t end = i;
		while (end < report->nitems && report->items[end].listed == listed)
			end++;
		if (end == i && !listed->err.code && (w->detailed || listed->ended))
			continue;
		add_process(w, listed);
		for (; i < end; i++) {
			const struct open_item *item = &report->items[i];
			if (i == 0 || item[-1].listed != listed || item[-1].descriptor.kind != item->descriptor.kind)
				add_kind(w, (enum descriptor_kind)item->descriptor.kind);
			add_line(w, item);
			if (w->detailed)
				add_detail(w, item);
			if (i + 1 == end || !same_group(item, item + 1))
				add_maker(w, item);
			writer_commit(&w->sink->out);
		}
		text_addc(w->out, '\n');
	}
}

static void add_examples(struct writing *w, const struct open_place *place)
{
	const struct open_item *items = &w->report->items[place->first];
	pid_t pid = 0;
	for (size_t i = 0; i < place->count && i < SHOWN_BY_PLACE; i++) {
		if (items[i].listed->pid != pid) {
			text_printf(w->out, "%s", i ? "\n  " : "  ");
			add_clean(w->out, items[i].listed->list.comm);
			text_printf(w->out, " %d fd", (int)items[i].listed->pid);
			pid = items[i].listed->pid;
		}
		text_printf(w->out, " %d", items[i].descriptor.fd);
	}
	text_printf(w->out, "%s\n", place->count > SHOWN_BY_PLACE ? " …" : "");
	text_adds(w->out, "  ");
	add_what(w, &items[0]);
	text_adds(w->out, "\n");
}

static void add_place(struct writing *w, const struct open_place *place)
{
	const struct open_item *item = &w->report->items[place->first];
	text_printf(w->out, "%s%10zu%s open", w->palette->process, place->count, w->palette->reset);
	if (w->report->number > 1)
		text_printf(w->out, " %s%+" PRId64 "%s", place->delta > 0 ? w->palette->warn : "", place->delta,
		        w->palette->reset);
	text_printf(w->out, "  %s  %s%s%s\n", descriptor_kind_name((enum descriptor_kind)item->descriptor.kind),
	        w->palette->probe, place->probe->name, w->palette->reset);
	add_examples(w, place);
	add_stack(w, place->site);
	add_about(w, item, place->site);
	text_addc(w->out, '\n');
}

static void by_place(struct writing *w)
{
	static const char *const why[] = {[ORIGIN_BEFORE] = "opened before tracing began",
	        [ORIGIN_UNKNOWN] = "made by nobody that was seen",
	        [ORIGIN_UNPROVED] = "whose maker cannot be proved: events were lost",
	        [ORIGIN_NOT_TRACED] = "not traced"};
	const struct open_report *report = w->report;
	size_t others[ORIGIN_NOT_TRACED + 1] = {0};
	for (size_t l = 0; l < report->nlisted; l++) {
		if (report->listed[l].shown || report->listed[l].err.code)
			add_process(w, &report->listed[l]);
	}
	text_addc(w->out, '\n');
	for (size_t i = 0; i < report->nplaces; i++) {
		add_place(w, &report->places[i]);
		writer_commit(&w->sink->out);
	}
	for (size_t i = 0; i < report->nitems; i++)
		others[report->items[i].origin]++;
	for (size_t origin = ORIGIN_BEFORE; origin <= ORIGIN_NOT_TRACED; origin++)
		if (others[origin])
			text_printf(w->out, "%10zu open  %s\n", others[origin], why[origin]);
	text_addc(w->out, '\n');
}

/* --- answers to a CheckpointException --- */

static void add_said(struct writing *w, const struct crac_item *said)
{
	const char *what = said->what ? said->what : said->path;
	text_printf(w->out, "%sline %zu:%s ", w->palette->process, said->line, w->palette->reset);
	if (said->fd >= 0)
		text_printf(w->out, "fd %d, ", said->fd);
	text_adds(w->out, crac_kind_name(said->kind));
	if (what) {
		text_addc(w->out, ' ');
		add_clean(w->out, what);
	}
	text_adds(w->out, said->cut ? " (the line is cut)\n" : "\n");
	if (said->thread) {
		text_adds(w->out, "  made by the thread ");
		add_clean(w->out, said->thread);
		text_adds(w->out, ", at ");
		add_time(w, said->created * 1000000);
		text_addc(w->out, '\n');
	}
}

static void add_gone(struct writing *w, const struct open_crac *crac, const struct crac_item *said)
{
	const struct owner *owner = open_crac_owner(crac, said);
	text_printf(w->out, "  %snot open%s: ", w->palette->warn, w->palette->reset);
	if (owner) {
		text_printf(w->out, "it is fd %d of ", owner->fd);
		add_clean(w->out, owner->comm);
		text_printf(w->out, " %d\n", (int)owner->pid);
	} else {
		text_adds(w->out, said->kind == CRAC_SOCKET && said->inode
		                          ? "closed meanwhile, or the text is of another run\n"
		                          : "of another process, or closed meanwhile\n");
	}
}

static void add_verdict(
        struct writing *w, const struct open_crac *crac, const struct crac_item *said, const struct crac_answer *answer)
{
	switch (answer->verdict) {
	case CRAC_OPEN:
		break;
	case CRAC_OTHER:
		text_printf(w->out,
		        "  %sfd %d is another one now%s: the text is of another run, or it was closed meanwhile\n",
		        w->palette->warn, said->fd, w->palette->reset);
		break;
	case CRAC_MOVED:
		text_printf(w->out, "  its number is fd %d now\n", answer->item->descriptor.fd);
		break;
	case CRAC_GONE:
		add_gone(w, crac, said);
		break;
	case CRAC_UNNAMED:
		text_adds(w->out, said->kind == CRAC_SELECTOR ? "  its epoll and eventfd are told of as well; close "
		                                                "its channels, or cancel their keys\n"
		                                              : "  the text does not say which descriptor it is\n");
		break;
	}
}

/* What the JVM prints as the port of a socket that has none is left-over memory. */
static void add_port(struct writing *w, const struct crac_item *said, const struct open_item *item)
{
	unsigned family = item->socket ? item->socket->family : item->slot ? item->slot->file->family : 0;
	if (said->port >= 0 && family && family != AF_INET && family != AF_INET6)
		text_printf(w->out, "  the port %d in the text means nothing: a socket of %s has none\n", said->port,
		        sockaddr_family(family) ? sockaddr_family(family) : "this family");
}

/* What can be done where nothing is known of the stack, and the rule where Java owns the descriptor. */
static void add_remedy(struct writing *w, const struct crac_item *said, const struct open_item *item)
{
	struct origin_hit hit;
	struct text path = {0};
	const struct open_maker *maker = open_item_maker(item);
	open_item_path(w->report, item, &path);
	bool known =
	        w->sink->origins && origins_match(w->sink->origins, maker && maker->site ? &maker->site->stack : NULL,
	                                    path.len ? text_str(&path) : NULL, &hit);
	if (known && hit.origin->crac && said->by_java) {
		text_adds(w->out, "  rule for the file of -Djdk.crac.resource-policies:\n");
		origin_text_policy(w->out, hit.origin, item->path, item->descriptor.fd, "    ");
	} else if (!known && !maker) {
		text_printf(w->out,
		        "  %sadvice:%s trace it from its start to see who makes it: rille open --crac FILE -- "
		        "COMMAND\n",
		        w->palette->label, w->palette->reset);
	} else if (!known) {
		text_printf(w->out,
		        "  %sadvice:%s close it before the checkpoint, in beforeCheckpoint() of a jdk.crac.Resource\n",
		        w->palette->label, w->palette->reset);
	}
	text_fini(&path);
}

static void add_answer(struct writing *w, const struct open_crac *crac, const struct crac_item *said)
{
	struct crac_answer answer = open_crac_find(crac, said);
	const struct open_item *other = open_crac_other_end(crac, said);
	add_said(w, said);
	add_verdict(w, crac, said, &answer);
	if (answer.item) {
		add_line(w, answer.item);
		if (other && other != answer.item)
			add_line(w, other);
		add_port(w, said, answer.item);
		add_maker(w, answer.item);
		add_remedy(w, said, answer.item);
	}
	text_addc(w->out, '\n');
}

static void by_crac(struct writing *w, const struct crac_list *list)
{
	struct open_crac *crac = open_crac_new(w->report, list);
	for (size_t l = 0; l < w->report->nlisted; l++)
		if (w->report->listed[l].shown || w->report->listed[l].err.code)
			add_process(w, &w->report->listed[l]);
	text_addc(w->out, '\n');
	for (size_t i = 0; crac && i < list->n; i++) {
		add_answer(w, crac, &list->items[i]);
		writer_commit(&w->sink->out);
	}
	if (w->report->crac_trouble)
		text_printf(w->out, "%s%s%s\n", w->palette->warn, w->report->crac_trouble, w->palette->reset);
	if (list->dropped)
		text_printf(w->out, "%zu more descriptors in the text were left out\n", list->dropped);
	if (!crac)
		w->sink->out.buffer.failed = true;
	open_crac_free(crac);
}

/* What the reader has to know to trust the list. */
static void add_doubts(struct writing *w)
{
	const struct open_report *report = w->report;
	const char *warn = w->palette->warn, *reset = w->palette->reset;
	if (report->lost)
		text_printf(w->out, "%smay be incomplete: %" PRIu64 " events were lost%s\n", warn, report->lost, reset);
	if (report->ended_dropped)
		text_printf(w->out, "%sof %" PRIu64 " more processes that ended is not kept what they had open%s\n",
		        warn, report->ended_dropped, reset);
	if (report->sockets.trouble[0])
		text_printf(w->out, "%saddresses and peers are missing: %s%s\n", warn, report->sockets.trouble, reset);
	if (report->sockets.cut)
		text_printf(w->out, "%saddresses and peers are missing of some: there are too many sockets%s\n", warn,
		        reset);
}

void open_text(struct sink *sink, const struct open_report *report, const struct sink_end *end)
{
	const struct sink_open *what = &sink->options.open;
	struct writing w = {.sink = sink,
	        .out = &sink->out.buffer,
	        .palette = palette_get(sink->options.color),
	        .report = report,
	        .detailed = what->nfds || what->ninodes};
	if (report->crac)
		by_crac(&w, report->crac);
	else if (what->by_site)
		by_place(&w);
	else
		by_kind(&w);
	if (w.detailed && !report->nitems)
		text_adds(w.out, "nothing that is open has that number\n");
	add_doubts(&w);
}
