/* What a process has open.
 *
 * The links in /proc/PID/fd say what each descriptor is: `socket:[7504404]`, `anon_inode:[eventpoll]`, a path. A path
 * alone does not tell a directory or a device from a file, so those are asked with statx(2) through the link, which
 * walks no path. AT_STATX_DONT_SYNC: a network file system whose server is gone must not keep us.
 *
 * One readlink() a descriptor, and one stat for pipes and what has a path: 100,000 take some tenths of a second. What costs
 * more (fdinfo) is asked for single descriptors only. Paths are the target's choice: any bytes but NUL, kept as they
 * are. The list is bounded, since a process may be allowed a billion descriptors. */
#include "engine/proc/descriptors.h"
#include "engine/base/grow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { MAX_LISTED = 4 << 20, MAX_PATHS = 1 << 30 };

static const char *const kind_names[DESCRIPTOR_KINDS] = {
        [DESCRIPTOR_SOCKET] = "socket",
        [DESCRIPTOR_PIPE] = "pipe",
        [DESCRIPTOR_FILE] = "file",
        [DESCRIPTOR_DIRECTORY] = "directory",
        [DESCRIPTOR_FIFO] = "fifo",
        [DESCRIPTOR_DEVICE] = "device",
        [DESCRIPTOR_MEMFD] = "memfd",
        [DESCRIPTOR_EVENTPOLL] = "eventpoll",
        [DESCRIPTOR_EVENTFD] = "eventfd",
        [DESCRIPTOR_INOTIFY] = "inotify",
        [DESCRIPTOR_FANOTIFY] = "fanotify",
        [DESCRIPTOR_TIMERFD] = "timerfd",
        [DESCRIPTOR_SIGNALFD] = "signalfd",
        [DESCRIPTOR_PIDFD] = "pidfd",
        [DESCRIPTOR_IO_URING] = "io_uring",
        [DESCRIPTOR_USERFAULTFD] = "userfaultfd",
        [DESCRIPTOR_PERF_EVENT] = "perf_event",
        [DESCRIPTOR_BPF] = "bpf",
        [DESCRIPTOR_NAMESPACE] = "namespace",
        [DESCRIPTOR_ANON] = "anon_inode",
        [DESCRIPTOR_UNKNOWN] = "unknown",
};

const char *descriptor_kind_name(enum descriptor_kind kind)
{
	return kind_names[kind];
}

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* `[eventpoll]` and `inotify` alike: the kernel writes both forms. */
static enum descriptor_kind anon_kind(const char *name)
{
	static const struct {
		const char *prefix;
		enum descriptor_kind kind;
	} kinds[] = {{"eventpoll", DESCRIPTOR_EVENTPOLL}, {"eventfd", DESCRIPTOR_EVENTFD},
	        {"inotify", DESCRIPTOR_INOTIFY}, {"fanotify", DESCRIPTOR_FANOTIFY}, {"timerfd", DESCRIPTOR_TIMERFD},
	        {"signalfd", DESCRIPTOR_SIGNALFD}, {"pidfd", DESCRIPTOR_PIDFD}, {"io_uring", DESCRIPTOR_IO_URING},
	        {"userfaultfd", DESCRIPTOR_USERFAULTFD}, {"perf_event", DESCRIPTOR_PERF_EVENT}, {"bpf", DESCRIPTOR_BPF},
	        {"btf", DESCRIPTOR_BPF}};
	name += *name == '[';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (begins_with(name, kinds[i].prefix))
			return kinds[i].kind;
	return DESCRIPTOR_ANON;
}

enum descriptor_kind descriptor_classify(const char *link, uint64_t *ret_inode)
{
	const char *bracket = strchr(link, '[');
	*ret_inode = 0;
	if (begins_with(link, "anon_inode:"))
		return anon_kind(link + strlen("anon_inode:"));
	if (begins_with(link, "/memfd:") || strcmp(link, "/secretmem (deleted)") == 0)
		return DESCRIPTOR_MEMFD;
	if (*link == '/' || !bracket)
		return *link == '/' ? DESCRIPTOR_FILE : DESCRIPTOR_ANON;
	*ret_inode = strtoull(bracket + 1, NULL, 10);
	if (begins_with(link, "socket:"))
		return DESCRIPTOR_SOCKET;
	if (begins_with(link, "pipe:"))
		return DESCRIPTOR_PIPE;
	if (begins_with(link, "pidfd:"))
		return DESCRIPTOR_PIDFD;
	return DESCRIPTOR_NAMESPACE; /* net:[…], mnt:[…], pid_for_children:[…] */
}

static enum descriptor_kind kind_of_mode(unsigned mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return DESCRIPTOR_DIRECTORY;
	case S_IFIFO:
		return DESCRIPTOR_FIFO;
	case S_IFCHR:
	case S_IFBLK:
		return DESCRIPTOR_DEVICE;
	case S_IFSOCK: /* O_PATH of a socket's place in the file system: no socket */
	default:
		return DESCRIPTOR_FILE;
	}
}

/* The link's own mode says what the descriptor is open for. */
static uint8_t ends_of(int folder, const char *name)
{
	struct stat st;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (uint8_t)((st.st_mode & S_IRUSR ? DESCRIPTOR_READS : 0) |
	                 (st.st_mode & S_IWUSR ? DESCRIPTOR_WRITES : 0));
}

/* `name` is the number as /proc writes it. False: no longer there. */
static bool look_at(int folder, const char *name, char *link, size_t room, struct descriptor *ret)
{
	struct statx st;
	*ret = (struct descriptor){.fd = atoi(name), .kind = DESCRIPTOR_UNKNOWN};
	ssize_t len = readlinkat(folder, name, link, room - 1);
	if (len < 0) {
		*link = 0;
		return errno != ENOENT;
	}
	link[len] = 0;
	ret->kind = (uint8_t)descriptor_classify(link, &ret->inode);
	if (ret->kind == DESCRIPTOR_PIPE)
		ret->ends = ends_of(folder, name);
	if (*link != '/' || statx(folder, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_INO, &st) < 0)
		return true;
	ret->inode = st.stx_ino;
	ret->major = st.stx_dev_major;
	ret->minor = st.stx_dev_minor;
	if (ret->kind == DESCRIPTOR_FILE)
		ret->kind = (uint8_t)kind_of_mode(st.stx_mode);
	return true;
}

static bool needs_path(const struct descriptor *descriptor)
{
	return descriptor->kind != DESCRIPTOR_SOCKET && descriptor->kind != DESCRIPTOR_PIPE;
}

static int keep(struct descriptors *list, const struct descriptor *descriptor, const char *link)
{
	if (list->n >= MAX_LISTED || list->paths.len > MAX_PATHS) {
		list->cut = true;
		return 0;
	}
	if (grow(&list->list, &list->cap, list->n + 1, sizeof(*list->list)) < 0)
		return -ENOMEM;
	struct descriptor *kept = &list->list[list->n++];
	*kept = *descriptor;
	if (!*link || !needs_path(descriptor))
		return 0;
	if (!list->paths.len)
		text_addc(&list->paths, 0); /* offset 0 means none */
	kept->path = (uint32_t)list->paths.len;
	text_add(&list->paths, link, strlen(link) + 1);
	return text_failed(&list->paths) ? -ENOMEM : 0;
}

static int by_number(const void *a, const void *b)
{
	const struct descriptor *x = a, *y = b;
	return x->fd < y->fd ? -1 : x->fd > y->fd;
}

static int read_all(DIR *dir, struct descriptors *ret)
{
	char link[PATH_MAX + 64];
	struct dirent *entry;
	struct descriptor descriptor;
	int r = 0;
	bool sorted = true;
	while (r == 0 && !ret->cut && (entry = readdir(dir))) {
		if (*entry->d_name < '0' || *entry->d_name > '9')
			continue;
		if (look_at(dirfd(dir), entry->d_name, link, sizeof(link), &descriptor))
			r = keep(ret, &descriptor, link);
		sorted &= ret->n < 2 || ret->list[ret->n - 2].fd < ret->list[ret->n - 1].fd;
	}
	if (!sorted)
		qsort(ret->list, ret->n, sizeof(*ret->list), by_number);
	return r;
}

static int cannot_read(pid_t pid, int code, struct err *err)
{
	if (code == -ENOENT || code == -ESRCH)
		return err_set(err, -ESRCH, ERR_RUNTIME, "no-process", "there is no process %d", (int)pid);
	err_set(err, code, code == -EACCES || code == -EPERM ? ERR_PERMISSION : ERR_RUNTIME, "cannot-read-fd",
	        "cannot read /proc/%d/fd: %s", (int)pid, strerror(-code));
	if (code == -EACCES || code == -EPERM)
		err_hint(err, "its owner, root or CAP_SYS_PTRACE may");
	return code == -EPERM ? -EACCES : code;
}

int descriptors_scan(pid_t pid, struct descriptors *ret, struct err *err)
{
	char path[64];
	memset(ret, 0, sizeof(*ret));
	ret->pid = pid;
	process_comm(pid, ret->comm);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	if (!dir)
		return cannot_read(pid, -errno, err);
	int r = read_all(dir, ret);
	closedir(dir);
	return r < 0 ? err_nomem(err) : 0;
}

bool descriptor_read(pid_t pid, int fd, struct descriptor *ret, struct text *path)
{
	char folder[64], name[16], link[PATH_MAX + 64];
	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)pid);
	snprintf(name, sizeof(name), "%d", fd);
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;
	bool there = look_at(dir, name, link, sizeof(link), ret);
	close(dir);
	text_reset(path);
	text_adds(path, link);
	return there;
}

void descriptors_fini(struct descriptors *list)
{
	free(list->list);
	text_fini(&list->paths);
	memset(list, 0, sizeof(*list));
}

const char *descriptor_path(const struct descriptors *list, const struct descriptor *descriptor)
{
	return descriptor->path ? list->paths.data + descriptor->path : NULL;
}

const struct descriptor *descriptors_find(const struct descriptors *list, int fd)
{
	struct descriptor key = {.fd = fd};
	return list->n ? bsearch(&key, list->list, list->n, sizeof(key), by_number) : NULL;
}

void descriptor_info(pid_t pid, int fd, size_t most, struct text *ret)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)pid, fd);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	text_reset(ret);
	while (file >= 0 && ret->len < most) {
		char *room = text_reserve(ret, most - ret->len);
		ssize_t n = room ? read(file, room, most - ret->len) : 0;
		if (n <= 0)
			break;
		ret->len += (size_t)n;
		ret->data[ret->len] = 0;
	}
	if (file >= 0)
		close(file);
}

bool descriptor_protocol(pid_t pid, int fd, char ret[32])
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	ssize_t n = getxattr(path, "system.sockprotoname", ret, 31);
	ret[n > 0 ? n : 0] = 0;
	return n > 0;
}

uint64_t descriptor_kernel_inode(pid_t pid, int fd)
{
	struct text info = {0};
	descriptor_info(pid, fd, 512, &info);
	const char *line = strstr(text_str(&info), "\nino:");
	uint64_t inode = line ? strtoull(line + strlen("\nino:"), NULL, 10) : 0;
	text_fini(&info);
	return inode;
}

void process_comm(pid_t pid, char ret[16])
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = file >= 0 ? read(file, ret, 15) : 0;
	if (file >= 0)
		close(file);
	ret[n > 0 ? n : 0] = 0;
	ret[strcspn(ret, "\n")] = 0;
}

static int by_pid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
	return x < y ? -1 : x > y;
}

ssize_t processes_list(pid_t **ret)
{
	struct dirent *entry;
	size_t n = 0, cap = 0;
	DIR *dir = opendir("/proc");
	*ret = NULL;
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		long pid = strtol(entry->d_name, NULL, 10);
		if (pid <= 0)
			continue;
		if (grow(ret, &cap, n + 1, sizeof(**ret)) < 0) {
			closedir(dir);
			free(*ret);
			*ret = NULL;
			return -ENOMEM;
		}
		(*ret)[n++] = (pid_t)pid;
	}
	closedir(dir);
	if (n)
		qsort(*ret, n, sizeof(**ret), by_pid);
	return (ssize_t)n;
}
