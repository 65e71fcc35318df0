/* Declares its probes itself, without a script, and reads events field by field.
 *
 *     cc -o probes probes.c $(pkg-config --cflags --libs rille)
 *     sudo ./probes COMMAND… */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <rille.h>
#include <stdio.h>
#include <unistd.h>

enum { FDS, INODES, FAMILY }; /* fields have the numbers of their order */

static const struct rille_field fields[] = {
        [FDS] = {.name = "fds", .expr = "s32(usockvec, 2)"},
        [INODES] = {.name = "inodes", .expr = "fd_inode(fds)"},
        [FAMILY] = {.name = "family", .as = "AF_"},
};

static const struct rille_probe probe = {
        .size = sizeof(probe),
        .on = "syscall:socketpair",
        .where = "ret == 0",
        .fields = fields,
        .nfields = sizeof(fields) / sizeof(*fields),
        .stack = "user",
};

static int show(void *user, const rille_event *event)
{
	struct rille_head head = {.size = sizeof(head)};
	struct rille_stack stack = {.size = sizeof(stack)};
	int64_t fds[2], inodes[2];
	const char *family;
	(void)user;
	if (rille_event_head(event, &head) || rille_event_array(event, FDS, fds, 2, NULL) != 2 ||
	        rille_event_array(event, INODES, inodes, 2, NULL) != 2 ||
	        rille_event_show(event, FAMILY, &family, NULL) || rille_event_stack(event, RILLE_USER, &stack))
		return -1; /* counted, and logged with what the library says */
	printf("%s %" PRIu32 " fds=[%" PRId64 ",%" PRId64 "] inodes=[%" PRId64 ",%" PRId64 "] family=%s\n", head.comm,
	        head.pid, fds[0], fds[1], inodes[0], inodes[1], family);
	for (size_t i = 0; i < stack.nframes; i++)
		printf("    %s\n", stack.frames[i].name ? stack.frames[i].name : "?");
	printf("    (%s)\n", stack.end);
	return 0;
}

static pid_t start(char **argv, int *ret_go)
{
	char byte;
	int gate[2];
	if (pipe2(gate, O_CLOEXEC))
		return -1;
	pid_t child = fork();
	if (child == 0) {
		close(gate[1]);
		if (read(gate[0], &byte, 1) == 1)
			execvp(argv[0], argv);
		_exit(127);
	}
	close(gate[0]);
	*ret_go = gate[1];
	return child;
}

int main(int argc, char **argv)
{
	int go = -1, n = 0;
	pid_t child = argc > 1 ? start(argv + 1, &go) : -1;
	if (child < 0)
		return 2;
	rille *r = rille_new(NULL);
	if (!r || rille_add_probe(r, &probe) < 0 || rille_target_pid(r, child) || rille_on_event(r, show, NULL) ||
	        rille_attach(r)) {
		fputs(rille_last_error(r)->formatted, stderr);
		return 1;
	}
	n = write(go, "g", 1) == 1 ? 0 : -1;
	while (n >= 0)
		n = rille_dispatch(r, -1, 0);
	rille_stop(r, NULL);
	struct rille_totals totals = {.size = sizeof(totals)};
	if (rille_probe_stats(r, 0, &totals) == 0)
		printf("sent %" PRIu64 ", lost %" PRIu64 "\n", totals.sent, totals.lost_ring);
	rille_free(r);
	return 0;
}
