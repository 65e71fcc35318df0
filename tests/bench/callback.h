/* What callback.bpf.c sends for each socket(). */
struct callback_event {
	unsigned long long nsecs;
	unsigned pid, tid;
	char comm[16];
	int family, type, protocol, ret;
};
