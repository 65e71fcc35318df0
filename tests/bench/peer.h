/* What the two halves of the hand-written program share. */
#ifndef RILLE_TESTS_BENCH_PEER_H
#define RILLE_TESTS_BENCH_PEER_H

enum { PEER_FRAMES = 32 };

struct peer_event {
	unsigned long long nsecs;
	unsigned int pid, tid;
	char comm[16];
	int family, type, protocol, ret;
	int stack_bytes; /* of what follows; a negative errno */
	int pad;
	unsigned long long stack[PEER_FRAMES];
};

#endif
