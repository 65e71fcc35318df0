/* Makes a socket pair in leaf ← mid ← main, and once more in a forked child, then exits at once.
 *
 * It says itself what it got: a line `PID FD FD INODE INODE` a process, the inodes once by fstat() and once from
 * /proc/self/fd, so that a tracer can be compared with it. Built with and without frame pointers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The inode as the link of /proc/self/fd says it: socket:[N]. */
static unsigned long inode_of_link(int fd)
{
	char path[64], target[64] = "";
	unsigned long inode = 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, target, sizeof(target) - 1) < 0 || sscanf(target, "socket:[%lu]", &inode) != 1)
		exit(2);
	return inode;
}

static unsigned long inode_of(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_ino != inode_of_link(fd))
		exit(3);
	return st.st_ino;
}

static int made[2];

__attribute__((noinline)) int leaf(int type)
{
	int r = socketpair(AF_UNIX, type, 0, made);
	__asm__ volatile("" ::: "memory"); /* no tail call: leaf stays on the stack */
	return r;
}

__attribute__((noinline)) int mid(int type)
{
	int r = leaf(type);
	__asm__ volatile("" ::: "memory");
	return r;
}

static void report(void)
{
	char line[128];
	int len = snprintf(line, sizeof(line), "%d %d %d %lu %lu\n", (int)getpid(), made[0], made[1], inode_of(made[0]),
	        inode_of(made[1]));
	if (write(STDOUT_FILENO, line, (size_t)len) != len)
		exit(4);
}

int main(void)
{
	if (mid(SOCK_STREAM) < 0)
		return 1;
	report();
	pid_t child = fork();
	if (child == 0) {
		if (mid(SOCK_DGRAM) < 0)
			_exit(1);
		report();
		_exit(0);
	}
	int status;
	return child < 0 || waitpid(child, &status, 0) != child || status ? 5 : 0;
}
