/* What an event of the recipe `fds` says about descriptors, read by the names of its fields.
 *
 * The table does not know the recipe's probes, only what their fields are called (scripts/fds.lua describes them): so a
 * script that somebody writes, with the same names, works as well. Names are looked up once, when the output is opened. */
#include "engine/out/open_table.h"
#include "bpf-templates/kinds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where one probe keeps what: a field's number and one, 0 = has none. */
struct open_fields {
	uint8_t op, fd, from, inode, file, child, shared, first, last, flags, path, addr, kind, family, type, cloexec;
	uint8_t req, ring, user_data, count;
	const char *call; /* behind the probe's last colon */
};

static void take(struct open_fields *ret, const char *name, uint8_t number)
{
	const struct {
		const char *name;
		uint8_t *number;
	} known[] = {{"op", &ret->op}, {"fd", &ret->fd}, {"fds", &ret->fd}, {"from", &ret->from},
	        {"inode", &ret->inode}, {"inodes", &ret->inode}, {"file", &ret->file}, {"files", &ret->file},
	        {"child", &ret->child}, {"shared", &ret->shared}, {"first", &ret->first}, {"last", &ret->last},
	        {"flags", &ret->flags}, {"path", &ret->path}, {"addr", &ret->addr}, {"kind", &ret->kind},
	        {"cloexec", &ret->cloexec}, {"count", &ret->count}, {"req", &ret->req}, {"ring", &ret->ring},
	        {"user_data", &ret->user_data}, {"family", &ret->family}, {"type", &ret->type}};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i].name, name) == 0)
			*known[i].number = number;
}

int open_fields_init(struct open_table *table, const struct probe_schema *probes, size_t nprobes)
{
	table->fields = calloc(nprobes + 1, sizeof(*table->fields));
	if (!table->fields)
		return -ENOMEM;
	table->nfields = nprobes;
	for (size_t i = 0; i < nprobes; i++) {
		const char *colon = strrchr(probes[i].name, ':');
		table->fields[i].call = colon ? colon + 1 : probes[i].name;
		for (size_t f = 0; f < probes[i].nfields && f < UINT8_MAX; f++)
			take(&table->fields[i], probes[i].fields[f].name, (uint8_t)(f + 1));
	}
	return 0;
}

void open_fields_fini(struct open_table *table)
{
	free(table->fields);
	table->fields = NULL;
	table->nfields = 0;
}

static struct value read_value(const struct event *event, uint8_t number)
{
	return number ? event_value(event, number - 1u) : (struct value){.missing = true};
}

static bool is_integer(const struct value *value)
{
	return !value->missing && (value->kind == VALUE_INT || value->kind == VALUE_UINT || value->kind == VALUE_BOOL);
}

static bool read_int(const struct event *event, uint8_t number, int64_t *ret)
{
	struct value value = read_value(event, number);
	if (!is_integer(&value) || value.count || !value_has(&value, 0))
		return false;
	*ret = value_int(&value, 0);
	return true;
}

/* Elements, or the one scalar; what has no value is `none`. */
static size_t read_ints(const struct event *event, uint8_t number, int64_t *ret, int64_t none)
{
	struct value value = read_value(event, number);
	size_t n = is_integer(&value) ? value.count : 0;
	for (size_t i = 0; i < OPEN_MOST_FDS; i++)
		ret[i] = none;
	if (is_integer(&value) && !value.count)
		n = 1;
	for (size_t i = 0; i < n && i < OPEN_MOST_FDS; i++)
		if (value_has(&value, i))
			ret[i] = value_int(&value, i);
	return n < OPEN_MOST_FDS ? n : OPEN_MOST_FDS;
}

static bool is_text(const struct value *value, const char *text)
{
	return !value->missing && value->kind == VALUE_STR && value->len == strlen(text) &&
	       memcmp(value->data, text, value->len) == 0;
}

static enum open_op op_of(const struct value *value)
{
	static const struct {
		const char *name;
		enum open_op op;
	} ops[] = {{"new", OP_NEW}, {"dup", OP_DUP}, {"close", OP_CLOSE}, {"range", OP_RANGE}, {"note", OP_NOTE},
	        {"fork", OP_FORK}, {"unshare", OP_UNSHARE}, {"exec", OP_EXEC}, {"exit", OP_EXIT},
	        {"submit", OP_SUBMIT}};
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		if (is_text(value, ops[i].name))
			return ops[i].op;
	return OP_NONE;
}

/* fd_kind() knows less of what is not opened by a path, and calls a FIFO a pipe. */
static enum descriptor_kind kind_of(int64_t kind)
{
	static const uint8_t kinds[] = {[KIND_OTHER] = DESCRIPTOR_ANON,
	        [KIND_SOCKET] = DESCRIPTOR_SOCKET,
	        [KIND_PIPE] = DESCRIPTOR_PIPE,
	        [KIND_FILE] = DESCRIPTOR_FILE,
	        [KIND_DIRECTORY] = DESCRIPTOR_DIRECTORY,
	        [KIND_DEVICE] = DESCRIPTOR_DEVICE,
	        [KIND_SYMLINK] = DESCRIPTOR_FILE,
	        [KIND_EPOLL] = DESCRIPTOR_EVENTPOLL,
	        [KIND_EVENTFD] = DESCRIPTOR_EVENTFD,
	        [KIND_TIMERFD] = DESCRIPTOR_TIMERFD,
	        [KIND_SIGNALFD] = DESCRIPTOR_SIGNALFD,
	        [KIND_INOTIFY] = DESCRIPTOR_INOTIFY,
	        [KIND_FANOTIFY] = DESCRIPTOR_FANOTIFY,
	        [KIND_MEMFD] = DESCRIPTOR_MEMFD,
	        [KIND_PIDFD] = DESCRIPTOR_PIDFD,
	        [KIND_IO_URING] = DESCRIPTOR_IO_URING,
	        [KIND_BPF] = DESCRIPTOR_BPF,
	        [KIND_PERF] = DESCRIPTOR_PERF_EVENT,
	        [KIND_USERFAULTFD] = DESCRIPTOR_USERFAULTFD,
	        [KIND_MQUEUE] = DESCRIPTOR_FILE,
	        [KIND_MOUNT] = DESCRIPTOR_ANON,
	        [KIND_LANDLOCK] = DESCRIPTOR_ANON,
	        [KIND_SECCOMP] = DESCRIPTOR_ANON};
	return kind >= 0 && kind < (int64_t)sizeof(kinds) ? (enum descriptor_kind)kinds[kind] : DESCRIPTOR_UNKNOWN;
}

bool open_fact_read(const struct open_table *table, const struct event *event, struct open_fact *ret)
{
	if (event->probe->index >= table->nfields)
		return false;
	const struct open_fields *fields = &table->fields[event->probe->index];
	struct value op = read_value(event, fields->op);
	int64_t flag = 0;
	ret->op = op_of(&op);
	if (ret->op == OP_NONE)
		return false;
	ret->call = fields->call;
	ret->kind = read_int(event, fields->kind, &flag) ? kind_of(flag) : DESCRIPTOR_UNKNOWN;
	ret->n = read_ints(event, fields->fd, ret->fd, -1);
	read_ints(event, fields->inode, (int64_t *)ret->inode, 0);
	read_ints(event, fields->file, (int64_t *)ret->file, 0);
	ret->has_from = read_int(event, fields->from, &ret->from);
	ret->has_child = read_int(event, fields->child, &ret->child);
	ret->shared = read_int(event, fields->shared, &flag) && flag;
	if (!read_int(event, fields->first, &ret->first))
		ret->first = 0;
	if (!read_int(event, fields->last, &ret->last))
		ret->last = INT32_MAX;
	ret->flags = read_int(event, fields->flags, &flag) ? (uint64_t)flag : 0;
	ret->has_cloexec = read_int(event, fields->cloexec, &flag);
	ret->cloexec = ret->has_cloexec && flag;
	ret->received = ret->op == OP_DUP && fields->count && read_int(event, fields->count, &flag);
	ret->req = read_int(event, fields->req, &flag) ? (uint64_t)flag : 0;
	ret->ring = read_int(event, fields->ring, &flag) ? (uint64_t)flag : 0;
	ret->user_data = read_int(event, fields->user_data, &flag) ? (uint64_t)flag : 0;
	ret->family = read_int(event, fields->family, &flag) ? (uint16_t)flag : 0;
	ret->type = read_int(event, fields->type, &flag) ? (uint16_t)(flag & 0xf) : 0;
	ret->path = read_value(event, fields->path);
	ret->addr = read_value(event, fields->addr);
	return true;
}
