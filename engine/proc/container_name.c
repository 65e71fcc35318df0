/* Names of containers: what their runtimes keep on disk. Nobody is asked over a socket: a daemon may hang, and these files
 * are there for whoever may trace.
 *
 *     docker       /var/lib/docker/containers/ID/config.v2.json                          "Name": "/web-1"
 *     podman       /var/lib/containers/storage/overlay-containers/containers.json        { "id": ID, "names": [ "web" ] }
 *     cri-o        /run/containers/storage/overlay-containers/ID/userdata/config.json    annotations of the OCI spec
 *     containerd   /run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json    …
 *
 * They are root's, so what is in them is bounded but not distrusted; what is not well-formed gives no name. */
#include "engine/proc/container.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { MOST_FILE = 8 << 20 };

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

/* To be put; NULL if it is not there or not JSON. */
static struct json_object *read_json(const char *path)
{
	struct text text = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct json_object *json = fd >= 0 && read_open(fd, &text) == 0 ? json_tokener_parse(text_str(&text)) : NULL;
	text_fini(&text);
	return json;
}

static const char *string_in(struct json_object *object, const char *key)
{
	struct json_object *value;
	if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, key, &value))
		return NULL;
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

static void set(char *to, size_t room, const char *value)
{
	if (!to[0] && value)
		snprintf(to, room, "%s", value);
}

static void read_docker(struct container *container, struct json_object *config)
{
	const char *name = string_in(config, "Name");
	set(container->name, sizeof(container->name), name && name[0] == '/' ? name + 1 : name);
}

/* The annotations of an OCI spec. */
static void read_spec(struct container *container, struct json_object *config)
{
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
	struct json_object *object;
	if (!json_object_is_type(config, json_type_object) ||
	        !json_object_object_get_ex(config, "annotations", &object))
		return;
	for (size_t i = 0; i < sizeof(annotations) / sizeof(*annotations); i++)
		set(annotations[i].to, annotations[i].room, string_in(object, annotations[i].key));
}

/* A list of { "id": …, "names": [ … ] }. */
static void read_storage(struct container *container, struct json_object *list)
{
	struct json_object *names, *first;
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	for (size_t i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		const char *id = string_in(one, "id");
		if (!id || strcmp(id, container->id) != 0 || !json_object_object_get_ex(one, "names", &names) ||
		        !json_object_is_type(names, json_type_array))
			continue;
		first = json_object_array_get_idx(names, 0);
		if (json_object_is_type(first, json_type_string))
			set(container->name, sizeof(container->name), json_object_get_string(first));
	}
}

static void try_file(struct container *container, const char *root, const char *folder, const char *id,
        const char *tail, void (*read)(struct container *container, struct json_object *json))
{
	char path[1024];
	snprintf(path, sizeof(path), "%s%s%s%s", root, folder, id, tail);
	struct json_object *json = read_json(path);
	if (json)
		read(container, json);
	json_object_put(json);
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
	const char *id = container->id;
	if (is_plain_id(id)) {
		try_file(container, root, "/var/lib/docker/containers/", id, "/config.v2.json", read_docker);
		try_file(container, root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/", id, "/config.json",
		        read_spec);
		try_file(container, root, "/run/containerd/io.containerd.runtime.v2.task/default/", id, "/config.json",
		        read_spec);
		try_file(container, root, "/run/containers/storage/overlay-containers/", id, "/userdata/config.json",
		        read_spec);
		if (!container->name[0])
			try_file(container, root, "/var/lib/containers/storage/overlay-containers/containers.json", "",
			        "", read_storage);
	}
	if (pid && container->pod_uid[0] && !container->pod[0])
		try_hostname(container, pid);
}
