/* Makes and closes socket pairs until it is killed: the noise that a filter must keep out. */
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	int fds[2];
	while (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0) {
		close(fds[0]);
		close(fds[1]);
	}
	return 1;
}
