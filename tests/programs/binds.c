/* Gives sockets addresses: an abstract Unix name, a port of 127.0.0.1, and the same port again, which fails. It says
 * itself what it did: a line `FD INODE RESULT ERRNO` a call. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void try_bind(int family, const void *address, socklen_t len)
{
	struct stat st;
	int fd = socket(family, SOCK_STREAM, 0);
	if (fd < 0 || fstat(fd, &st))
		exit(2);
	errno = 0;
	int r = bind(fd, address, len);
	printf("%d %lu %d %d\n", fd, (unsigned long)st.st_ino, r, errno);
}

int main(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0rille test"};
	struct sockaddr_in port = {
	        .sin_family = AF_INET, .sin_port = htons(4242), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	try_bind(AF_UNIX, &name, sizeof(sa_family_t) + 11);
	try_bind(AF_INET, &port, sizeof(port));
	try_bind(AF_INET, &port, sizeof(port));
	return 0;
}
