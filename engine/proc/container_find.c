/* Containers by name: every process is asked for its cgroup, since no list of containers exists. */
#include "engine/proc/container.h"
#include "engine/base/grow.h"
#include "engine/base/nearest.h"
#include "engine/proc/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { SHORTEST_ID = 4 };

struct list {
	struct container_found *items;
	size_t n, cap;
};

static bool is_known(const struct list *list, const struct container *container)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->items[i].container.id, container->id) &&
		        !strcmp(list->items[i].container.cgroup, container->cgroup))
			return true;
	return false;
}

/* All containers that have a process. */
static int list_all(struct list *list, struct err *err)
{
	pid_t *pids;
	ssize_t n = processes_list(&pids);
	if (n < 0)
		return err_set(err, (int)n, ERR_RUNTIME, "cannot-read", "/proc: %s", strerror((int)-n));
	int r = 0;
	for (ssize_t i = 0; i < n && r == 0; i++) {
		struct container container;
		if (container_of(pids[i], &container) <= 0 || is_known(list, &container))
			continue;
		if (grow(&list->items, &list->cap, list->n + 1, sizeof(*list->items)) < 0) {
			r = err_nomem(err);
			break;
		}
		container_name(&container, "", pids[i]);
		list->items[list->n++] = (struct container_found){container, pids[i]};
	}
	free(pids);
	return r;
}

static bool is_called(const struct container *container, const char *name)
{
	return !strcmp(container->id, name) || !strcmp(container->name, name) || !strcmp(container->pod_uid, name) ||
	       !strcmp(container->pod, name);
}

static bool starts_with(const struct container *container, const char *name)
{
	size_t len = strlen(name);
	return len >= SHORTEST_ID && strlen(container->id) >= 32 && !strncmp(container->id, name, len);
}

/* Keeps those that match. The start of an id that fits several is no name. */
static size_t keep(struct list *list, const char *name, bool (*matches)(const struct container *, const char *))
{
	size_t n = 0;
	for (size_t i = 0; i < list->n; i++)
		n += matches(&list->items[i].container, name);
	if (!n)
		return 0;
	n = 0;
	for (size_t i = 0; i < list->n; i++)
		if (matches(&list->items[i].container, name))
			list->items[n++] = list->items[i];
	return list->n = n;
}

/* As much of an id as was typed; mostly that is its start. */
static void offer_start(struct nearest *nearest, const char *id, size_t typed, char room[65])
{
	snprintf(room, 65, "%.*s", (int)(typed < 64 ? typed : 64), id);
	nearest_offer(nearest, room);
}

static int not_found(const struct list *list, const char *name, struct err *err)
{
	struct nearest nearest;
	char(*starts)[65] = calloc(list->n + 1, sizeof(*starts));
	nearest_init(&nearest, name);
	for (size_t i = 0; i < list->n; i++) {
		const struct container *container = &list->items[i].container;
		nearest_offer(&nearest, container->name);
		nearest_offer(&nearest, container->pod);
		if (starts)
			offer_start(&nearest, container->id, strlen(name), starts[i]);
	}
	err_set(err, -ENOENT, ERR_RUNTIME, "no-container", "no container '%s' has a process here", name);
	if (nearest.best)
		err_hint(err, "did you mean '%s'?", nearest.best);
	else if (!list->n)
		err_hint(err, "no process of this machine is in a container");
	else
		err_hint(err, "of %zu %s here, one is '%s' of %s", list->n, list->n == 1 ? "container" : "containers",
		        list->items[0].container.name[0] ? list->items[0].container.name : list->items[0].container.id,
		        list->items[0].container.runtime);
	free(starts);
	return -ENOENT;
}

int container_find(const char *name, struct container_found **ret, struct err *err)
{
	struct list list = {0};
	*ret = NULL;
	int r = list_all(&list, err);
	if (r == 0 && !keep(&list, name, is_called)) {
		if (!keep(&list, name, starts_with))
			r = not_found(&list, name, err);
		else if (list.n > 1)
			r = err_set(err, -EINVAL, ERR_RUNTIME, "ambiguous-container",
			        "%zu containers' ids start with '%s'", list.n, name);
	}
	if (r < 0) {
		free(list.items);
		return r;
	}
	*ret = list.items;
	return (int)list.n;
}

/* --- the container's directory --- */

/* The mount point of a hierarchy, of /proc/self/mounts: that of version 2, or the one with the folder in it. */
static int open_in(const char *mount, const char *cgroup, bool unified)
{
	char path[2048];
	struct statfs fs;
	int n = snprintf(path, sizeof(path), "%s%s", mount, cgroup);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) == 0 && (fs.f_type == CGROUP2_SUPER_MAGIC) == unified &&
	        (unified || fs.f_type == CGROUP_SUPER_MAGIC))
		return fd;
	close(fd);
	return -ENOENT;
}

/* "cgroup2 /sys/fs/cgroup cgroup2 rw,…": the second word, if the third is `type`. In place. */
static char *mount_point(char *line, const char *type)
{
	char *rest = line, *point;
	strsep(&rest, " ");
	point = strsep(&rest, " ");
	char *found = strsep(&rest, " ");
	return found && !strcmp(found, type) ? point : NULL;
}

static int open_directory(const struct container *container, const char *type)
{
	char line[4096];
	int fd = -ENOENT;
	FILE *mounts = fopen("/proc/self/mounts", "re");
	if (!mounts)
		return -errno;
	while (fd < 0 && fgets(line, sizeof(line), mounts)) {
		char *point = mount_point(line, type);
		if (point)
			fd = open_in(point, container->cgroup, container->unified);
	}
	fclose(mounts);
	return fd;
}

int container_open_cgroup(const struct container *container)
{
	return container->unified ? open_directory(container, "cgroup2") : -ENOENT;
}

static bool is_inside(pid_t pid, const struct container *container)
{
	struct container other;
	size_t len = strlen(container->cgroup);
	if (container_of(pid, &other) <= 0)
		return false;
	return !strcmp(other.id, container->id) || /* or in a container in it */
	       (!strncmp(other.cgroup, container->cgroup, len) && other.cgroup[len] == '/');
}

ssize_t container_pids(const struct container *container, pid_t **ret)
{
	ssize_t n = processes_list(ret), kept = 0;
	for (ssize_t i = 0; i < n; i++)
		if (is_inside((*ret)[i], container))
			(*ret)[kept++] = (*ret)[i];
	return n < 0 ? n : kept;
}
