/* The kernel's list of tracepoints, whether or not somebody mounted it.
 *
 * A mount that is there is used. Where none is, fsopen() and fsmount() (Linux 5.2) make one that has no place in any
 * directory tree: nobody else sees it, and it goes with our descriptor. Mounting it for everyone, as other tracers
 * do, would change the machine that is only looked at. The private mount needs CAP_SYS_ADMIN in the initial user
 * namespace. */
#include "engine/probe/tracefs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { MAX_FILE = 16 << 20, CHUNK = 1 << 16 };

static const char *const MOUNTS[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};

/* A mount point may be an empty directory, or closed to us. */
static int open_mounted(const char *path)
{
	struct statfs st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &st) || st.f_type != TRACEFS_MAGIC) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

static int open_private(void)
{
	int context = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);
	if (context < 0)
		return -errno;
	int fd = -1, r = 0;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ||
	        (fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
	                 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)) < 0)
		r = -errno;
	close(context);
	if (r)
		return r;
	/* What fsmount() returns is an O_PATH descriptor; the directory can be listed through an ordinary one. */
	int root = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = root < 0 ? -errno : root;
	close(fd);
	return r;
}

/* In lockdown=confidentiality the mount succeeds, and there is nothing in it. */
static int refuse_empty(int fd, struct err *err)
{
	struct stat st;
	if (!fstatat(fd, "events", &st, AT_SYMLINK_NOFOLLOW)) /* not faccessat(), which forgets capabilities */
		return fd;
	close(fd);
	err_set(err, -ENODEV, ERR_KERNEL, "no-tracefs", "this kernel shows no tracepoints: tracefs is empty");
	err_hint(err, "the kernel may be in lockdown=confidentiality; boot with integrity or none");
	return -ENODEV;
}

int tracefs_open(struct err *err)
{
	int r = -ENOENT, denied = 0;
	for (size_t i = 0; i < sizeof(MOUNTS) / sizeof(MOUNTS[0]) && r < 0; i++) {
		r = open_mounted(MOUNTS[i]);
		denied |= r == -EACCES || r == -EPERM;
	}
	if (r < 0)
		r = open_private();
	if (r >= 0)
		return refuse_empty(r, err);
	if (r == -EPERM || r == -EACCES || denied) {
		err_set(err, -EACCES, ERR_PERMISSION, "no-permission",
		        "tracepoints cannot be looked up: tracefs needs root");
		err_hint(err, "run it as root (sudo), or with CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH");
		return -EACCES;
	}
	err_set(err, -ENODEV, ERR_KERNEL, "no-tracefs", "this kernel shows no tracepoints (tracefs: %s)", strerror(-r));
	if (r == -ENOSYS)
		err_hint(err, "mount it: mount -t tracefs tracefs /sys/kernel/tracing");
	return -ENODEV;
}

static int read_chunk(int fd, struct text *ret)
{
	char *room = text_reserve(ret, CHUNK);
	ssize_t n;
	if (!room)
		return -ENOMEM;
	do
		n = read(fd, room, CHUNK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	ret->len += (size_t)n;
	return n > 0;
}

int tracefs_read(int tracefs, const char *path, struct text *ret)
{
	int fd = openat(tracefs, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), r;
	if (fd < 0)
		return -errno;
	do
		r = ret->len < MAX_FILE ? read_chunk(fd, ret) : -EFBIG;
	while (r > 0);
	close(fd);
	return r;
}
