/* Opening what a process has mapped.
 *
 * /proc/PID/map_files leads to the very file, whatever its name has become: deleted, in a chroot, in another mount
 * namespace. It needs a privilege and the exact bounds of a mapping that exists now. Behind it come the path in the
 * process's root and, when the process is gone, the path as we see it. Each is taken only if it is the file that was
 * mapped (file_confirm): a path may hold something else by now, and an address may belong to the next program.
 *
 * The target chooses its paths. Opening a FIFO would block and opening a device may do something, so a file is first
 * opened without access (O_PATH), looked at, and only a regular one is opened for reading. A path inside the process's
 * root is resolved inside it: a symbolic link there must not lead out. */
#include "engine/proc/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Takes over an O_PATH descriptor. */
static int reopen_regular(int path_fd)
{
	char name[64];
	struct stat st;
	if (path_fd < 0)
		return -errno;
	int fd = -EINVAL;
	if (!fstat(path_fd, &st) && S_ISREG(st.st_mode)) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", path_fd);
		fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	close(path_fd);
	return fd;
}

static int open_map_file(const struct process *process, const struct mapping *mapping)
{
	char name[96];
	snprintf(name, sizeof(name), "/proc/%d/map_files/%llx-%llx", (int)process->pid,
	        (unsigned long long)mapping->start, (unsigned long long)mapping->end);
	return reopen_regular(open(name, O_PATH | O_CLOEXEC));
}

static int open_in_root(const struct process *process, const char *path)
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/%d/root", (int)process->pid);
	int root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = reopen_regular(syscall(SYS_openat2, root, path, &how, sizeof(how)));
	close(root);
	return fd;
}

static int open_path(const char *path)
{
	return reopen_regular(open(path, O_PATH | O_CLOEXEC));
}

static int confirmed(struct mapped_file *file, int fd)
{
	if (fd >= 0 && !file_confirm(file, fd)) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

int process_open_mapping(struct process *process, const struct mapping *mapping)
{
	struct mapped_file *file = mapping->file;
	if (file->path[0] != '/' || mapping->flags & MAPPING_ANON)
		return -ENOENT;
	int fd = -ENOENT;
	if (!process->exited) {
		fd = confirmed(file, open_map_file(process, mapping));
		if (fd < 0)
			fd = confirmed(file, open_in_root(process, file->path));
	}
	if (fd < 0)
		fd = confirmed(file, open_path(file->path));
	return fd;
}
