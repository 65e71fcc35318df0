/* Which processes the process table follows, and what a script hears of them.
 *
 * The kernel side keeps its own set of target processes (rille_pids) and children enter it as they are forked. This is
 * the same set as of the record at hand: perf records are applied in order of time, and a child may have come and gone
 * in the kernel's set before its first record is read here. */
#include "engine/core/state.h"
#include "engine/stack/module.h"

#include <stdlib.h>
#include <uthash.h>

struct followed {
	pid_t pid;
	UT_hash_handle hh;
};

static bool is_target(const struct session *session, pid_t pid)
{
	for (size_t i = 0; i < session->ntargets; i++)
		if (session->targets[i].pid == pid)
			return true;
	return false;
}

static struct followed *find(const struct session *session, pid_t pid)
{
	struct followed *found;
	HASH_FIND_INT(session->followed, &pid, found);
	return found;
}

static bool wanted(void *user, pid_t pid, pid_t parent)
{
	struct session *session = user;
	if (!session->gen_options.target_pids)
		return true;
	if (is_target(session, pid))
		return true;
	if (!session->gen_options.follow || (!is_target(session, parent) && !find(session, parent)))
		return false;
	struct followed *child = find(session, pid) ? NULL : calloc(1, sizeof(*child));
	if (child) {
		child->pid = pid;
		HASH_ADD_INT(session->followed, pid, child);
		if (!child->hh.tbl) /* out of memory */
			free(child);
	}
	return true;
}

static void forget(struct session *session, struct followed *followed)
{
	HASH_DEL(session->followed, followed);
	free(followed);
}

static void on_exec(void *user, struct process *process, const char *comm)
{
	struct session *session = user;
	struct err err = {0};
	if (!session->callbacks.on_exec || (session->state != SESSION_RUNNING && session->state != SESSION_OVER))
		return;
	int r = session->callbacks.on_exec(session->callbacks.user, process_pid(process), comm, &err);
	if (r < 0 && !session->failure)
		session_fail(session, r, &err);
}

static void on_exit_of(void *user, struct process *process)
{
	struct session *session = user;
	struct err err = {0};
	struct followed *followed = find(session, process_pid(process));
	if (followed)
		forget(session, followed);
	if (!session->callbacks.on_exit || (session->state != SESSION_RUNNING && session->state != SESSION_OVER))
		return;
	int r = session->callbacks.on_exit(session->callbacks.user, process_pid(process), &err);
	if (r < 0 && !session->failure)
		session_fail(session, r, &err);
}

/* A process may be gone when its first event is looked at, and what it ran with it: every file that a traced process
 * maps for running code is opened while it is there. */
static void on_exec_mapping(void *user, struct process *process, struct mapping *mapping)
{
	struct session *session = user;
	if (session->gen_options.target_pids && mapping)
		module_of(process, mapping);
}

int follow_open(struct session *session, struct err *err)
{
	struct proc_options options = {
	        .log = &session->log,
	        .wanted = wanted,
	        .user = session,
	        .free_module = module_free,
	        .free_runtime = resolver_free_runtime,
	        .on_exec = on_exec,
	        .on_exit = on_exit_of,
	        .on_exec_mapping = on_exec_mapping,
	};
	return proc_table_open(&session->procs, &options, err);
}

void follow_close(struct session *session)
{
	struct followed *one, *next;
	proc_table_close(session->procs);
	session->procs = NULL;
	HASH_ITER (hh, session->followed, one, next)
		forget(session, one);
}
