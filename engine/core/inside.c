/* Which container an event's process is in, for outputs and scripts that ask.
 *
 * The process is asked for its cgroup each time, since it may be moved; what the container is called is looked up once. A process
 * that has gone meanwhile is said to be where it was when it was asked last, or, if it never was, where its parent was, if
 * that is a container: a child begins in its parent's cgroup. */
#include "engine/core/state.h"
#include "engine/proc/container.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { MOST_KEPT = 16384 };

/* A container's label by its id, … */
struct labelled {
	char id[sizeof(((struct container *)0)->id)];
	char *label;
	UT_hash_handle hh;
};

/* … and where a process was. */
struct whereabouts {
	pid_t pid;
	const struct labelled *container; /* NULL: in none */
	UT_hash_handle hh;
};

struct inside {
	struct labelled *containers;
	struct whereabouts *processes;
};

static const struct labelled *label_of(struct inside *inside, struct container *container, pid_t pid)
{
	struct labelled *found;
	struct text label = {0};
	HASH_FIND_STR(inside->containers, container->id, found);
	if (found || HASH_COUNT(inside->containers) >= MOST_KEPT)
		return found;
	found = calloc(1, sizeof(*found));
	if (!found)
		return NULL;
	container_name(container, "", pid);
	container_label(&label, container);
	memcpy(found->id, container->id, sizeof(found->id));
	found->label = text_failed(&label) ? NULL : text_steal(&label);
	text_fini(&label);
	if (found->label)
		HASH_ADD_STR(inside->containers, id, found);
	if (found->label && found->hh.tbl)
		return found;
	free(found->label); /* out of memory */
	free(found);
	return NULL;
}

static void forget_processes(struct inside *inside)
{
	struct whereabouts *one, *next;
	HASH_ITER (hh, inside->processes, one, next) {
		HASH_DEL(inside->processes, one);
		free(one);
	}
}

static void remember(struct inside *inside, pid_t pid, const struct labelled *container)
{
	struct whereabouts *one;
	HASH_FIND_INT(inside->processes, &pid, one);
	if (!one) {
		if (HASH_COUNT(inside->processes) >= MOST_KEPT)
			forget_processes(inside);
		one = calloc(1, sizeof(*one));
		if (!one)
			return;
		one->pid = pid;
		HASH_ADD_INT(inside->processes, pid, one);
		if (!one->hh.tbl) { /* out of memory */
			free(one);
			return;
		}
	}
	one->container = container;
}

/* Where a process that has gone was. */
static const char *last_label(struct inside *inside, pid_t pid, pid_t parent)
{
	struct whereabouts *before;
	HASH_FIND_INT(inside->processes, &pid, before);
	if (!before && parent)
		HASH_FIND_INT(inside->processes, &parent, before);
	if (!before || !before->container)
		return NULL;
	const struct labelled *container = before->container;
	remember(inside, pid, container); /* for its own children; may forget `before` */
	return container->label;
}

const char *inside_label(struct session *session, pid_t pid, pid_t parent)
{
	struct container container;
	if (!session->containers)
		session->containers = calloc(1, sizeof(*session->containers));
	struct inside *inside = session->containers;
	if (!inside)
		return NULL;
	int r = container_of(pid, &container);
	if (r < 0)
		return last_label(inside, pid, parent);
	const struct labelled *found = r ? label_of(inside, &container, pid) : NULL;
	remember(inside, pid, found);
	return found ? found->label : NULL;
}

void inside_free(struct inside *inside)
{
	struct labelled *one, *next;
	if (!inside)
		return;
	forget_processes(inside);
	HASH_ITER (hh, inside->containers, one, next) {
		HASH_DEL(inside->containers, one);
		free(one->label);
		free(one);
	}
	free(inside);
}
