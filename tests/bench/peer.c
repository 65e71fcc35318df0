/* The user side of the hand-written program: loads peer.bpf.o, writes a line of text an event.
 *
 *     peer OBJECT FAMILY STACK READY_FD OUTPUT */
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"

static volatile sig_atomic_t over;

static void on_signal(int signal)
{
	(void)signal;
	over = 1;
}

static int on_event(void *user, void *data, size_t size)
{
	FILE *out = user;
	const struct peer_event *event = data;
	if (size < sizeof(*event))
		return 0;
	fprintf(out, "%llu %u %u %.16s family=%d type=%d protocol=%d ret=%d\n", event->nsecs, event->pid, event->tid,
	        event->comm, event->family, event->type, event->protocol, event->ret);
	for (int i = 0; i < event->stack_bytes / 8 && i < PEER_FRAMES; i++)
		fprintf(out, "        %llx\n", event->stack[i]);
	return 0;
}

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

struct settings {
	int wanted_family, with_stack;
};

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	libbpf_set_print(print);
	struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
	if (!object)
		return 1;
	struct settings settings = {.wanted_family = atoi(argv[2]), .with_stack = atoi(argv[3])};
	struct bpf_map *rodata = bpf_object__find_map_by_name(object, ".rodata");
	if (!rodata || bpf_map__set_initial_value(rodata, &settings, sizeof(settings)))
		return 1;
	FILE *out = fopen(argv[5], "w");
	if (!out || bpf_object__load(object))
		return 1;
	struct bpf_program *program;
	bpf_object__for_each_program(program, object) if (!bpf_program__attach(program)) return 1;
	struct ring_buffer *ring =
	        ring_buffer__new(bpf_object__find_map_fd_by_name(object, "ring"), on_event, out, NULL);
	if (!ring)
		return 1;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (write(atoi(argv[4]), "r", 1) != 1)
		return 1;
	close(atoi(argv[4]));
	while (!over) {
		ring_buffer__poll(ring, 20);
		ring_buffer__consume(ring);
	}
	ring_buffer__consume(ring);
	return fclose(out) ? 1 : 0;
}
