/* Raw tracepoints: the program hangs on the kernel's tracepoint itself and gets its arguments as they are, with no
 * record made for it first. The cheapest hook there is, and it needs neither tracefs nor BTF. */
#include "engine/run/attach.h"
#include "engine/run/privilege.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

static int attach_raw(int prog_fd, const char *target, const struct probe_schema *probe, struct err *err)
{
	int fd = bpf_raw_tracepoint_open(target, prog_fd);
	if (fd >= 0)
		return fd;
	int code = -errno;
	if (code == -EPERM || code == -EACCES)
		return privilege_explain(code, "attaching", err);
	return err_set(err, code, ERR_KERNEL, "attach-failed", "cannot attach to the kernel's tracepoint %s: %s",
	        target, strerror(-code));
}

const struct mechanism mechanism_raw_tracepoint = {
        .name = "raw_tracepoint",
        .section = "raw_tp/",
        .attach = attach_raw,
};
