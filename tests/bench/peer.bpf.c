/* The hand-written program that Rille is compared with: what someone who knows libbpf well writes for this one job. The
 * ring buffer's reader is woken once for many events. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "peer.h"

struct enter {
	unsigned long long common;
	long nr, family, type, protocol;
};
struct leave {
	unsigned long long common;
	long nr, ret;
};
struct call {
	int family, type, protocol;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, unsigned long long);
	__type(value, struct call);
} calls SEC(".maps");

const volatile int wanted_family = 1;
const volatile int with_stack;
unsigned long long lost;

SEC("tracepoint/syscalls/sys_enter_socket")
int enter_socket(struct enter *ctx)
{
	if (ctx->family != wanted_family)
		return 0;
	unsigned long long id = bpf_get_current_pid_tgid();
	struct call call = {ctx->family, ctx->type, ctx->protocol};
	bpf_map_update_elem(&calls, &id, &call, BPF_ANY);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_socket")
int leave_socket(struct leave *ctx)
{
	unsigned long long id = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&calls, &id);
	if (!call)
		return 0;
	struct peer_event *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&lost, 1);
		goto out;
	}
	event->nsecs = bpf_ktime_get_ns();
	event->pid = id >> 32;
	event->tid = id;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	event->family = call->family;
	event->type = call->type;
	event->protocol = call->protocol;
	event->ret = ctx->ret;
	event->stack_bytes = 0;
	if (with_stack)
		event->stack_bytes = bpf_get_stack(ctx, event->stack, sizeof(event->stack), BPF_F_USER_STACK);
	/* The reader is woken when there is a lot to read; otherwise it looks by itself after a while. */
	long waiting = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
	bpf_ringbuf_submit(event, waiting >= 512 << 10 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
out:
	bpf_map_delete_elem(&calls, &id);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
