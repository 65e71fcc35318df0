/* rille.proc and rille.sock: what /proc and sock_diag say of a process and of its sockets, for callbacks.
 *
 * They tell how things are when they are called, which may be later than the event at hand. What has gone meanwhile is nil
 * and a message. The declare phase has no business with the machine that it runs on, so there they raise.
 *
 * What is read lives in the script, not on the C stack: pushing it may raise, and a Lua error is a longjmp. The time it
 * takes is the machine's choice (a process may have 100,000 descriptors), so it is charged as instructions. The sockets of a
 * network namespace are read once a callback: who asks for one often asks for all of a process. */
#include "engine/out/sockaddr.h"
#include "engine/proc/container.h"
#include "engine/proc/descriptors.h"
#include "engine/proc/maps.h"
#include "engine/proc/owners.h"
#include "engine/proc/sockets.h"
#include "engine/script/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_MAPS = 32 << 20, COST_READ = 2000, COST_ITEM = 20 };

/* What the last call read; `sockets`: all calls of this callback. */
struct processes {
	struct descriptors descriptors;
	struct sockets sockets;
	struct owners owners;
	struct text text;
	struct err err;
};

static void empty(struct processes *answers)
{
	descriptors_fini(&answers->descriptors);
	owners_fini(&answers->owners);
	text_reset(&answers->text);
	answers->descriptors = (struct descriptors){0};
	answers->owners = (struct owners){0};
	answers->err = (struct err){0};
}

void processes_end(struct processes *answers)
{
	if (!answers)
		return;
	empty(answers);
	sockets_fini(&answers->sockets);
	answers->sockets = (struct sockets){0};
}

void processes_free(struct processes *answers)
{
	if (!answers)
		return;
	processes_end(answers);
	text_fini(&answers->text);
	free(answers);
}

/* To be called first by each function. */
static struct processes *begin(lua_State *L, const char *function)
{
	struct script *script = script_of(L);
	if (!script->running)
		sandbox_raise(L, "%s: only callbacks can ask for processes", function);
	sandbox_charge(L, COST_READ);
	if (!script->processes)
		script->processes = calloc(1, sizeof(*script->processes));
	if (!script->processes)
		sandbox_raise(L, "not enough memory");
	empty(script->processes);
	return script->processes;
}

static pid_t check_pid(lua_State *L, int idx)
{
	lua_Integer pid = luaL_checkinteger(L, idx);
	luaL_argcheck(L, pid > 0 && pid <= 0x7fffffff, idx, "not a process id");
	return (pid_t)pid;
}

static int fail(lua_State *L, const char *message)
{
	lua_pushnil(L);
	lua_pushstring(L, message);
	return 2;
}

/* Text of the target's: cleaned, as everything that a script may print. */
static void set_clean(lua_State *L, const char *key, const char *value)
{
	struct text *clean = &script_of(L)->scratch;
	if (!value)
		return;
	text_reset(clean);
	text_add_clean(clean, value, strlen(value));
	lua_pushlstring(L, text_str(clean), clean->len);
	lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, uint64_t value)
{
	lua_pushinteger(L, (lua_Integer)value);
	lua_setfield(L, -2, key);
}

/* --- rille.proc --- */

static void push_descriptor(lua_State *L, const struct descriptors *list, const struct descriptor *descriptor)
{
	lua_createtable(L, 0, 4);
	set_integer(L, "fd", (uint64_t)descriptor->fd);
	set_clean(L, "kind", descriptor_kind_name((enum descriptor_kind)descriptor->kind));
	set_clean(L, "path", descriptor_path(list, descriptor));
	if (descriptor->inode)
		set_integer(L, "inode", descriptor->inode);
}

/* rille.proc.descriptors(pid): a list of { fd, kind, inode, path }. */
static int list_descriptors(lua_State *L)
{
	pid_t pid = check_pid(L, 1);
	struct processes *answers = begin(L, "rille.proc.descriptors");
	const struct descriptors *list = &answers->descriptors;
	if (descriptors_scan(pid, &answers->descriptors, &answers->err) < 0)
		return fail(L, answers->err.message);
	sandbox_charge(L, list->n * COST_ITEM);
	lua_createtable(L, (int)list->n, 0);
	for (size_t i = 0; i < list->n; i++) {
		push_descriptor(L, list, &list->list[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

static int read_maps(pid_t pid, struct text *ret)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	while (r == 0 && ret->len < MOST_MAPS) {
		char *room = text_reserve(ret, 65536);
		ssize_t n = room ? read(fd, room, 65536) : -1;
		if (n < 0)
			r = room ? -errno : -ENOMEM;
		if (n <= 0)
			break;
		ret->len += (size_t)n;
		ret->data[ret->len] = 0;
	}
	close(fd);
	return r;
}

static void push_mapping(lua_State *L, const struct maps_line *line)
{
	const char perms[] = {line->flags & MAPPING_READ ? 'r' : '-', line->flags & MAPPING_WRITE ? 'w' : '-',
	        line->flags & MAPPING_EXEC ? 'x' : '-', 0};
	lua_createtable(L, 0, 6);
	set_integer(L, "start", line->start);
	set_integer(L, "stop", line->end);
	set_integer(L, "offset", line->offset);
	set_clean(L, "perms", perms);
	if (line->inode)
		set_integer(L, "inode", line->inode);
	if (line->path[0])
		set_clean(L, "path", line->path);
}

/* rille.proc.maps(pid): a list of { start, stop, perms, offset, inode, path }. */
static int list_maps(lua_State *L)
{
	pid_t pid = check_pid(L, 1);
	struct processes *answers = begin(L, "rille.proc.maps");
	struct maps_line line;
	int r = read_maps(pid, &answers->text);
	if (r < 0)
		return fail(L, strerror(-r));
	sandbox_charge(L, answers->text.len / 8);
	lua_newtable(L);
	char *rest = answers->text.data;
	for (lua_Integer n = 0; rest && *rest;) {
		char *one = strsep(&rest, "\n");
		if (!maps_parse_line(one, &line))
			continue;
		push_mapping(L, &line);
		lua_rawseti(L, -2, ++n);
	}
	return 1;
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* rille.proc.started(pid): when it was started, ns since 1970, as exact as the kernel tells (10 ms). */
static int get_started(lua_State *L)
{
	pid_t pid = check_pid(L, 1);
	begin(L, "rille.proc.started");
	uint64_t ticks = proc_start_ticks(pid), hz = (uint64_t)sysconf(_SC_CLK_TCK);
	if (!ticks)
		return fail(L, strerror(ESRCH));
	uint64_t booted = now_ns(CLOCK_REALTIME) - now_ns(CLOCK_BOOTTIME);
	uint64_t started = booted + ticks / hz * 1000000000u + ticks % hz * (1000000000u / hz);
	lua_pushinteger(L, (lua_Integer)started);
	return 1;
}

static void set_known(lua_State *L, const char *key, const char *value)
{
	set_clean(L, key, value[0] ? value : NULL);
}

/* rille.proc.container(pid): { runtime, id, name, pod, … }; nil if it is in none. */
static int get_container(lua_State *L)
{
	pid_t pid = check_pid(L, 1);
	struct container container;
	begin(L, "rille.proc.container");
	int r = container_of(pid, &container);
	if (r < 0)
		return fail(L, strerror(-r));
	if (r == 0)
		return 0;
	container_name(&container, "", pid);
	lua_createtable(L, 0, 7);
	set_known(L, "runtime", container.runtime);
	set_known(L, "id", container.id);
	set_known(L, "name", container.name);
	set_known(L, "pod", container.pod);
	set_known(L, "pod_uid", container.pod_uid);
	set_known(L, "pod_namespace", container.pod_namespace);
	set_known(L, "cgroup", container.cgroup);
	return 1;
}

/* --- rille.sock --- */

/* Reads the sockets of the network namespace of the process at idx, by default our own; the one with the inode. */
static const struct socket_info *find_socket(lua_State *L, struct processes *answers)
{
	lua_Integer inode = luaL_checkinteger(L, 1);
	pid_t pid = lua_isnoneornil(L, 2) ? getpid() : check_pid(L, 2);
	size_t before = answers->sockets.n;
	if (sockets_read(&answers->sockets, pid, &answers->err) < 0)
		return NULL;
	sandbox_charge(L, (answers->sockets.n - before) * 2);
	if (answers->sockets.n != before)
		sockets_sort(&answers->sockets);
	const struct socket_info *found = sockets_find(&answers->sockets, (uint64_t)inode);
	if (!found)
		err_set(&answers->err, -ENOENT, ERR_RUNTIME, "no-socket",
		        "no socket of that network namespace has inode %llu", (unsigned long long)inode);
	return found;
}

static void set_address(lua_State *L, const char *key, const uint8_t *address, size_t len)
{
	if (!len)
		return;
	address_push(L, address, len);
	lua_setfield(L, -2, key);
}

/* rille.sock.state(inode, pid): { family, type, state, local, remote, peer }. */
static int get_state(lua_State *L)
{
	struct processes *answers = begin(L, "rille.sock.state");
	const struct socket_info *socket = find_socket(L, answers);
	if (!socket)
		return fail(L, answers->err.message);
	uint64_t peer = sockets_peer(&answers->sockets, socket);
	lua_createtable(L, 0, 7);
	if (sockaddr_family(socket->family))
		set_clean(L, "family", sockaddr_family(socket->family));
	set_clean(L, "type", socket_type_name(socket->type));
	set_clean(L, "state", socket_state_name(socket));
	set_address(L, "local", socket_local(&answers->sockets, socket), socket->local_len);
	set_address(L, "remote", socket_remote(&answers->sockets, socket), socket->remote_len);
	if (socket->waiting)
		set_integer(L, "waiting", socket->waiting);
	if (peer)
		set_integer(L, "peer", peer);
	return 1;
}

/* rille.sock.peer(inode, pid): the other end, { inode, pid, fd, comm }; nil if it is not on this machine. */
static int get_peer(lua_State *L)
{
	struct processes *answers = begin(L, "rille.sock.peer");
	const struct socket_info *socket = find_socket(L, answers);
	if (!socket)
		return fail(L, answers->err.message);
	uint64_t peer = sockets_peer(&answers->sockets, socket);
	if (!peer)
		return fail(L, "it has no other end on this machine");
	sandbox_charge(L, 100 * COST_READ); /* every process may have it */
	if (owners_want(&answers->owners, peer, 0) < 0)
		sandbox_raise(L, "not enough memory");
	owners_sort(&answers->owners);
	owners_search(&answers->owners, NULL, 0);
	const struct owner *owner = owners_find(&answers->owners, peer, 0);
	lua_createtable(L, 0, 4);
	set_integer(L, "inode", peer);
	if (owner && owner->pid) {
		set_integer(L, "pid", (uint64_t)owner->pid);
		set_integer(L, "fd", (uint64_t)owner->fd);
		set_clean(L, "comm", owner->comm);
	}
	return 1;
}

void processes_open(lua_State *L)
{
	static const luaL_Reg proc[] = {{"descriptors", list_descriptors}, {"maps", list_maps},
	        {"started", get_started}, {"container", get_container}, {NULL, NULL}};
	static const luaL_Reg sock[] = {{"state", get_state}, {"peer", get_peer}, {NULL, NULL}};
	library_push(L);
	luaL_newlib(L, proc);
	lua_setfield(L, -2, "proc");
	luaL_newlib(L, sock);
	lua_setfield(L, -2, "sock");
	lua_pop(L, 1);
}
