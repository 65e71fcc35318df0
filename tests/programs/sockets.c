/* Makes sockets as fast as it can: `sockets COUNT [CHILDREN [UID]]`.
 *
 * Waits for a line (or the end) of its standard input first, so that a tracer can be attached to it. Each of CHILDREN, forked after
 * that, makes COUNT sockets as well, and forks one grandchild that makes COUNT more. UID: becomes that user before
 * anything else. Says "PID COUNT" for itself and for each descendant. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void make_sockets(long count)
{
	for (long i = 0; i < count; i++)
		close(socket(AF_UNIX, SOCK_DGRAM, 0));
	printf("%d %ld\n", (int)getpid(), count);
	fflush(stdout);
}

static void make_children(long count, int children, int depth)
{
	for (int i = 0; i < children; i++) {
		if (fork() == 0) {
			make_sockets(count);
			make_children(count, depth, 0);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 1;
	int children = argc > 2 ? atoi(argv[2]) : 0;
	if (argc > 3 && setuid((uid_t)atoi(argv[3])))
		return 1;
	while (getchar() != EOF)
		if (!feof(stdin))
			break;
	make_sockets(count);
	make_children(count, children, 1);
	return 0;
}
