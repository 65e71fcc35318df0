/* Loading the generated object with libbpf.
 *
 * The object asks for nothing that makes libbpf parse the kernel's BTF (40–50 ms): no CO-RE relocations, no program
 * types that attach by type id; the engine has written this kernel's offsets into it. What is left is creating the maps
 * and one bpf(BPF_PROG_LOAD) a program, about 2 ms together.
 *
 * libbpf does not print meanwhile (quiet.h). What the user needs to know comes from the verifier's log, which libbpf fills
 * for us when a program was refused. */
#include "engine/run/object.h"
#include "engine/run/privilege.h"
#include "engine/run/quiet.h"
#include "engine/run/rodata.h"
#include "engine/run/verifier.h"
#include "bpf-templates/names.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOG_BYTES = 1 << 20 }; /* of each program; only touched if it is refused */

static int set_constant(struct bpf_object *object, const char *symbol, const void *data, size_t len, struct err *err)
{
	int r = rodata_set(object, symbol, data, len);
	if (r == 0 || r == -ENOENT)
		return 0;
	return err_set(err, r, ERR_RUNTIME, "bad-object", "the compiled object has no room for %s", symbol);
}

static int set_constants(struct bpf_object *object, const struct kernel_options *options, struct err *err)
{
	uint32_t by_pid = options->npids > 0, by_uid = options->uid >= 0;
	uint32_t self = by_pid ? 0 : (uint32_t)getpid(), uid = (uint32_t)options->uid;
	char comm[RILLE_COMM] = "";
	int r = set_constant(object, "rille_self", &self, sizeof(self), err);
	if (r == 0 && options->comm) {
		strncpy(comm, options->comm, sizeof(comm) - 1);
		r = set_constant(object, "rille_comm", comm, sizeof(comm), err);
	}
	uint32_t ncgroups = (uint32_t)options->ncgroups;
	if (r == 0 && ncgroups)
		r = set_constant(object, "rille_ncgroups", &ncgroups, sizeof(ncgroups), err);
	if (r == 0 && options->portable)
		r = set_constant(object, "rille_by_pid", &by_pid, sizeof(by_pid), err);
	if (r == 0 && options->portable)
		r = set_constant(object, "rille_by_uid", &by_uid, sizeof(by_uid), err);
	if (r == 0 && options->uid >= 0)
		r = set_constant(object, "rille_uid", &uid, sizeof(uid), err);
	if (r == 0)
		r = set_constant(object, "rille_limit", &options->limit, sizeof(options->limit), err);
	if (r == 0)
		r = rodata_set_params(object, options->spec, options->plan, err);
	return r;
}

/* A portable object has programs and room for whatever may be wanted; here it is known. */
static int fit(struct bpf_object *object, const struct kernel_options *options, struct err *err)
{
	struct bpf_program *program;
	bpf_object__for_each_program(program, object)
	{
		const char *name = bpf_program__name(program);
		bool fork = !strcmp(name, RILLE_PROG_FORK), exit = !strcmp(name, RILLE_PROG_EXIT);
		if ((fork && !options->follow) || ((fork || exit) && !options->npids))
			bpf_program__set_autoload(program, false);
	}
	struct bpf_map *scratch = bpf_object__find_map_by_name(object, RILLE_MAP_SCRATCH);
	int cpus = libbpf_num_possible_cpus();
	if (!scratch || cpus < 1 || bpf_map__max_entries(scratch) <= 2 * (uint32_t)cpus)
		return 0;
	int r = bpf_map__set_max_entries(scratch, 2 * (uint32_t)cpus);
	return r < 0 ? err_set(err, r, ERR_RUNTIME, "bad-object", "the object's maps cannot be changed") : 0;
}

static void log_lines(const struct logger *log, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		log_debug(log, "%.*s", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

/* The program that was refused is the one whose log is not empty. */
static int explain(
        struct bpf_object *object, const char *logs, const struct kernel_options *options, int code, struct err *err)
{
	struct privilege privilege;
	struct bpf_program *program;
	privilege_read(&privilege);
	if ((code == -EPERM || code == -EACCES) && !privilege_suffices(&privilege))
		return privilege_explain(code, "loading BPF programs", err);
	if (privilege.lockdown_confidentiality) /* the verifier then knows no function that reads memory, and says -EINVAL */
		return privilege_explain(-EPERM, "loading BPF programs", err);
	bpf_object__for_each_program(program, object)
	{
		if (*logs) {
			log_lines(options->log, logs);
			return verifier_explain(logs, bpf_program__name(program), options->spec, code, err);
		}
		logs += LOG_BYTES;
	}
	return privilege_explain(code, "loading BPF programs", err);
}

static int load(struct bpf_object *object, const struct kernel_options *options, struct err *err)
{
	size_t n = 0;
	struct bpf_program *program;
	bpf_object__for_each_program(program, object) n++;
	char *logs = calloc(n, LOG_BYTES);
	if (!logs)
		return err_nomem(err);
	n = 0;
	bpf_object__for_each_program(program, object)
	        bpf_program__set_log_buf(program, logs + LOG_BYTES * n++, LOG_BYTES);
	int r = bpf_object__load(object);
	if (r < 0)
		r = explain(object, logs, options, -r >= __LIBBPF_ERRNO__START ? -EINVAL : r, err);
	bpf_object__for_each_program(program, object) bpf_program__set_log_buf(program, NULL, 0);
	free(logs);
	return r;
}

/* libbpf has errors of its own beyond the system's. */
static int cannot_read(int code, struct err *err)
{
	char why[128];
	libbpf_strerror(code, why, sizeof(why));
	if (code >= __LIBBPF_ERRNO__START)
		code = EINVAL;
	return err_set(err, -code, ERR_RUNTIME, code == ENOMEM ? "out-of-memory" : "bad-object",
	        "cannot read the compiled object: %s", why);
}

static int open_and_load(struct bpf_object **ret, const void *data, size_t len, const struct kernel_options *options,
        uint64_t ring_bytes, struct err *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, open_options, .object_name = "rille");
	struct bpf_object *object = bpf_object__open_mem(data, len, &open_options);
	if (!object)
		return cannot_read(errno, err);
	struct bpf_map *ring = bpf_object__find_map_by_name(object, RILLE_MAP_RING);
	int r = ring ? bpf_map__set_max_entries(ring, (uint32_t)ring_bytes) : -ENOENT;
	if (r < 0)
		err_set(err, r, ERR_RUNTIME, "bad-object", "the compiled object has no ring buffer");
	if (r == 0)
		r = set_constants(object, options, err);
	if (r == 0 && options->portable)
		r = fit(object, options, err);
	if (r == 0)
		r = load(object, options, err);
	if (r < 0)
		bpf_object__close(object);
	else
		*ret = object;
	return r;
}

int object_load(struct bpf_object **ret, const void *data, size_t len, const struct kernel_options *options,
        uint64_t ring_bytes, struct err *err)
{
	quiet_begin();
	int r = open_and_load(ret, data, len, options, ring_bytes, err);
	quiet_end();
	return r;
}

void object_close(struct bpf_object *object)
{
	if (object)
		bpf_object__close(object);
}

int object_map(struct bpf_object *object, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(object, name);
	return fd >= 0 ? fd : -ENOENT;
}
