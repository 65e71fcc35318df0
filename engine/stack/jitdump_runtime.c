/* Generated code of runtimes that we do not know, as they describe it for perf: `node --perf-prof`, Python's -X perf_jit, .NET,
 * libperf-jvmti and others.
 *
 * perf finds such a file by its mapping: the runtime maps a page of jit-PID.dump executable for no other reason. So do we, and read
 * the file behind the mapping. Where the file has unwind information the caller is found by it; else the walk's fallbacks
 * have to do. */
#include "engine/stack/arena.h"
#include "engine/stack/generated.h"
#include "engine/stack/jitdump.h"
#include "engine/stack/row.h"
#include "engine/stack/runtime.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FRAMES_BYTES = 1 << 20 };

struct jitdump_state {
	struct jitdump *dump;
	struct intern *names;
	int fd;
};

static bool is_dump(const char *path)
{
	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	if (strncmp(base, "jit-", 4))
		return false;
	size_t digits = strspn(base + 4, "0123456789");
	return digits && !strncmp(base + 4 + digits, ".dump", 5);
}

static int open_dump(struct process *process)
{
	size_t n;
	const struct mapping *mappings = process_mappings(process, &n);
	for (size_t i = 0; i < n; i++)
		if (mappings[i].flags & MAPPING_EXEC && is_dump(mappings[i].file->path))
			return process_open_mapping(process, &mappings[i]);
	return -1;
}

static void jitdump_detach(void *user)
{
	struct jitdump_state *state = user;
	jitdump_free(state->dump);
	close(state->fd);
	free(state);
}

static void *jitdump_attach(struct process *process, struct memory *memory, struct intern *names, bool *ret_retry)
{
	int fd = open_dump(process);
	struct jitdump_state *state = fd >= 0 ? calloc(1, sizeof(*state)) : NULL;
	if (!state) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	state->fd = fd;
	state->names = names;
	state->dump = jitdump_new(names);
	if (state->dump)
		return state;
	jitdump_detach(state);
	return NULL;
}

static bool jitdump_claims(void *user, uint64_t pc, const struct mapping *mapping, struct module *module)
{
	struct jitdump_state *state = user;
	if (module || !mapping || !(mapping->flags & MAPPING_EXEC))
		return false;
	jitdump_update(state->dump, state->fd); /* a failure leaves what was read */
	return jitdump_find(state->dump, pc, UINT64_MAX);
}

/* Steps by the code's .eh_frame, whose addresses are relative to where it would stand: behind the code. */
static bool step_by_frames(struct jitdump_state *state, const struct jit_code *code, struct walk *walk, uint64_t pc)
{
	if (!code->frames.len || code->frames.len > MAX_FRAMES_BYTES)
		return false;
	struct fde_index index = {.section = {.size = code->frames.len, .va = code->first + (code->size + 7) / 8 * 8}};
	struct arena arena = {0};
	struct fde fde;
	const struct row *row;
	bool stepped = false;
	index.section.image = malloc(code->frames.len);
	if (index.section.image && pread(state->fd, index.section.image, code->frames.len,
	                                   (off_t)code->frames.offset) == (ssize_t)code->frames.len) {
		uint64_t va = pc - code->start + code->first - !walk->top;
		if (!fde_find(&index, va, &fde)) {
			stepped = !row_make(&fde, va, &arena, &row) &&
			          row_apply(row, walk->memory, &walk->regs) == ROW_OK;
			fde_fini(&fde);
		}
	}
	fde_index_fini(&index);
	arena_fini(&arena);
	return stepped;
}

static enum runtime_result jitdump_step(void *user, struct walk *walk)
{
	struct jitdump_state *state = user;
	uint64_t pc = walk->regs.r[REG_PC], inside = walk->top ? pc : pc - 1;
	const struct jit_code *code = jitdump_find(state->dump, inside, walk->nsecs);
	if (!code)
		return RUNTIME_NOT_MINE;
	struct frame *frame = walk_add(walk);
	if (!frame)
		return RUNTIME_FAILED;
	frame->ip = pc;
	frame->offset = pc - code->start;
	generated_name(frame, state->names, code->name);
	jitdump_line(state->dump, state->fd, code, inside, &frame->file, &frame->line);
	return step_by_frames(state, code, walk, pc) ? RUNTIME_STEPPED : RUNTIME_NAMED;
}

const struct runtime runtime_jitdump = {
        .name = "jitdump",
        .attach = jitdump_attach,
        .detach = jitdump_detach,
        .claims = jitdump_claims,
        .step = jitdump_step,
};
