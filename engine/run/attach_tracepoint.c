/* Tracepoints with the record that their format file describes: a perf event of type tracepoint carries the program.
 *
 * One event on one CPU is enough: the program is put into the tracepoint's own list and runs wherever the tracepoint
 * fires (perf_trace_run_bpf_submit() comes before the kernel asks which CPU has an event). */
#include "engine/run/attach.h"
#include "engine/run/privilege.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int explain(int code, const char *target, struct err *err)
{
	if (code == -EPERM || code == -EACCES)
		return privilege_explain(code, "attaching", err);
	return err_set(err, code, ERR_KERNEL, "attach-failed", "cannot attach to the tracepoint %s: %s", target,
	        strerror(-code));
}

static int attach_tracepoint(int prog_fd, const char *target, const struct probe_schema *probe, struct err *err)
{
	struct perf_event_attr attr = {
	        .type = PERF_TYPE_TRACEPOINT,
	        .size = sizeof(attr),
	        .config = (uint64_t)probe->number,
	        .sample_period = 1,
	        .wakeup_events = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return explain(-errno, target, err);
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog_fd) < 0 || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		int code = -errno;
		close(fd);
		return explain(code, target, err);
	}
	return fd;
}

const struct mechanism mechanism_tracepoint = {
        .name = "tracepoint",
        .section = "tp/",
        .attach = attach_tracepoint,
};
