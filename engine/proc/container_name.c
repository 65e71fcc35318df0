/* Names of containers: what their runtimes keep on disk. Nobody is asked over a socket: a daemon may hang, and these files
 * are there for whoever may trace.
 *
 *     docker       /var/lib/docker/containers/ID/config.v2.json                          "Name": "/web-1"
 *     podman       /var/lib/containers/storage/overlay-containers/containers.json        { "id": ID, "names": [ "web" ] }
 *     cri-o        /run/containers/storage/overlay-containers/ID/userdata/config.json    annotations of the OCI spec
 *     containerd   /run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json    …
 *
 * The JSON is read by a scanner for strings and their depth, which is all that these need; what is not well-formed gives no
 * name. */
#include "engine/proc/container.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { MOST_FILE = 8 << 20 };

/* --- JSON --- */

/* Called for each text in an object or array: `key` is that of the object it is in, `depth` how many braces are open. */
typedef void (*json_string)(void *user, const char *key, const char *value, unsigned depth);

/* Reads the text behind a quote; behind its end again. Escapes other than of quotes and slashes are left as they are. */
static const char *read_string(const char *at, const char *end, char *room, size_t size)
{
	size_t n = 0;
	while (at < end && *at != '"') {
		if (*at == '\\' && end - at > 1 && strchr("\"\\/", at[1]))
			at++;
		if (n + 1 < size)
			room[n++] = *at;
		at++;
	}
	room[n] = 0;
	return at < end ? at + 1 : end;
}

static void read_json(const char *at, size_t len, json_string fn, void *user)
{
	const char *end = at + len;
	char key[129] = "", text[256];
	unsigned depth = 0;
	while (at < end) {
		char c = *at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth)
			depth--;
		if (c != '"')
			continue;
		at = read_string(at, end, text, sizeof(text));
		while (at < end && isspace((unsigned char)*at))
			at++;
		if (at < end && *at == ':')
			snprintf(key, sizeof(key), "%.128s", text);
		else
			fn(user, key, text, depth);
	}
}

/* --- the runtimes' files --- */

static int read_open(int fd, struct text *ret)
{
	struct stat st;
	int r = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? 0 : -EINVAL;
	while (r == 0 && ret->len < MOST_FILE) {
		char *room = text_reserve(ret, 65536);
		ssize_t n = room ? read(fd, room, 65536) : -1;
		if (n < 0)
			r = -EIO;
		if (n <= 0)
			break;
		ret->len += (size_t)n;
	}
	close(fd);
	return r;
}

static bool read_path(const char *path, struct text *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd >= 0 && read_open(fd, ret) == 0;
}

static void set(char *to, size_t room, const char *value)
{
	if (!to[0])
		snprintf(to, room, "%s", value);
}

static void docker_string(void *user, const char *key, const char *value, unsigned depth)
{
	struct container *container = user;
	if (depth == 1 && !strcmp(key, "Name"))
		set(container->name, sizeof(container->name), value + (value[0] == '/'));
}

static void spec_string(void *user, const char *key, const char *value, unsigned depth)
{
	struct container *container = user;
	const struct {
		const char *key;
		char *to;
		size_t room;
	} annotations[] = {
	        {"io.kubernetes.cri.container-name", container->name, sizeof(container->name)},
	        {"io.kubernetes.container.name", container->name, sizeof(container->name)},
	        {"nerdctl/name", container->name, sizeof(container->name)},
	        {"io.kubernetes.cri.sandbox-name", container->pod, sizeof(container->pod)},
	        {"io.kubernetes.pod.name", container->pod, sizeof(container->pod)},
	        {"io.kubernetes.cri.sandbox-namespace", container->pod_namespace, sizeof(container->pod_namespace)},
	        {"io.kubernetes.pod.namespace", container->pod_namespace, sizeof(container->pod_namespace)},
	        {"io.kubernetes.cri.sandbox-uid", container->pod_uid, sizeof(container->pod_uid)},
	        {"io.kubernetes.pod.uid", container->pod_uid, sizeof(container->pod_uid)},
	};
	for (size_t i = 0; depth == 2 && i < sizeof(annotations) / sizeof(*annotations); i++)
		if (!strcmp(key, annotations[i].key))
			set(annotations[i].to, annotations[i].room, value);
}

struct storage {
	struct container *container;
	bool ours;
};

static void storage_string(void *user, const char *key, const char *value, unsigned depth)
{
	struct storage *storage = user;
	struct container *container = storage->container;
	if (depth == 2 && !strcmp(key, "id"))
		storage->ours = !strcmp(value, container->id);
	else if (depth == 3 && storage->ours && !strcmp(key, "names"))
		set(container->name, sizeof(container->name), value);
}

static void try_spec(struct container *container, const char *root, const char *folder, const char *tail)
{
	char path[1024];
	struct text text = {0};
	snprintf(path, sizeof(path), "%s%s/%s/%s", root, folder, container->id, tail);
	if (read_path(path, &text))
		read_json(text_str(&text), text.len, spec_string, container);
	text_fini(&text);
}

static void try_docker(struct container *container, const char *root)
{
	char path[1024];
	struct text text = {0};
	snprintf(path, sizeof(path), "%s/var/lib/docker/containers/%s/config.v2.json", root, container->id);
	if (read_path(path, &text))
		read_json(text_str(&text), text.len, docker_string, container);
	text_fini(&text);
}

static void try_storage(struct container *container, const char *root)
{
	char path[1024];
	struct text text = {0};
	struct storage storage = {.container = container};
	snprintf(path, sizeof(path), "%s/var/lib/containers/storage/overlay-containers/containers.json", root);
	if (!container->name[0] && read_path(path, &text))
		read_json(text_str(&text), text.len, storage_string, &storage);
	text_fini(&text);
}

static bool is_plain_id(const char *id)
{
	for (const char *c = id; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			return false;
	return id[0];
}

/* The pod's name is its containers' host name, unless they use the machine's network. No path in the container's root is
 * followed out of it. */
static void try_hostname(struct container *container, pid_t pid)
{
	char path[64];
	struct text text = {0};
	struct utsname own;
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
	        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return;
	long fd = syscall(SYS_openat2, root, "etc/hostname", &how, sizeof(how));
	close(root);
	if (fd >= 0 && read_open((int)fd, &text) == 0 && uname(&own) == 0) {
		size_t len = strcspn(text_str(&text), "\r\n");
		if (len && len < sizeof(container->pod) && text.len >= len &&
		        (strlen(own.nodename) != len || memcmp(own.nodename, text_str(&text), len) != 0))
			snprintf(container->pod, sizeof(container->pod), "%.*s", (int)len, text_str(&text));
	}
	text_fini(&text);
}

void container_name(struct container *container, const char *root, pid_t pid)
{
	static const char *const folders[] = {"/run/containerd/io.containerd.runtime.v2.task/k8s.io",
	        "/run/containerd/io.containerd.runtime.v2.task/default"};
	if (is_plain_id(container->id)) {
		try_docker(container, root);
		for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
			try_spec(container, root, folders[i], "config.json");
		try_spec(container, root, "/run/containers/storage/overlay-containers", "userdata/config.json");
		try_storage(container, root);
	}
	if (pid && container->pod_uid[0] && !container->pod[0])
		try_hostname(container, pid);
}
