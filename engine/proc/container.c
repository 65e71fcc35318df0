/* Containers, by the paths of their cgroups.
 *
 * The kernel knows no containers, and runtimes tell nobody; but each puts a container's processes into a cgroup of its own,
 * and the path of that has the container's id. How it is written is up to the runtime, to its cgroup driver (cgroupfs or
 * systemd) and to who runs it (Kubernetes, a user):
 *
 *     /docker/ID                                                  docker, cgroupfs
 *     /system.slice/docker-ID.scope                               docker, systemd
 *     /kubepods/burstable/podUID/ID                               Kubernetes, cgroupfs
 *     /kubepods.slice/…/kubepods-burstable-podUID.slice/cri-containerd-ID.scope     with systemd; crio-ID, docker-ID
 *     /system.slice/containerd.service/kubepods-…-podUID.slice:cri-containerd:ID    with a mixture of both
 *     /machine.slice/libpod-ID.scope/container                    podman
 *     /lxc/NAME, /lxc.payload.NAME, /lxc.payload/NAME             LXC, LXD, Incus
 *     /machine.slice/machine-NAME.scope, …/systemd-nspawn@NAME.service/payload      systemd-nspawn
 *     /ecs/TASK/ID                                                docker on Amazon's ECS
 *
 * A path is read component by component, and later ones win: a container in a container is the inner one. An id has to
 * look like one (64 hexadecimal digits, or a known prefix in front), since anybody may call a cgroup "docker". Seen from
 * inside a cgroup namespace a path begins with "/..", which is a component that says nothing. */
#include "engine/proc/container.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST_TEXT = 65536, SHORT_ID = 12 };

struct span {
	const char *data;
	size_t len;
};

/* --- pieces --- */

static bool is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

static bool take_prefix(struct span *s, const char *prefix)
{
	size_t n = strlen(prefix);
	if (s->len < n || memcmp(s->data, prefix, n) != 0)
		return false;
	s->data += n;
	s->len -= n;
	return true;
}

static bool take_suffix(struct span *s, const char *suffix)
{
	size_t n = strlen(suffix);
	if (s->len < n || memcmp(s->data + s->len - n, suffix, n) != 0)
		return false;
	s->len -= n;
	return true;
}

static bool is_hex(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isdigit((unsigned char)s.data[i]) && (s.data[i] < 'a' || s.data[i] > 'f'))
			return false;
	return s.len > 0;
}

static bool is_id(struct span s)
{
	return s.len == 64 && is_hex(s);
}

static void put(char *to, size_t room, struct span s)
{
	size_t len = s.len < room ? s.len : room - 1;
	memcpy(to, s.data, len);
	to[len] = 0;
}

/* --- what a component says --- */

static void set(struct container *ret, const char *runtime, struct span id)
{
	ret->name[0] = 0;
	put(ret->runtime, sizeof(ret->runtime), (struct span){runtime, strlen(runtime)});
	put(ret->id, sizeof(ret->id), id);
}

static void set_named(struct container *ret, const char *runtime, struct span name)
{
	set(ret, runtime, name);
	put(ret->name, sizeof(ret->name), name);
	ret->pod_uid[0] = 0;
}

/* "docker-ID.scope", "crio-ID", "libpod-ID.scope". The monitors beside them ("crio-conmon-ID.scope") are not in the container. */
static bool read_prefixed(struct span s, struct container *ret)
{
	static const struct {
		const char *prefix, *runtime;
	} known[] = {{"docker-", "docker"}, {"cri-containerd-", "containerd"}, {"containerd-", "containerd"},
	        {"nerdctl-", "containerd"}, {"crio-", "cri-o"}, {"libpod-", "podman"}, {"podman-", "podman"}};
	take_suffix(&s, ".scope");
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct span id = s;
		if (take_prefix(&id, known[i].prefix) && is_id(id)) {
			set(ret, known[i].runtime, id);
			return true;
		}
	}
	/* another runtime's scope */
	if (s.len > 65 && s.data[s.len - 65] == '-' && is_id((struct span){s.data + s.len - 64, 64}) &&
	        !memmem(s.data, s.len, "conmon-", 7)) {
		set(ret, "unknown", (struct span){s.data + s.len - 64, 64});
		return true;
	}
	return false;
}

/* "kubepods-burstable-podUID.slice:cri-containerd:ID" */
static bool read_colons(struct span s, struct container *ret)
{
	const char *last = memrchr(s.data, ':', s.len);
	struct span id, runtime;
	if (!last)
		return false;
	id = (struct span){last + 1, (size_t)(s.data + s.len - last) - 1};
	runtime = (struct span){s.data, (size_t)(last - s.data)};
	if (!is_id(id))
		return false;
	if (take_suffix(&runtime, ":cri-containerd") || take_suffix(&runtime, ":containerd"))
		set(ret, "containerd", id);
	else if (take_suffix(&runtime, ":crio"))
		set(ret, "cri-o", id);
	else if (take_suffix(&runtime, ":docker"))
		set(ret, "docker", id);
	else
		set(ret, "unknown", id);
	return true;
}

/* A bare id: whose it is, the component before it says. */
static bool read_bare(struct span s, struct span parent, struct span grandparent, struct container *ret)
{
	if (!is_id(s)) {
		/* Fargate: 32 digits of the task, and a number */
		struct span task = {s.data, 32};
		if (!is(grandparent, "ecs") || s.len < 34 || s.len > 64 || !is_hex(task) || s.data[32] != '-')
			return false;
		set(ret, "ecs", s);
		return true;
	}
	if (is(parent, "docker") || is(grandparent, "ecs"))
		set(ret, "docker", s);
	else if (is(parent, "libpod_parent"))
		set(ret, "podman", s);
	else if (is(parent, "default") || is(parent, "moby") || is(parent, "k8s.io"))
		set(ret, "containerd", s);
	else
		set(ret, ret->pod_uid[0] ? "kubernetes" : "unknown", s);
	return true;
}

/* Undoes systemd's \x2d. */
static struct span unescape(struct span s, char *room, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len && n < size; i++) {
		unsigned value;
		char digits[3] = {0};
		if (s.len - i >= 4 && s.data[i] == '\\' && s.data[i + 1] == 'x') {
			memcpy(digits, s.data + i + 2, 2);
			if (isxdigit((unsigned char)digits[0]) && sscanf(digits, "%2x", &value) == 1 && value &&
			        value != '/') {
				room[n++] = (char)value;
				i += 3;
				continue;
			}
		}
		room[n++] = s.data[i];
	}
	return (struct span){room, n};
}

/* "machine-NAME.scope" of systemd's machined: systemd-nspawn, LXC through libvirt, or a virtual machine, which is none. */
static bool read_machine(struct span s, struct span parent, struct container *ret)
{
	char room[sizeof(ret->name)];
	struct span name = s;
	if (take_prefix(&name, "systemd-nspawn@") && take_suffix(&name, ".service")) {
		set_named(ret, "systemd-nspawn", unescape(name, room, sizeof(room)));
		return true;
	}
	name = s;
	if (!is(parent, "machine.slice") || !take_prefix(&name, "machine-") || !take_suffix(&name, ".scope"))
		return false;
	name = unescape(name, room, sizeof(room));
	if (take_prefix(&name, "qemu-"))
		return false;
	if (!take_prefix(&name, "lxc-")) {
		set_named(ret, "systemd-nspawn", name);
		return true;
	}
	while (name.len && isdigit((unsigned char)*name.data)) /* libvirt's number */
		take_prefix(&name, (char[2]){*name.data, 0});
	take_prefix(&name, "-");
	set_named(ret, "lxc", name);
	return true;
}

/* "lxc/NAME", "lxc.payload/NAME", "lxc.payload.NAME"; and others that put a name below a folder of theirs. */
static bool read_named(struct span s, struct span parent, bool first, struct container *ret)
{
	struct span name = s;
	if (take_prefix(&name, "lxc.payload.") && name.len) {
		set_named(ret, "lxc", name);
		return true;
	}
	if (!s.len || is(s, ".."))
		return false;
	if (first && (is(parent, "lxc") || is(parent, "lxc.payload")))
		set_named(ret, "lxc", s);
	else if (first && is(parent, "garden"))
		set(ret, "garden", s);
	else if (first && is(parent, "mesos"))
		set(ret, "mesos", s);
	else if (is(parent, "buildkit"))
		set(ret, "buildkit", s);
	else
		return false;
	return true;
}

static bool is_uid(struct span s, char dash)
{
	static const size_t dashes[] = {8, 13, 18, 23};
	if (s.len == 32)
		return is_hex(s);
	if (s.len != 36)
		return false;
	for (size_t i = 0, d = 0; i < 36; i++) {
		bool is_dash = d < 4 && i == dashes[d];
		d += is_dash;
		if (is_dash ? s.data[i] != dash : !is_hex((struct span){s.data + i, 1}))
			return false;
	}
	return true;
}

/* "podUID", "kubepods-burstable-podUID.slice", "kubepods-podUID.slice:…", "kubelet-kubepods-podUID.slice" */
static bool read_pod(struct span s, struct container *ret)
{
	const char *colon = memchr(s.data, ':', s.len);
	struct span uid = colon ? (struct span){s.data, (size_t)(colon - s.data)} : s;
	char dash = '-';
	if (take_suffix(&uid, ".slice")) {
		const char *at = memmem(uid.data, uid.len, "-pod", 4);
		for (const char *next = at; next;
		        next = memmem(next + 1, (size_t)(uid.data + uid.len - next) - 1, "-pod", 4))
			at = next;
		if (!at || !memmem(uid.data, uid.len, "kubepods", 8))
			return false;
		uid = (struct span){at + 4, (size_t)(uid.data + uid.len - at) - 4};
		dash = '_';
	} else if (!take_prefix(&uid, "pod")) {
		return false;
	}
	if (!is_uid(uid, dash))
		return false;
	put(ret->pod_uid, sizeof(ret->pod_uid), uid);
	for (char *c = ret->pod_uid; *c; c++)
		if (*c == '_')
			*c = '-';
	return true;
}

bool container_parse_path(const char *path, size_t len, struct container *ret, size_t *ret_len)
{
	struct span parent = {"", 0}, grandparent = {"", 0};
	const char *at = path, *end = path + len;
	memset(ret, 0, sizeof(*ret));
	*ret_len = 0;
	for (size_t depth = 0; at < end; depth++) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		struct span s = {at, (size_t)((slash ? slash : end) - at)};
		at = slash ? slash + 1 : end;
		if (!s.len)
			continue;
		bool pod = read_pod(s, ret);
		if (pod && !memchr(s.data, ':', s.len)) {
			ret->id[0] = ret->runtime[0] = ret->name[0] = 0; /* what is further out is the node's */
			*ret_len = 0;
		} else if (read_prefixed(s, ret) || read_colons(s, ret) || read_bare(s, parent, grandparent, ret) ||
		           read_machine(s, parent, ret) || read_named(s, parent, depth <= 2, ret)) {
			*ret_len = (size_t)(s.data + s.len - path);
		}
		grandparent = parent;
		parent = s;
	}
	put(ret->cgroup, sizeof(ret->cgroup), (struct span){path, *ret_len});
	return *ret_len > 0 && *ret_len < sizeof(ret->cgroup);
}

/* A line is "12:memory:/docker/…", that of version 2 "0::/…". */
static bool parse_line(struct span line, struct container *ret)
{
	const char *first = memchr(line.data, ':', line.len);
	const char *second = first ? memchr(first + 1, ':', (size_t)(line.data + line.len - first) - 1) : NULL;
	size_t used;
	if (!second)
		return false;
	bool unified = second == first + 1 && line.data[0] == '0';
	if (!container_parse_path(second + 1, (size_t)(line.data + line.len - second) - 1, ret, &used))
		return false;
	ret->unified = unified;
	return true;
}

bool container_parse(const char *text, size_t len, struct container *ret)
{
	const char *at = text, *end = text + len;
	bool found = false;
	struct container one;
	memset(ret, 0, sizeof(*ret));
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		struct span line = {at, (size_t)((newline ? newline : end) - at)};
		at = newline ? newline + 1 : end;
		if (!parse_line(line, &one) || (found && !one.unified))
			continue;
		*ret = one;
		found = true;
	}
	return found;
}

int container_of(pid_t pid, struct container *ret)
{
	char path[64];
	struct text text = {0};
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	memset(ret, 0, sizeof(*ret));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	int r = 0;
	while (r == 0 && text.len < MOST_TEXT) {
		char *room = text_reserve(&text, 4096);
		ssize_t n = room ? read(fd, room, 4096) : -1;
		if (n < 0)
			r = room ? -errno : -ENOMEM;
		if (n <= 0)
			break;
		text.len += (size_t)n;
	}
	close(fd);
	if (r == 0)
		r = container_parse(text_str(&text), text.len, ret);
	text_fini(&text);
	return r;
}

void container_label(struct text *out, const struct container *container)
{
	size_t len = strlen(container->id);
	bool hex = len >= 32;
	text_adds(out, container->runtime);
	text_addc(out, ':');
	if (container->name[0])
		text_adds(out, container->name);
	else
		text_add(out, container->id, hex && len > SHORT_ID ? SHORT_ID : len);
}
