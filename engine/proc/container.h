/* Which container a process is in: what its cgroup's path says, and what the container's runtime keeps of it. */
#ifndef RILLE_PROC_CONTAINER_H
#define RILLE_PROC_CONTAINER_H

#include "engine/base/err.h"
#include "engine/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* "" = not known. Texts are what the path holds: any bytes but NUL, '/' and newline. */
struct container {
	char runtime
	        [24]; /* "docker", "containerd", "cri-o", "podman", "lxc", "systemd-nspawn", "kubernetes" (of a pod, by
	                      whichever runtime), … "unknown" */
	char id[65];  /* as the runtime has it: mostly 64 hexadecimal digits; of lxc and systemd-nspawn the name */
	char name[129];          /* container_name() may find more than the path says */
	char pod_uid[37];        /* of Kubernetes: 8-4-4-4-12 hexadecimal digits, or 32 of a static pod */
	char pod[129];           /* its name, … */
	char pod_namespace[129]; /* … and where it is */
	char cgroup[1024];       /* the container's cgroup, as the path of the process's begins: "/docker/3f2a…" */
	bool unified;            /* … in the hierarchy of version 2 */
};

/* What one path of /proc/PID/cgroup says; false: that it is no container's. Of nested containers the innermost is told.
 * *ret_len is how much of the path names it. */
bool container_parse_path(const char *path, size_t len, struct container *ret, size_t *ret_len);
/* The same for the whole file: version 1, version 2, and both. The version-2 path is preferred if it names a container. */
bool container_parse(const char *text, size_t len, struct container *ret);
/* Reads /proc/PID/cgroup. 1: ret is filled; 0: no container; a negative errno: there is no such process, or it may not be read. */
int container_of(pid_t pid, struct container *ret);
/* Looks for the names that are not in the path: in what Docker, Podman, CRI-O and containerd keep of their containers (below
 * `root`, "" = the machine's), and in /etc/hostname of the process's own root, which is the pod's name in Kubernetes.
 * pid 0 = do not look there. */
void container_name(struct container *container, const char *root, pid_t pid);
/* "docker:web-1", "cri-o:3f2a91c0b7de": the name if it is known, else the start of the id. */
void container_label(struct text *out, const struct container *container);

/* --- by name --- */

struct container_found {
	struct container container;
	pid_t pid; /* of a process in it */
};

/* The container that is called so on this machine: its id, the start of it (4 letters or more), its name, its pod's uid or name. With a
 * pod there may be several; all that match are told. The number found, in *ret (to be freed); -ENOENT with the tag
 * no-container and the nearest name; -EINVAL with ambiguous-container if an id's start fits several. */
int container_find(const char *name, struct container_found **ret, struct err *err);
/* Opens the container's directory in the cgroup file system of version 2 (O_PATH): a descriptor, or a negative errno; -ENOENT if the
 * container is not in that hierarchy. */
int container_open_cgroup(const struct container *container);
/* The processes that are in it now. The number of them, in *ret (to be freed), or a negative errno. */
ssize_t container_pids(const struct container *container, pid_t **ret);

#endif
