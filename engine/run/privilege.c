/* The kernel answers EPERM to five different questions; a user needs to know which one it was.
 *
 * bpf() is refused for want of CAP_BPF (programs and maps), of CAP_PERFMON (programs that read other processes'
 * memory), because the capabilities are those of a user namespace, because a seccomp filter stands before it
 * (containers), or because the kernel is locked down. All of it can be told from /proc/self and one file of securityfs.
 */
#include "engine/run/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

static bool read_file(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, buffer, size - 1) : -1;
	if (fd >= 0)
		close(fd);
	buffer[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static const char *status_value(const char *status, const char *key)
{
	const char *at = strstr(status, key);
	return at ? at + strlen(key) : "";
}

/* The initial namespace maps every id to itself. */
static bool in_user_namespace(void)
{
	char map[256];
	unsigned long inside, outside, count;
	if (!read_file("/proc/self/uid_map", map, sizeof(map)))
		return false;
	return sscanf(map, "%lu %lu %lu", &inside, &outside, &count) != 3 || inside || outside || count < UINT32_MAX;
}

void privilege_read(struct privilege *ret)
{
	char status[4096], lockdown[128];
	memset(ret, 0, sizeof(*ret));
	if (read_file("/proc/self/status", status, sizeof(status))) {
		ret->effective = strtoull(status_value(status, "CapEff:"), NULL, 16);
		ret->seccomp = strtoul(status_value(status, "Seccomp:"), NULL, 10) != 0;
	}
	ret->user_namespace = in_user_namespace();
	if (read_file("/sys/kernel/security/lockdown", lockdown, sizeof(lockdown)))
		ret->lockdown_confidentiality = strstr(lockdown, "[confidentiality]") != NULL;
}

bool privilege_has_initial_pids(void)
{
	const ino_t init = 0xeffffffc; /* PROC_PID_INIT_INO of include/linux/proc_ns.h, since 3.8 */
	struct stat st;
	return stat("/proc/self/ns/pid", &st) < 0 || st.st_ino == init;
}

static bool has(const struct privilege *privilege, unsigned capability)
{
	return privilege->effective >> capability & 1;
}

bool privilege_suffices(const struct privilege *privilege)
{
	bool enough = has(privilege, CAP_SYS_ADMIN) || (has(privilege, CAP_BPF) && has(privilege, CAP_PERFMON));
	return enough && !privilege->user_namespace;
}

bool privilege_reads_others(const struct privilege *privilege)
{
	return has(privilege, CAP_SYS_PTRACE);
}

static int explain_permission(const struct privilege *privilege, int code, const char *what, struct err *err)
{
	if (!has(privilege, CAP_SYS_ADMIN) && !(has(privilege, CAP_BPF) && has(privilege, CAP_PERFMON))) {
		const char *missing = has(privilege, CAP_BPF)       ? "CAP_PERFMON is"
		                      : has(privilege, CAP_PERFMON) ? "CAP_BPF is"
		                                                    : "CAP_BPF and CAP_PERFMON are";
		err_set(err, code, ERR_PERMISSION, "no-permission", "%s: not permitted: %s missing", what, missing);
		err_hint(err, "run it as root, for example with sudo");
		return code;
	}
	if (privilege->user_namespace) {
		err_set(err, code, ERR_PERMISSION, "no-permission",
		        "%s: not permitted: CAP_BPF and CAP_PERFMON are held in a user namespace only", what);
		err_hint(err, "run it in the initial user namespace, outside the container");
		return code;
	}
	if (privilege->seccomp) {
		err_set(err, code, ERR_KERNEL, "no-bpf", "%s: refused by a seccomp filter", what);
		err_hint(err, "allow bpf() and perf_event_open() in the container's seccomp profile");
		return code;
	}
	err_set(err, code, ERR_KERNEL, "no-bpf", "%s: refused by this kernel, although the capabilities are there",
	        what);
	err_hint(err, privilege->lockdown_confidentiality
	                      ? "the kernel is in lockdown=confidentiality; boot with integrity or none"
	                      : "a security module may forbid it: see the kernel's log");
	return code;
}

int privilege_explain(int code, const char *what, struct err *err)
{
	struct privilege privilege;
	privilege_read(&privilege);
	if (code == -EPERM || code == -EACCES)
		return explain_permission(&privilege, code, what, err);
	if (code == -ENOMEM)
		return err_set(err, code, ERR_RUNTIME, "out-of-memory", "%s: out of memory", what);
	if (code == -ENOSYS) {
		err_set(err, code, ERR_KERNEL, "no-bpf", "%s: this kernel has no bpf() system call", what);
		err_hint(err, "a kernel with CONFIG_BPF_SYSCALL, 5.8 or later, is needed");
		return code;
	}
	return err_set(err, code, ERR_KERNEL, "no-bpf", "%s: %s", what, strerror(-code));
}
