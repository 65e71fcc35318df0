/* What is open, for programs: JSON lines, described by docs/schema/event.schema.json.
 *
 * A report is a record `report`, then its `open` records, one a descriptor; grouped by creation point, `site` records
 * with their counts instead. A creation stack is written once a report, in a `site` record that stands before the first
 * one that refers to it by its number. Everything that came from a process goes through text_add_json(). */
#include "engine/out/format.h"
#include "engine/out/open_crac.h"
#include "engine/out/open_report.h"
#include "engine/out/origin_text.h"
#include "engine/out/sockaddr.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

enum { MOST_INFO = 16384, MOST_TOLD = 64 };

struct writing {
	struct sink *sink;
	struct text *out;
	const struct open_report *report;
	uint64_t sites; /* written so far */
	bool detailed;
};

static void add_string(struct text *out, const char *key, const char *s)
{
	text_adds(out, key);
	text_add_json_string(out, s);
}

static void add_number(struct text *out, const char *key, uint64_t v)
{
	text_adds(out, key);
	text_addu(out, v);
}

static void add_time(struct writing *w, const char *key, int64_t wall_nsecs)
{
	text_adds(w->out, key);
	text_addc(w->out, '"');
	timestamp_iso(&w->sink->stamp, w->out, wall_nsecs);
	text_addc(w->out, '"');
}

/* --- report --- */

static void add_process(struct writing *w, const struct open_listed *listed)
{
	text_printf(w->out, "{\"pid\":%d", (int)listed->pid);
	add_string(w->out, ",\"comm\":", listed->list.comm);
	add_number(w->out, ",\"open\":", listed->shown);
	if (listed->ended)
		add_time(w, ",\"ended\":", listed->ended);
	if (listed->list.cut)
		text_adds(w->out, ",\"cut\":true");
	if (listed->err.code) {
		add_string(w->out, ",\"error\":", listed->err.message);
		add_string(w->out, ",\"tag\":", listed->err.tag);
	}
	text_addc(w->out, '}');
}

static void add_report(struct writing *w, const struct sink_end *end)
{
	const struct open_report *report = w->report;
	text_printf(w->out, "{\"type\":\"report\",\"number\":%u", report->number);
	add_time(w, ",\"time\":", report->wall_nsecs);
	add_string(w->out, ",\"reason\":", end->reason ? end->reason : "done");
	text_printf(w->out, ",\"complete\":%s", report->lost ? "false" : "true");
	add_number(w->out, ",\"lost\":", report->lost);
	if (report->crac)
		add_number(w->out, ",\"answers\":", report->crac->n);
	else if (w->sink->options.open.by_site)
		add_number(w->out, ",\"places\":", report->nplaces);
	else
		add_number(w->out, ",\"open\":", report->nitems);
	if (report->ended_dropped)
		add_number(w->out, ",\"not_kept\":", report->ended_dropped);
	if (report->sockets.trouble[0])
		add_string(w->out, ",\"sockets\":", report->sockets.trouble);
	if (report->crac_trouble)
		add_string(w->out, ",\"crac\":", report->crac_trouble);
	text_adds(w->out, ",\"processes\":[");
	const char *sep = "";
	for (size_t i = 0; i < report->nlisted; i++) {
		const struct open_listed *listed = &report->listed[i];
		if (!listed->shown && !listed->err.code && (listed->ended || w->detailed))
			continue;
		text_adds(w->out, sep);
		add_process(w, listed);
		sep = ",";
	}
	text_adds(w->out, "]}\n");
}

/* --- creation points --- */

static void add_site_head(struct writing *w, struct open_site *site)
{
	site->told = w->report->number;
	site->number = ++w->sites;
	add_number(w->out, "{\"type\":\"site\",\"site\":", site->number);
	add_string(w->out, ",\"probe\":", site->probe->name);
}

static void add_site(struct writing *w, struct open_site *site)
{
	if (!site || site->told == w->report->number)
		return;
	add_site_head(w, site);
	jsonl_add_stack(w->sink, "ustack", &site->stack);
	text_adds(w->out, "}\n");
}

static void add_descriptors(struct writing *w, const struct open_place *place)
{
	text_adds(w->out, ",\"descriptors\":[");
	for (size_t i = 0; i < place->count && i < MOST_TOLD; i++) {
		const struct open_item *item = &w->report->items[place->first + i];
		text_printf(
		        w->out, "%s{\"pid\":%d,\"fd\":%d", i ? "," : "", (int)item->listed->pid, item->descriptor.fd);
		if (item->descriptor.inode)
			add_number(w->out, ",\"inode\":", item->descriptor.inode);
		text_addc(w->out, '}');
	}
	text_addc(w->out, ']');
}

/* Several stacks may be one point: what compiled them differs. The first one's is shown. */
static void add_place(struct writing *w, const struct open_place *place)
{
	const struct open_item *item = &w->report->items[place->first];
	add_number(w->out, "{\"type\":\"site\",\"site\":", ++w->sites);
	add_string(w->out, ",\"probe\":", place->probe->name);
	add_string(w->out, ",\"kind\":", descriptor_kind_name((enum descriptor_kind)item->descriptor.kind));
	add_number(w->out, ",\"count\":", place->count);
	if (w->report->number > 1)
		text_printf(w->out, ",\"delta\":%" PRId64, place->delta);
	add_descriptors(w, place);
	if (place->site)
		jsonl_add_stack(w->sink, "ustack", &place->site->stack);
	if (place->site)
		origin_json(w->out, ",\"about\":", w->sink->origins, &place->site->stack, NULL);
	text_adds(w->out, "}\n");
}

/* --- descriptors --- */

static void add_address(struct text *out, const char *key, const uint8_t *address, size_t len)
{
	if (!len)
		return;
	text_adds(out, key);
	sockaddr_json(out, address, len);
}

static void add_family(struct text *out, unsigned family, unsigned type)
{
	static const char *const types[] = {[SOCK_STREAM] = "SOCK_STREAM",
	        [SOCK_DGRAM] = "SOCK_DGRAM",
	        [SOCK_RAW] = "SOCK_RAW",
	        [SOCK_RDM] = "SOCK_RDM",
	        [SOCK_SEQPACKET] = "SOCK_SEQPACKET"};
	if (sockaddr_family(family))
		add_string(out, ",\"family\":", sockaddr_family(family));
	else if (family)
		add_number(out, ",\"family\":", family);
	if (type < sizeof(types) / sizeof(*types) && types[type])
		add_string(out, ",\"socket\":", types[type]);
}

static void add_peer(struct writing *w, const struct open_item *item)
{
	if (!item->peer)
		return;
	add_number(w->out, ",\"peer\":{\"inode\":", item->peer);
	if (item->owner) {
		text_printf(w->out, ",\"pid\":%d,\"fd\":%d", (int)item->owner->pid, item->owner->fd);
		add_string(w->out, ",\"comm\":", item->owner->comm);
	}
	text_addc(w->out, '}');
}

static void add_pipe(struct writing *w, const struct open_item *item)
{
	static const char *const ends[] = {NULL, "read", "write", "both"};
	const char *end = ends[item->descriptor.ends & 3];
	if (end)
		add_string(w->out, ",\"end\":", end);
	if (item->owner)
		add_peer(w, item);
}

static void add_socket(struct writing *w, const struct open_item *item)
{
	const struct socket_info *socket = item->socket;
	const struct sockets *all = &w->report->sockets;
	add_family(w->out, socket->family, socket->type);
	if (socket_state_name(socket))
		add_string(w->out, ",\"state\":", socket_state_name(socket));
	add_address(w->out, ",\"local\":", socket_local(all, socket), socket->local_len);
	add_address(w->out, ",\"remote\":", socket_remote(all, socket), socket->remote_len);
	if (socket->waiting)
		add_number(w->out, ",\"waiting\":", socket->waiting);
	add_peer(w, item);
}

static void add_known_socket(struct writing *w, const struct open_file *file)
{
	add_family(w->out, file->family, file->type);
	if (file->listens)
		add_string(w->out, ",\"state\":", "LISTEN");
	if (file->local)
		add_address(w->out, ",\"local\":", file->local + 1, file->local[0]);
	if (file->remote)
		add_address(w->out, ",\"remote\":", file->remote + 1, file->remote[0]);
}

static void add_maker(struct writing *w, const char *key, const struct open_maker *maker)
{
	if (!maker)
		return;
	text_adds(w->out, key);
	add_string(w->out, "{\"probe\":", maker->probe->name);
	add_time(w, ",\"time\":", maker->wall_nsecs);
	add_number(w->out, ",\"nsecs\":", maker->nsecs);
	add_number(w->out, ",\"pid\":", maker->pid);
	add_number(w->out, ",\"tid\":", maker->tid);
	add_string(w->out, ",\"comm\":", maker->comm);
	if (maker->site)
		add_number(w->out, ",\"site\":", maker->site->number);
	text_addc(w->out, '}');
}

static void add_shares(struct writing *w, const struct open_item *item)
{
	const char *sep = "";
	text_adds(w->out, ",\"shares\":[");
	for (size_t i = 0; item->slot && i < w->report->nlisted; i++) {
		const struct open_listed *listed = &w->report->listed[i];
		for (size_t d = 0; listed->process && d < listed->list.n; d++) {
			const struct open_slot *slot = open_process_slot(listed->process, listed->list.list[d].fd);
			if (!slot || slot->file != item->slot->file || slot == item->slot)
				continue;
			text_printf(w->out, "%s{\"pid\":%d,\"fd\":%d}", sep, (int)listed->pid, slot->fd);
			sep = ",";
		}
	}
	text_addc(w->out, ']');
}

static void add_detail(struct writing *w, const struct open_item *item)
{
	struct text info = {0};
	add_shares(w, item);
	if (item->listed->ended)
		return;
	descriptor_info(item->listed->pid, item->descriptor.fd, MOST_INFO, &info);
	add_string(w->out, ",\"fdinfo\":", text_str(&info));
	text_fini(&info);
}

/* Of a socket that has no address yet the kernel's list knows nothing. */
static void add_protocol(struct writing *w, const struct open_item *item)
{
	char protocol[32];
	bool told = item->slot && item->slot->file->family;
	if (!told && !item->listed->ended && descriptor_protocol(item->listed->pid, item->descriptor.fd, protocol))
		add_string(w->out, ",\"protocol\":", protocol);
}

/* As origin_json() says it; but what a stack is about is looked for once, not for each of 100,000 descriptors. */
static void add_about(struct writing *w, struct open_site *site, const char *path)
{
	const struct origins *origins = w->sink->origins;
	struct origin_hit hit = {.by = SIZE_MAX};
	if (site && origins && !site->about_known) {
		site->is_about = origins_match(origins, &site->stack, NULL, &site->about);
		site->about_known = true;
	}
	if (site && site->is_about) {
		origin_json_hit(w->out, ",\"about\":", &site->about, &site->stack, path);
	} else if (path && origins && origins_match(origins, NULL, path, &hit)) {
		hit.by = site ? origin_by(&site->stack) : SIZE_MAX;
		origin_json_hit(w->out, ",\"about\":", &hit, site ? &site->stack : NULL, path);
	}
}

static void add_item(struct writing *w, const struct open_item *item)
{
	static const char *const origins[] = {[ORIGIN_KNOWN] = "known",
	        [ORIGIN_BEFORE] = "before",
	        [ORIGIN_UNKNOWN] = "unknown",
	        [ORIGIN_UNPROVED] = "unproved",
	        [ORIGIN_NOT_TRACED] = "not-traced"};
	static const char *const hows[] = {
	        [OPEN_NEW] = "new", [OPEN_DUP] = "dup", [OPEN_RECEIVED] = "received", [OPEN_INHERITED] = "inherited"};
	const struct open_maker *maker = open_item_maker(item), *file = open_item_file_maker(item);
	struct text path = {0};
	add_site(w, maker ? maker->site : NULL);
	add_site(w, file ? file->site : NULL);
	text_printf(w->out, "{\"type\":\"open\",\"report\":%u,\"pid\":%d", w->report->number, (int)item->listed->pid);
	add_string(w->out, ",\"comm\":", item->listed->list.comm);
	text_printf(w->out, ",\"fd\":%d", item->descriptor.fd);
	add_string(w->out, ",\"kind\":", descriptor_kind_name((enum descriptor_kind)item->descriptor.kind));
	if (item->descriptor.inode)
		add_number(w->out, ",\"inode\":", item->descriptor.inode);
	if (item->path)
		add_string(w->out, ",\"path\":", item->path);
	if (item->descriptor.kind == DESCRIPTOR_PIPE)
		add_pipe(w, item);
	if (item->socket)
		add_socket(w, item);
	else if (item->slot && item->descriptor.kind == DESCRIPTOR_SOCKET)
		add_known_socket(w, item->slot->file);
	if (!item->socket && item->descriptor.kind == DESCRIPTOR_SOCKET)
		add_protocol(w, item);
	if (item->listed->ended)
		text_adds(w->out, ",\"ended\":true");
	add_string(w->out, ",\"origin\":", origins[item->origin]);
	if (maker)
		add_string(w->out, ",\"how\":", hows[item->slot->how]);
	if (maker && item->slot->how == OPEN_INHERITED)
		add_number(w->out, ",\"from\":", item->slot->from);
	add_maker(w, ",\"made\":", maker);
	add_maker(w, ",\"file\":", file);
	open_item_path(w->report, item, &path);
	add_about(w, maker ? maker->site : NULL, path.len ? text_str(&path) : NULL);
	text_fini(&path);
	if (w->detailed)
		add_detail(w, item);
	text_adds(w->out, "}\n");
}

/* --- answers to a CheckpointException --- */

static void add_said(
        struct writing *w, const struct open_crac *crac, const struct crac_item *said, enum crac_verdict verdict)
{
	const struct owner *owner = open_crac_owner(crac, said);
	text_printf(w->out, "{\"type\":\"crac\",\"report\":%u", w->report->number);
	add_number(w->out, ",\"line\":", said->line);
	add_string(w->out, ",\"verdict\":", crac_verdict_name(verdict));
	add_string(w->out, ",\"kind\":", crac_kind_name(said->kind));
	if (said->exception)
		add_string(w->out, ",\"exception\":", said->exception);
	if (said->fd >= 0)
		add_number(w->out, ",\"fd\":", (uint64_t)said->fd);
	if (said->inode)
		add_number(w->out, ",\"inode\":", said->inode);
	if (said->port >= 0)
		add_number(w->out, ",\"port\":", (uint64_t)said->port);
	if (said->path)
		add_string(w->out, ",\"path\":", said->path);
	if (said->what)
		add_string(w->out, ",\"what\":", said->what);
	if (said->thread)
		add_string(w->out, ",\"thread\":", said->thread);
	if (owner) {
		text_printf(w->out, ",\"owner\":{\"pid\":%d,\"fd\":%d", (int)owner->pid, owner->fd);
		add_string(w->out, ",\"comm\":", owner->comm);
		text_addc(w->out, '}');
	}
	text_adds(w->out, "}\n");
}

/* Each is followed by the record of what it is now, if it is something. */
static void add_answers(struct writing *w, const struct crac_list *list)
{
	struct open_crac *crac = open_crac_new(w->report, list);
	for (size_t i = 0; crac && i < list->n; i++) {
		struct crac_answer answer = open_crac_find(crac, &list->items[i]);
		add_said(w, crac, &list->items[i], answer.verdict);
		if (answer.item)
			add_item(w, answer.item);
		writer_commit(&w->sink->out);
	}
	if (!crac)
		w->sink->out.buffer.failed = true;
	open_crac_free(crac);
}

void open_json(struct sink *sink, const struct open_report *report, const struct sink_end *end)
{
	const struct sink_open *what = &sink->options.open;
	struct writing w = {
	        .sink = sink, .out = &sink->out.buffer, .report = report, .detailed = what->nfds || what->ninodes};
	add_report(&w, end);
	if (report->crac) {
		add_answers(&w, report->crac);
		return;
	}
	for (size_t i = 0; what->by_site && i < report->nplaces; i++) {
		add_place(&w, &report->places[i]);
		writer_commit(&sink->out);
	}
	for (size_t i = 0; !what->by_site && i < report->nitems; i++) {
		add_item(&w, &report->items[i]);
		writer_commit(&sink->out);
	}
}
