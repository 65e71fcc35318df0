/* --container: the processes of containers as targets.
 *
 * The kernel has no containers but cgroups. In the hierarchy of version 2 a program can ask whether the running task is in a
 * cgroup or below it, so whoever enters the container later (a process that `docker exec` starts) is traced from then on.
 * Where a container has no cgroup of its own there (hosts with version 1), its processes of this moment are the targets,
 * and, as with -p, their children; this is told. */
#include "engine/base/grow.h"
#include "engine/core/state.h"
#include "engine/proc/container.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Its processes as of now: what outputs that look at /proc look at first. */
static int list_pids(struct session *session, const struct container *container, struct err *err)
{
	pid_t *pids = NULL;
	ssize_t n = container_pids(container, &pids);
	if (n < 0)
		return err_set(err, (int)n, ERR_RUNTIME, "cannot-read", "/proc: %s", strerror((int)-n));
	int r = grow(&session->inside, &session->inside_cap, session->ninside + (size_t)n + 1, sizeof(*pids));
	for (ssize_t i = 0; r == 0 && i < n; i++)
		if (pids[i] != getpid())
			session->inside[session->ninside++] = pids[i];
	free(pids);
	return r < 0 ? err_nomem(err) : 0;
}

static int add_cgroup(struct session *session, int fd, struct err *err)
{
	if (session->ncgroups == RILLE_CGROUPS) {
		close(fd);
		return err_set(err, -E2BIG, ERR_SCRIPT, "too-many-containers", "at most %d containers", RILLE_CGROUPS);
	}
	session->cgroups[session->ncgroups++] = fd;
	session->gen_options.target_cgroups = true;
	return 0;
}

static int add_processes(struct session *session, const struct container *container, size_t first, struct err *err)
{
	struct text label = {0};
	int r = 0;
	for (size_t i = first; i < session->ninside && r == 0; i++) {
		r = session_add_pid(session, session->inside[i], err);
		if (r == -ESRCH) /* gone meanwhile */
			r = 0;
	}
	container_label(&label, container);
	log_warn(&session->log,
	        "%s has no cgroup of version 2: its %zu processes of now are traced, and their children, but not what "
	        "enters it later",
	        text_str(&label), session->ninside - first);
	text_fini(&label);
	return r;
}

static int add_container(struct session *session, const struct container *container, struct err *err)
{
	size_t first = session->ninside;
	int fd = container_open_cgroup(container);
	int r = list_pids(session, container, err);
	if (r < 0 && fd >= 0)
		close(fd);
	if (r < 0)
		return r;
	if (fd >= 0 && !session->ntargets)
		return add_cgroup(session, fd, err);
	if (fd >= 0)
		close(fd);
	if (session->ncgroups)
		return err_set(err, -EOPNOTSUPP, ERR_KERNEL, "mixed-cgroups",
		        "containers of both cgroup hierarchies cannot be traced together");
	return add_processes(session, container, first, err);
}

int session_add_container(struct session *session, const char *name, struct err *err)
{
	struct container_found *found;
	if (session->kernel)
		return err_set(err, -EBUSY, ERR_RUNTIME, "wrong-state", "containers are chosen before attaching");
	int n = container_find(name, &found, err), r = n < 0 ? n : 0;
	for (int i = 0; i < n && r == 0; i++)
		r = add_container(session, &found[i].container, err);
	free(found);
	return r;
}

void containers_close(struct session *session)
{
	for (size_t i = 0; i < session->ncgroups; i++)
		close(session->cgroups[i]);
	session->ncgroups = 0;
	free(session->inside);
	session->inside = NULL;
}
