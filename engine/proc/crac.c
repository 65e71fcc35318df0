/* Texts of CRaC's CheckpointException.
 *
 * A JDK that can be checkpointed prints, for each descriptor in its way, a suppressed exception. There is no format that
 * anybody promised; what is printed comes from two sides, and from several years:
 *
 *     …CheckpointOpenSocketException: FD fd=4 type=socket path=socket:[7504404],port=29295     the JVM looked at
 *     …CheckpointOpenFileException: FD fd=57 type=regular path=/sys/fs/cgroup/…                /proc/self/fd itself
 *     …CheckpointOpenResourceException: FD fd=28 type=unknown path=anon_inode:[eventpoll]
 *     JVM: FD fd=14 type=unknown path="anon_inode:[eventpoll]" BAD: opened by application      (on jcmd's output)
 *     …CheckpointOpenSocketException: Socket[addr=db/10.0.0.7,port=5432,localport=37596]       Java's objects say
 *     …CheckpointOpenSocketException: java.nio.channels.SocketChannel[connected local=… remote=…]   what they are
 *     …CheckpointOpenFileException: FileDescriptor 12 left open: tcp6 local /[0:…:0]:8080 remote not bound
 *     …CheckpointOpenResourceException: Pipe 5 -> 6
 *     …EPollSelectorImpl$BusySelectorException: Selector … has registered keys from channels: […]
 *     Caused by: java.lang.Exception: This file descriptor was created by main at epoch:1735916741916 here
 *
 * So the reader takes any text (a whole log, with whatever stands in front of each line), looks for these phrases, and
 * skips the rest. Lines may be cut, or wrapped by a mail program; a descriptor that is told of twice in the same words
 * is one. The port behind a Unix socket's inode is left-over memory of the JVM (29295 are the letters "ro" of "/proc"),
 * which cannot be seen here: whoever knows the socket's family has to say so. */
#include "engine/proc/crac.h"
#include "engine/base/grow.h"
#include "engine/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_INDEXED = 1 << 20 };

/* A piece of the text. */
struct span {
	const char *data;
	size_t len;
};

struct parser {
	struct crac_list *list;
	uint32_t *by_fd; /* the newest item of a descriptor + 1 */
	size_t by_fd_cap;
	char *pending;     /* an exception's name that a line ended with: the message was wrapped to the next */
	struct span said;  /* the exception of the line at hand */
	size_t unfinished; /* number of an item + 1 whose line ended too early: the next may go on */
	size_t last;       /* number of the newest item + 1 */
};

/* --- pieces of text --- */

static struct span trim(struct span s)
{
	while (s.len && isspace((unsigned char)s.data[0])) {
		s.data++;
		s.len--;
	}
	while (s.len && isspace((unsigned char)s.data[s.len - 1]))
		s.len--;
	return s;
}

static struct span skip(struct span s, size_t n)
{
	return (struct span){s.data + n, s.len - n};
}

static struct span until(struct span s, const char *end)
{
	return (struct span){s.data, (size_t)(end - s.data)};
}

static bool starts(struct span s, const char *with)
{
	size_t n = strlen(with);
	return s.len >= n && memcmp(s.data, with, n) == 0;
}

static const char *find(struct span s, const char *what)
{
	return s.len ? memmem(s.data, s.len, what, strlen(what)) : NULL;
}

/* What stands behind `what`; false if it is not there. */
static bool behind(struct span s, const char *what, struct span *ret)
{
	const char *at = find(s, what);
	if (at)
		*ret = skip(s, (size_t)(at - s.data) + strlen(what));
	return at;
}

/* Takes a decimal number off the front; false if there is none, or it is above `most`. */
static bool take_number(struct span *s, uint64_t most, uint64_t *ret)
{
	uint64_t value = 0;
	size_t n = 0;
	for (; n < s->len && isdigit((unsigned char)s->data[n]); n++) {
		unsigned digit = (unsigned)(s->data[n] - '0');
		if (value > (most - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret = value;
	*s = skip(*s, n);
	return n > 0;
}

static char *copy(struct span s)
{
	size_t len = s.len < CRAC_MOST_STRING ? s.len : CRAC_MOST_STRING;
	const char *nul = memchr(s.data, 0, len);
	return strndup(s.data, nul ? (size_t)(nul - s.data) : len);
}

/* --- items --- */

static void item_fini(struct crac_item *item)
{
	char *const strings[] = {
	        item->exception, item->type, item->path, item->what, item->local, item->remote, item->thread};
	for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++)
		free(strings[i]);
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* The item that tells of the same descriptor in the same words, or NULL. */
static struct crac_item *find_twin(struct parser *p, const struct crac_item *item)
{
	if (item->fd < 0 || (size_t)item->fd >= p->by_fd_cap || !p->by_fd[item->fd])
		return NULL;
	struct crac_item *twin = &p->list->items[p->by_fd[item->fd] - 1];
	return same(twin->path, item->path) && same(twin->what, item->what) ? twin : NULL;
}

static int index_fd(struct parser *p, int fd)
{
	if (fd < 0 || fd >= MOST_INDEXED)
		return 0;
	int r = grow(&p->by_fd, &p->by_fd_cap, (size_t)fd + 1, sizeof(*p->by_fd));
	if (r == 0)
		p->by_fd[fd] = (uint32_t)p->list->n;
	return r;
}

/* Adds the item, which the list then owns in any case. */
static int add_item(struct parser *p, struct crac_item *item)
{
	struct crac_list *list = p->list;
	struct crac_item *twin = find_twin(p, item);
	if (twin) {
		if (!twin->exception) {
			twin->exception = item->exception;
			item->exception = NULL;
		}
		p->last = (size_t)(twin - list->items) + 1;
		item_fini(item);
		return 0;
	}
	if (list->n == CRAC_MOST_ITEMS) {
		list->dropped++;
		p->last = p->unfinished = 0;
		item_fini(item);
		return 0;
	}
	int r = grow(&list->items, &list->cap, list->n + 1, sizeof(*list->items));
	if (r < 0) {
		item_fini(item);
		return r;
	}
	list->items[list->n++] = *item;
	p->last = list->n;
	p->unfinished = item->cut ? list->n : 0;
	return index_fd(p, item->fd);
}

static struct crac_item new_item(const struct parser *p)
{
	return (struct crac_item){.line = p->list->lines, .fd = -1, .fd2 = -1, .port = -1};
}

/* The exception's name goes to the item: this line's, or the one that the line before ended with. */
static void take_exception(struct parser *p, struct crac_item *item)
{
	if (p->said.len) {
		item->exception = copy(p->said);
	} else {
		item->exception = p->pending;
		p->pending = NULL;
	}
}

/* --- what the JVM says --- */

static enum crac_kind kind_of_type(const char *type)
{
	static const struct {
		const char *type;
		enum crac_kind kind;
	} kinds[] = {{"socket", CRAC_SOCKET}, {"regular", CRAC_FILE}, {"directory", CRAC_DIRECTORY},
	        {"character", CRAC_CHARACTER}, {"block", CRAC_BLOCK}, {"fifo", CRAC_PIPE}};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (type && !strcmp(type, kinds[i].type))
			return kinds[i].kind;
	return CRAC_UNKNOWN;
}

static enum crac_kind kind_of_path(struct span path)
{
	static const struct {
		const char *prefix;
		enum crac_kind kind;
	} kinds[] = {{"socket:[", CRAC_SOCKET}, {"pipe:[", CRAC_PIPE}, {"anon_inode:[eventpoll]", CRAC_EVENTPOLL},
	        {"anon_inode:[eventfd]", CRAC_EVENTFD}, {"anon_inode:[timerfd]", CRAC_TIMERFD},
	        {"anon_inode:[signalfd]", CRAC_SIGNALFD}, {"anon_inode:inotify", CRAC_INOTIFY},
	        {"anon_inode:", CRAC_ANONYMOUS}};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (starts(path, kinds[i].prefix))
			return kinds[i].kind;
	return CRAC_UNKNOWN;
}

/* "socket:[7504404],port=29295": the inode, and what follows it. */
static void read_inode(struct crac_item *item, struct span *path)
{
	struct span rest;
	uint64_t number;
	if (!starts(*path, "socket:[") && !starts(*path, "pipe:["))
		return;
	item->cut = true;
	if (!behind(*path, ":[", &rest) || !take_number(&rest, UINT64_MAX, &number) || !starts(rest, "]"))
		return;
	item->cut = false;
	item->inode = number;
	rest = skip(rest, 1);
	if (starts(rest, ",port=")) {
		struct span digits = skip(rest, strlen(",port="));
		if (take_number(&digits, 65535, &number))
			item->port = (int)number;
		*path = until(*path, rest.data);
	}
}

/* `rest` stands behind "path=". Unquoted, the path is all up to the line's end: it may hold spaces. */
static void read_path(struct crac_item *item, struct span rest)
{
	if (starts(rest, "\"")) {
		rest = skip(rest, 1);
		const char *end = memchr(rest.data, '"', rest.len);
		item->cut = !end;
		rest = end ? until(rest, end) : rest;
	} else {
		item->cut = rest.len == 0;
	}
	read_inode(item, &rest);
	if (rest.len)
		item->path = copy(rest);
	enum crac_kind kind = kind_of_path(rest);
	if (kind != CRAC_UNKNOWN)
		item->kind = kind;
}

static bool find_path(struct span s, struct span *ret)
{
	return behind(s, "path=", ret) || behind(s, "details1=", ret);
}

/* `s` stands behind "FD fd=". */
static int read_descriptor(struct parser *p, struct span s)
{
	struct crac_item item = new_item(p);
	struct span type, path;
	uint64_t fd;
	if (!take_number(&s, INT_MAX, &fd))
		return 0;
	if (find(s, " OK: ")) {
		p->list->allowed++;
		return 0;
	}
	item.fd = (int)fd;
	take_exception(p, &item);
	if (behind(s, "type=", &type)) {
		size_t n = 0;
		while (n < type.len && isalpha((unsigned char)type.data[n]))
			n++;
		item.type = copy((struct span){type.data, n});
		item.kind = kind_of_type(item.type);
	}
	item.cut = true;
	if (find_path(s, &path))
		read_path(&item, path);
	return add_item(p, &item);
}

/* The line goes on with what the one before should have had. */
static void read_rest(struct parser *p, struct span s)
{
	struct crac_item *item = &p->list->items[p->unfinished - 1];
	struct span path;
	p->unfinished = 0;
	if (!item->path && starts(s, "path=") && find_path(s, &path))
		read_path(item, path);
}

/* --- what Java says --- */

/* "[0:0:0:0:0:0:0:0]:8080", "db.example/10.0.0.7:5432", "/10.0.0.7:5432": without the name, "10.0.0.7:5432". */
static char *copy_address(struct span s)
{
	const char *slash = memrchr(s.data, '/', s.len);
	if (slash)
		s = skip(s, (size_t)(slash - s.data) + 1);
	return s.len ? copy(s) : NULL;
}

/* The value of `key` up to one of `ends`. */
static bool value_of(struct span s, const char *key, const char *ends, struct span *ret)
{
	if (!behind(s, key, ret))
		return false;
	size_t n = 0;
	while (n < ret->len && !strchr(ends, ret->data[n]))
		n++;
	ret->len = n;
	return n > 0;
}

static char *join_address(struct span host, struct span port)
{
	struct text text = {0};
	const char *slash = memrchr(host.data, '/', host.len);
	if (slash)
		host = skip(host, (size_t)(slash - host.data) + 1);
	bool v6 = memchr(host.data, ':', host.len) && !starts(host, "[");
	text_printf(&text, v6 ? "[%.*s]:%.*s" : "%.*s:%.*s", (int)(host.len < 256 ? host.len : 256), host.data,
	        (int)(port.len < 16 ? port.len : 16), port.data);
	char *ret = text_steal(&text);
	return ret;
}

/* A channel's own bracket, "…:9092]", is not part of the address; that of an IPv6 address is. */
static struct span strip_bracket(struct span s)
{
	size_t open = 0, closed = 0;
	for (size_t i = 0; i < s.len; i++) {
		open += s.data[i] == '[';
		closed += s.data[i] == ']';
	}
	if (closed > open && s.data[s.len - 1] == ']')
		s.len--;
	return s;
}

/* Socket[addr=db/10.0.0.7,port=5432,localport=37596], ServerSocket[addr=0.0.0.0/0.0.0.0,localport=8080] */
static void read_socket(struct crac_item *item, struct span host, struct span s)
{
	static const struct span any = {"*", 1};
	struct span port;
	if (value_of(s, ",port=", ",]", &port))
		item->remote = join_address(host, port);
	if (value_of(s, ",localport=", ",]", &port))
		item->local = join_address(item->remote ? any : host, port);
}

/* java.nio.channels.SocketChannel[connected local=/172.18.0.4:36898 remote=kafka/172.18.0.3:9092],
 * sun.nio.ch.ServerSocketChannelImpl[/[0:0:0:0:0:0:0:0]:8080], "tcp6 local /[0:0:0:0:0:0:0:0]:8080 remote not bound",
 * "tcp6 localAddr :: localPort 8080 remoteAddr :: remotePort 0" */
static void read_addresses(struct crac_item *item, struct span s)
{
	struct span at, port;
	if (value_of(s, "[addr=", ",]", &at)) {
		read_socket(item, at, s);
		return;
	}
	if (value_of(s, "local=", " ,", &at) || value_of(s, " local /", " ,", &at))
		item->local = copy_address(strip_bracket(at));
	else if (value_of(s, " localAddr ", " ", &at) && value_of(s, " localPort ", " ", &port))
		item->local = join_address(at, port);
	else if (behind(s, "ChannelImpl[/", &at))
		item->local = copy_address(strip_bracket(at));
	if (value_of(s, "remote=", " ,", &at) || value_of(s, " remote /", " ,", &at))
		item->remote = copy_address(strip_bracket(at));
	else if (value_of(s, " remoteAddr ", " ", &at) && value_of(s, " remotePort ", " ", &port) && !starts(port, "0"))
		item->remote = join_address(at, port);
}

/* "FileDescriptor 12 left open: …": the number; the rest as below. */
static struct span read_left_open(struct crac_item *item, struct span s)
{
	struct span number = skip(s, strlen("FileDescriptor ")), rest;
	uint64_t fd;
	if (!take_number(&number, INT_MAX, &fd) || !behind(number, "left open: ", &rest))
		return s;
	item->fd = (int)fd;
	return rest;
}

static void read_pipe(struct crac_item *item, struct span s)
{
	uint64_t from, to;
	s = skip(s, strlen("Pipe "));
	if (!take_number(&s, INT_MAX, &from) || !starts(s, " -> "))
		return;
	s = skip(s, strlen(" -> "));
	if (!take_number(&s, INT_MAX, &to))
		return;
	item->kind = CRAC_PIPE;
	item->fd = (int)from;
	item->fd2 = (int)to;
}

/* "/path/to/file (regular)", as older builds say it. */
static void read_file(struct crac_item *item, struct span s)
{
	const char *open = memrchr(s.data, '(', s.len);
	item->kind = CRAC_FILE;
	if (s.data[s.len - 1] == ')' && open && open > s.data && open[-1] == ' ') {
		item->type = copy((struct span){open + 1, (size_t)(s.data + s.len - open) - 2});
		if (kind_of_type(item->type) != CRAC_UNKNOWN)
			item->kind = kind_of_type(item->type);
		s.len = (size_t)(open - s.data) - 1;
	}
	item->path = copy(s);
}

/* The message of a Checkpoint…Exception that does not start with "FD fd=". */
static int read_message(struct parser *p, struct span s)
{
	struct crac_item item = new_item(p);
	const char *hint = find(s, "Use -Djdk.crac.collect-fd-stacktraces");
	s = trim(hint ? until(s, hint) : s);
	if (starts(s, "FileDescriptor "))
		s = trim(read_left_open(&item, s));
	if (!s.len)
		return 0;
	take_exception(p, &item);
	item.by_java = true;
	item.what = copy(s);
	if (starts(s, "/")) {
		read_file(&item, s);
	} else if (starts(s, "Pipe ")) {
		read_pipe(&item, s);
	} else if ((item.exception && !strcmp(item.exception, "CheckpointOpenSocketException")) || starts(s, "tcp") ||
	           starts(s, "udp")) {
		item.kind = CRAC_SOCKET;
		read_addresses(&item, s);
	}
	return add_item(p, &item);
}

/* A selector that has channels cannot be closed before the checkpoint: its epoll and eventfd stay, and are told of too. */
static int read_selector(struct parser *p, struct span s)
{
	struct crac_item item = new_item(p);
	struct span what;
	bool busy = behind(s, "BusySelectorException: ", &what);
	item.kind = CRAC_SELECTOR;
	item.by_java = true;
	item.exception = strdup(busy ? "BusySelectorException" : "IllegalSelectorException");
	if (busy)
		item.what = copy(what);
	return add_item(p, &item);
}

/* `s` stands behind "This file descriptor was created by ". */
static void read_creator(struct parser *p, struct span s)
{
	const char *at = find(s, " at epoch:");
	if (!at || !p->last)
		return;
	struct crac_item *item = &p->list->items[p->last - 1];
	struct span number = skip(s, (size_t)(at - s.data) + strlen(" at epoch:"));
	uint64_t created;
	if (item->thread || !take_number(&number, INT64_MAX, &created))
		return;
	item->thread = copy(until(s, at));
	item->created = (int64_t)created;
}

/* --- lines --- */

/* Finds "CheckpointOpen…Exception:": the name in p->said, its message in *ret. */
static bool find_exception(struct parser *p, struct span line, struct span *ret)
{
	const char *at = find(line, "CheckpointOpen");
	if (!at)
		return false;
	struct span name = skip(line, (size_t)(at - line.data));
	size_t n = 0;
	while (n < name.len && isalnum((unsigned char)name.data[n]))
		n++;
	if (n == name.len || name.data[n] != ':')
		return false;
	p->said = (struct span){name.data, n};
	*ret = trim(skip(name, n + 1));
	return true;
}

static void remember_exception(struct parser *p)
{
	free(p->pending);
	p->pending = copy(p->said);
}

/* What is on a line without an exception's name. */
static int read_other(struct parser *p, struct span line)
{
	struct span rest;
	bool frame = starts(line, "at ");
	if (p->unfinished && starts(line, "path="))
		read_rest(p, line);
	else if (behind(line, "This file descriptor was created by ", &rest))
		read_creator(p, rest);
	else if (find(line, "BusySelectorException: ") ||
	         find(line, "Suppressed: java.nio.channels.IllegalSelectorException"))
		return read_selector(p, line);
	else if (p->pending && line.len && !frame)
		return read_message(p, line);
	if (frame) {
		free(p->pending);
		p->pending = NULL;
	}
	return 0;
}

static int read_line(struct parser *p, struct span line)
{
	struct span rest, message;
	p->said = (struct span){"", 0};
	line = trim(line);
	bool exception = find_exception(p, line, &message);
	if (behind(exception ? message : line, "FD fd=", &rest))
		return read_descriptor(p, rest);
	if (exception && message.len)
		return read_message(p, message);
	if (exception) {
		remember_exception(p);
		return 0;
	}
	return read_other(p, line);
}

static int nothing_found(const struct crac_list *list, struct err *err)
{
	if (list->allowed)
		err_set(err, -ENOENT, ERR_SCRIPT, "no-descriptors",
		        "the text names %zu descriptors, and the JVM objects to none of them", list->allowed);
	else
		err_set(err, -ENOENT, ERR_SCRIPT, "no-descriptors", "no descriptor lines in this text (%zu %s)",
		        list->lines, list->lines == 1 ? "line" : "lines");
	err_hint(err, "paste the whole CheckpointException with its 'Suppressed: … FD fd=4 type=socket path=…' lines");
	return -ENOENT;
}

int crac_parse(struct crac_list *ret, const char *text, size_t len, struct err *err)
{
	struct parser p = {.list = ret};
	struct span rest = {text, len};
	int r = 0;
	*ret = (struct crac_list){0};
	while (rest.len && r == 0) {
		const char *end = memchr(rest.data, '\n', rest.len);
		struct span line = end ? until(rest, end) : rest;
		ret->lines++;
		r = read_line(&p, line);
		rest = skip(rest, line.len + (end != NULL));
	}
	free(p.by_fd);
	free(p.pending);
	if (r < 0)
		return err_nomem(err);
	return ret->n ? 0 : nothing_found(ret, err);
}

int crac_read(struct crac_list *ret, int fd, const char *name, struct err *err)
{
	struct text text = {0};
	int r = 0;
	*ret = (struct crac_list){0};
	while (text.len <= CRAC_MOST_TEXT) {
		char *room = text_reserve(&text, 65536);
		ssize_t n = room ? read(fd, room, 65536) : -1;
		if (!room)
			r = err_nomem(err);
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0)
			r = err_set(err, -errno, ERR_RUNTIME, "cannot-read", "%s: %s", name, strerror(errno));
		if (n <= 0)
			break;
		text.len += (size_t)n;
	}
	if (r == 0 && text.len > CRAC_MOST_TEXT)
		r = err_set(err, -EFBIG, ERR_SCRIPT, "text-too-big", "%s: more than %d MiB; give only the exception",
		        name, CRAC_MOST_TEXT >> 20);
	if (r == 0)
		r = crac_parse(ret, text_str(&text), text.len, err);
	if (r == -ENOENT)
		err_context(err, "%s", name);
	text_fini(&text);
	return r;
}

void crac_fini(struct crac_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		item_fini(&list->items[i]);
	free(list->items);
	*list = (struct crac_list){0};
}

const char *crac_kind_name(enum crac_kind kind)
{
	static const char *const names[] = {"descriptor", "socket", "file", "directory", "character device",
	        "block device", "pipe", "epoll", "eventfd", "timerfd", "signalfd", "inotify", "anonymous", "selector"};
	return names[kind];
}
