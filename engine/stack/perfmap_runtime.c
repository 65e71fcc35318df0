/* Generated code of runtimes that we do not know, named by the perf map that they write: Python with -X perf, Erlang,
 * PHP, .NET, LuaJIT and others.
 *
 * The map gives names and no way to the caller: that is left to the walk's fallbacks (frame pointer, scan), which mark
 * what they find. The file is where the process sees it, inside its root and under its own pid; what is opened is a
 * regular file that belongs to the process's user or to root, since anybody can write into /tmp. It is read on as it
 * grows. An address that was reused while we were looking has the newest name and is marked `approx`: the map does not
 * say since when. */
#include "engine/stack/generated.h"
#include "engine/stack/perfmap.h"
#include "engine/stack/runtime.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct perfmap_state {
	struct perfmap *map;
	struct intern *names;
	int fd;
};

/* Opens `path` below the process's root, without leaving it through links. */
static int open_in_root(pid_t pid, const char *path, uid_t *ret_owner)
{
	struct open_how how = {
	        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY,
	        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	char name[64];
	struct stat st;
	snprintf(name, sizeof(name), "/proc/%d/root", (int)pid);
	int root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	close(root);
	if (fd < 0)
		return -1;
	snprintf(name, sizeof(name), "/proc/%d", (int)pid);
	if (stat(name, &st)) {
		close(fd);
		return -1;
	}
	*ret_owner = st.st_uid;
	return fd;
}

static int open_map(struct process *process)
{
	char path[64];
	struct stat st;
	uid_t owner = 0;
	snprintf(path, sizeof(path), "tmp/perf-%d.map", (int)process_ns_pid(process));
	int fd = open_in_root(process_pid(process), path, &owner);
	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (st.st_uid == owner || st.st_uid == 0))
		return fd;
	close(fd);
	return -1;
}

static void perfmap_detach(void *user)
{
	struct perfmap_state *state = user;
	perfmap_free(state->map);
	close(state->fd);
	free(state);
}

static void *perfmap_attach(struct process *process, struct memory *memory, struct intern *names, bool *ret_retry)
{
	int fd = open_map(process);
	if (fd < 0)
		return NULL;
	struct perfmap_state *state = calloc(1, sizeof(*state));
	if (!state) {
		close(fd);
		return NULL;
	}
	state->fd = fd;
	state->names = names;
	state->map = perfmap_new(names);
	if (!state->map) {
		perfmap_detach(state);
		return NULL;
	}
	return state;
}

static bool perfmap_claims(void *user, uint64_t pc, const struct mapping *mapping, struct module *module)
{
	struct perfmap_state *state = user;
	uint64_t start;
	bool reused;
	if (module || !mapping || !(mapping->flags & MAPPING_EXEC))
		return false;
	perfmap_update(state->map, state->fd); /* a failure leaves what was read */
	return perfmap_find(state->map, pc, &start, &reused);
}

static enum runtime_result perfmap_step(void *user, struct walk *walk)
{
	struct perfmap_state *state = user;
	uint64_t pc = walk->regs.r[REG_PC], start;
	bool reused;
	const char *name = perfmap_find(state->map, walk->top ? pc : pc - 1, &start, &reused);
	if (!name)
		return RUNTIME_NOT_MINE;
	struct frame *frame = walk_add(walk);
	if (!frame)
		return RUNTIME_FAILED;
	frame->ip = pc;
	frame->offset = pc - start;
	frame->how = reused ? HOW_APPROX : HOW_CFI;
	generated_name(frame, state->names, name);
	return RUNTIME_NAMED;
}

const struct runtime runtime_perfmap = {
        .name = "perfmap",
        .attach = perfmap_attach,
        .detach = perfmap_detach,
        .claims = perfmap_claims,
        .step = perfmap_step,
};
