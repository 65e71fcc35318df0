/* What this kernel and these privileges allow.
 *
 * Each finding is tried, not read from a version number: distributions backport and switch off. A finding says what was
 * seen; one that is not good says what to do. The order is that of a trace: privileges, compiler, kernel, stacks. */
#include "engine/api/handle.h"
#include "engine/base/text.h"
#include "engine/probe/compile.h"
#include "engine/probe/tracefs.h"
#include "engine/run/privilege.h"
#include "engine/run/quiet.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { NO = 0, YES = 1, OPTIONAL = -1 };

/* Fills `detail` and returns YES, NO or OPTIONAL (missing, but the recipes do without). */
struct check {
	const char *name;
	int (*run)(rille *r, struct text *detail);
};

static int check_kernel(rille *r, struct text *detail)
{
	struct utsname name;
	unsigned major = 0, minor = 0;
	uname(&name);
	sscanf(name.release, "%u.%u", &major, &minor);
	text_printf(detail, "%s %s", name.release, name.machine);
	if (major > 5 || (major == 5 && minor >= 8))
		return YES;
	text_adds(detail, "; 5.8 or later is needed, for ring buffers");
	return NO;
}

static int check_privileges(rille *r, struct text *detail)
{
	struct privilege privilege;
	privilege_read(&privilege);
	if (!privilege_suffices(&privilege)) {
		struct err err;
		privilege_explain(-EPERM, "tracing", &err);
		text_printf(detail, "%s; %s", err.message, err.hint);
		return NO;
	}
	text_adds(detail,
	        privilege.seccomp ? "capabilities suffice; a seccomp filter is installed" : "capabilities suffice");
	if (privilege_reads_others(&privilege))
		return YES;
	text_adds(detail, "; without CAP_SYS_PTRACE stacks of other users' processes may be incomplete");
	return OPTIONAL;
}

static int check_pids(rille *r, struct text *detail)
{
	if (privilege_has_initial_pids()) {
		text_adds(detail, "those of the machine");
		return YES;
	}
	text_adds(
	        detail, "those of a pid namespace: no -p and no command to trace; run it outside, or with --pid=host");
	return NO;
}

static int check_lockdown(rille *r, struct text *detail)
{
	char line[128] = "";
	int fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, line, sizeof(line) - 1) : 0;
	if (fd >= 0)
		close(fd);
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	text_adds(detail, *line ? line : "not reported (no securityfs), so probably off");
	if (!strstr(line, "[confidentiality]"))
		return YES;
	text_adds(detail, "; programs cannot read memory: boot with lockdown=integrity");
	return NO;
}

static int check_compiler(rille *r, struct text *detail)
{
	struct err err = {0};
	struct compiler_options options = {.path = r->compiler, .log = &r->log};
	if (compiler_identity(&options, detail, &err) == 0)
		return YES;
	text_printf(detail, "%s; %s", err.message, err.hint);
	return NO;
}

static int check_btf(rille *r, struct text *detail)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK) == 0) {
		text_adds(detail, "/sys/kernel/btf/vmlinux");
		return YES;
	}
	text_printf(
	        detail, "/sys/kernel/btf/vmlinux: %s; a kernel with CONFIG_DEBUG_INFO_BTF is needed", strerror(errno));
	return NO;
}

static int check_tracefs(rille *r, struct text *detail)
{
	struct err err = {0};
	int fd = tracefs_open(&err);
	if (fd < 0) {
		text_printf(detail, "%s; needed for tracepoint: probes only", err.message);
		return OPTIONAL;
	}
	close(fd);
	text_adds(detail, "readable");
	return YES;
}

static int feature(int result, const char *needed, int missing, struct text *detail)
{
	if (result == 1) {
		text_adds(detail, "supported");
		return YES;
	}
	if (result == -EPERM || result == -EACCES) {
		text_adds(detail, "cannot be tried without privileges");
		return OPTIONAL;
	}
	text_printf(detail, "%s%s", result < 0 ? strerror(-result) : "not supported", needed);
	return missing;
}

/* Made, not asked of libbpf: its probe of map types prints and keeps process-wide state. */
static int make_map(enum bpf_map_type type, uint32_t key, uint32_t value, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, options);
	int fd = bpf_map_create(type, "rille_doctor", key, value, entries, &options);
	if (fd < 0)
		return fd == -EINVAL ? 0 : fd;
	close(fd);
	return 1;
}

static int check_ring(rille *r, struct text *detail)
{
	return feature(make_map(BPF_MAP_TYPE_RINGBUF, 0, 0, (uint32_t)sysconf(_SC_PAGESIZE)), "; Linux 5.8 is needed",
	        NO, detail);
}

/* return 0 */
static const struct bpf_insn return_zero[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
        {.code = BPF_JMP | BPF_EXIT},
};

static int check_raw_tracepoint(rille *r, struct text *detail)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options);
	int program =
	        bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "rille_doctor", "Dual MIT/GPL", return_zero, 2, &options);
	int link = program >= 0 ? bpf_raw_tracepoint_open("sched_process_exit", program) : program;
	if (link >= 0)
		close(link);
	if (program >= 0)
		close(program);
	return feature(link >= 0 ? 1 : link, "", NO, detail);
}

/* Task storage needs types for its key and value; whether the kernel has it is told by its type list. */
static int check_task_storage(rille *r, struct text *detail)
{
	quiet_begin();
	int result = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, NULL);
	quiet_end();
	return feature(result, "; entries are kept in a hash instead", OPTIONAL, detail);
}

static int open_mappings_event(bool build_ids)
{
	struct perf_event_attr attr = {
	        .type = PERF_TYPE_SOFTWARE,
	        .size = sizeof(attr),
	        .config = PERF_COUNT_SW_DUMMY,
	        .mmap = 1,
	        .mmap2 = 1,
	        .comm = 1,
	        .task = 1,
	        .build_id = build_ids,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int check_perf(rille *r, struct text *detail)
{
	int result = open_mappings_event(true);
	if (result == 0) {
		text_adds(detail, "mmap2 records with build ids");
		return YES;
	}
	result = open_mappings_event(false);
	if (result == 0)
		text_adds(detail, "mmap2 records without build ids (Linux 5.12 has them)");
	else
		text_printf(detail, "%s; short-lived processes may have stacks without names", strerror(-result));
	return result == 0 ? YES : OPTIONAL;
}

/* Without permission the file is there, and every address in it is 0. */
static int check_kallsyms(rille *r, struct text *detail)
{
	unsigned long long address = 0;
	FILE *file = fopen("/proc/kallsyms", "re");
	for (int i = 0; file && !address && i < 100; i++)
		if (fscanf(file, "%llx%*[^\n]", &address) != 1)
			break;
	if (file)
		fclose(file);
	if (address) {
		text_adds(detail, "readable");
		return YES;
	}
	text_adds(detail,
	        "no addresses; kernel frames will have none of their names: see kernel.kptr_restrict, CAP_SYSLOG");
	return OPTIONAL;
}

static int check_cache(rille *r, struct text *detail)
{
	struct err err = {0};
	const char *path = session_cache_path(r->session, &err);
	if (path) {
		text_add_clean(detail, path, strlen(path));
		return YES;
	}
	text_adds(detail, err.code ? err.message : "none; every start compiles");
	return OPTIONAL;
}

static const struct check checks[] = {
        {"kernel", check_kernel},
        {"privileges", check_privileges},
        {"process ids", check_pids},
        {"lockdown", check_lockdown},
        {"rille-cc", check_compiler},
        {"cache", check_cache},
        {"BTF", check_btf},
        {"tracefs", check_tracefs},
        {"ring buffer", check_ring},
        {"raw tracepoints", check_raw_tracepoint},
        {"task storage", check_task_storage},
        {"perf events", check_perf},
        {"kallsyms", check_kallsyms},
};

int rille_doctor(rille *r, int (*fn)(void *user, const struct rille_finding *finding), void *user)
{
	struct text detail = {0};
	int e = handle_enter(r, "doctor");
	if (e == 0 && !fn)
		e = handle_null(r, "rille_doctor", "fn");
	for (size_t i = 0; fn && e == 0 && i < sizeof(checks) / sizeof(*checks); i++) {
		text_reset(&detail);
		int ok = checks[i].run(r, &detail);
		struct rille_finding finding = {checks[i].name, ok, text_str(&detail)};
		r->inside++;
		e = fn(user, &finding);
		r->inside--;
	}
	text_fini(&detail);
	return e;
}
