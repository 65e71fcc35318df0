/* The hand-written program that an event's way through Rille's callbacks is compared with: a small record for each
 * socket(), nobody is woken. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "callback.h"

struct enter {
	unsigned long long common;
	long nr, family, type, protocol;
};
struct leave {
	unsigned long long common;
	long nr, ret;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, unsigned long long);
	__type(value, struct enter);
} calls SEC(".maps");

const volatile unsigned wanted_pid;

SEC("tracepoint/syscalls/sys_enter_socket")
int enter_socket(struct enter *ctx)
{
	unsigned long long id = bpf_get_current_pid_tgid();
	struct enter call = {.family = ctx->family, .type = ctx->type, .protocol = ctx->protocol};
	if (id >> 32 == wanted_pid)
		bpf_map_update_elem(&calls, &id, &call, BPF_ANY);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_socket")
int leave_socket(struct leave *ctx)
{
	unsigned long long id = bpf_get_current_pid_tgid();
	struct enter *call = bpf_map_lookup_elem(&calls, &id);
	struct callback_event *event = call ? bpf_ringbuf_reserve(&ring, sizeof(*event), 0) : 0;
	if (!event)
		return 0;
	event->nsecs = bpf_ktime_get_ns();
	event->pid = id >> 32;
	event->tid = id;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	event->family = call->family;
	event->type = call->type;
	event->protocol = call->protocol;
	event->ret = ctx->ret;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
