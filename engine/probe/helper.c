/* Finding rille-cc and starting it without privileges.
 *
 * The tracer is usually root, and often a big program that embeds the library. So:
 *
 * - The child is made by clone(CLONE_VM | CLONE_VFORK): no page tables are copied, whatever the host's size. Until it
 *   execs, it runs on a small stack of its own in our memory while our thread waits, and does nothing but system calls,
 *   raw ones: glibc's setuid() would signal the threads of the *host* to follow.
 * - We hold a pidfd, not a pid: nothing is ever sent to, or waited for in, another process. exec() makes the child an
 * ordinary one, so a host gets SIGCHLD at its end and may reap it with a wait() of its own, or have the kernel do so;
 * all we then lose is what it died of.
 * - rille-cc is opened by us and executed by descriptor (execveat), so it may lie where nobody's user cannot look, and
 * what was checked is what runs.
 * - What it returns is loaded into the kernel by root. Therefore, as root, a rille-cc is refused that someone else
 * could have written: it must belong to root, to us, or to the owner of the running program (who could have changed
 * that), and be writable by its owner only.
 * - Becoming nobody clears the "dumpable" flag of the memory, which we share at that moment: it is put back.
 *
 * The parent's death is not watched with PR_SET_PDEATHSIG, which means the death of the *thread* that started the
 * child, and a handle may move between threads. A helper that waits sees its socket close; one that compiles has its
 * CPU limit. */
#include "engine/probe/helper.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/cc/wire.h"

enum { NOBODY = 65534, CHILD_STACK = 64 << 10, NOTES_MAX = 4096 };

/* --- finding --- */

static bool owner_is_trusted(uid_t owner)
{
	struct stat self;
	return owner == 0 || owner == geteuid() || (!stat("/proc/self/exe", &self) && owner == self.st_uid);
}

static int check_owner(int fd, const char *path, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st))
		return err_set(err, -errno, ERR_RUNTIME, "no-compiler", "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, -ENOENT, ERR_RUNTIME, "no-compiler", "%s is not a file", path);
	if (geteuid() == 0 && ((st.st_mode & 022) || !owner_is_trusted(st.st_uid)))
		return err_set(err, -EPERM, ERR_PERMISSION, "unsafe-compiler",
		        "%s could have been written by another user; root does not run it", path);
	return 0;
}

/* -ENOENT without a message if there is no such file: the search goes on. */
static int try_path(const char *path, struct text *ret_path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -ENOENT;
	int r = check_owner(fd, path, err);
	if (r) {
		close(fd);
		return r;
	}
	text_reset(ret_path);
	text_adds(ret_path, path);
	return fd;
}

static int try_beside_program(struct text *ret_path, struct err *err)
{
	/* Installed in one folder, installed as packages do, and three places in a build tree. */
	static const char *const places[] = {"/rille-cc", "/../libexec/rille/rille-cc", "/engine/cc/rille-cc",
	        "/../cc/rille-cc", "/../../engine/cc/rille-cc"};
	char exe[PATH_MAX], path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n <= 0)
		return -ENOENT;
	exe[n] = '\0';
	char *slash = strrchr(exe, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		strcpy(stpcpy(path, exe), places[i]);
		int fd = try_path(path, ret_path, err);
		if (fd != -ENOENT)
			return fd;
	}
	return -ENOENT;
}

/* Absolute folders only: what "." means is up to whoever chose the working directory. */
static int try_search_path(struct text *ret_path, struct err *err)
{
	char place[PATH_MAX];
	const char *at = secure_getenv("PATH");
	while (at && *at) {
		size_t len = strcspn(at, ":");
		int n = snprintf(place, sizeof(place), "%.*s/rille-cc", (int)len, at);
		int fd = at[0] == '/' && n < PATH_MAX ? try_path(place, ret_path, err) : -ENOENT;
		if (fd != -ENOENT)
			return fd;
		at += len + (at[len] == ':');
	}
	return -ENOENT;
}

int helper_open(const char *path, struct text *ret_path, struct err *err)
{
	const char *named = path ? path : secure_getenv("RILLE_CC");
	int fd = named && *named ? try_path(named, ret_path, err) : try_beside_program(ret_path, err);
	if (fd == -ENOENT && !(named && *named))
		fd = try_path(RILLE_LIBEXECDIR "/rille-cc", ret_path, err);
	if (fd == -ENOENT && !(named && *named))
		fd = try_search_path(ret_path, err);
	if (fd != -ENOENT)
		return fd;
	err_set(err, -ENOENT, ERR_RUNTIME, "no-compiler", "the compiler %s is not there",
	        named && *named ? named : "rille-cc");
	err_hint(err, "install rille-cc, or name it in the environment variable RILLE_CC");
	return -ENOENT;
}

/* --- identity --- */

static void add_hex(struct text *ret, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		text_printf(ret, "%02x", data[i]);
}

/* Walks one segment of notes; returns how many of the wanted ones it appended. */
static int read_notes(const uint8_t *data, size_t size, struct text *ret)
{
	int found = 0;
	for (size_t at = 0; size - at >= sizeof(Elf64_Nhdr);) {
		Elf64_Nhdr note;
		memcpy(&note, data + at, sizeof(note));
		at += sizeof(note);
		if (note.n_namesz > 64 || note.n_descsz > NOTES_MAX)
			break;
		size_t name_room = (note.n_namesz + 3) & ~(size_t)3, desc_room = (note.n_descsz + 3) & ~(size_t)3;
		if (name_room + desc_room > size - at)
			break;
		const char *owner = (const char *)data + at;
		const uint8_t *desc = data + at + name_room;
		if (note.n_type == CC_NOTE_TYPE && note.n_namesz == sizeof(CC_NOTE_OWNER) &&
		        !memcmp(owner, CC_NOTE_OWNER, sizeof(CC_NOTE_OWNER))) {
			text_add_clean(ret, (const char *)desc, strnlen((const char *)desc, note.n_descsz));
			text_addc(ret, ' ');
			found++;
		} else if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && !memcmp(owner, "GNU", 4)) {
			add_hex(ret, desc, note.n_descsz);
			text_addc(ret, ' ');
		}
		at += name_room + desc_room;
	}
	return found;
}

int helper_identity(int fd, struct text *ret)
{
	Elf64_Ehdr elf;
	if (pread(fd, &elf, sizeof(elf), 0) != sizeof(elf) || memcmp(elf.e_ident, ELFMAG, SELFMAG) ||
	        elf.e_phentsize != sizeof(Elf64_Phdr) || elf.e_phnum > 64)
		return -EINVAL;
	int found = 0;
	for (unsigned i = 0; i < elf.e_phnum; i++) {
		Elf64_Phdr segment;
		_Alignas(8) uint8_t notes[NOTES_MAX];
		if (pread(fd, &segment, sizeof(segment), (off_t)(elf.e_phoff + i * sizeof(segment))) != sizeof(segment))
			return -EINVAL;
		if (segment.p_type != PT_NOTE || segment.p_filesz > sizeof(notes))
			continue;
		ssize_t n = pread(fd, notes, segment.p_filesz, (off_t)segment.p_offset);
		if (n > 0)
			found += read_notes(notes, (size_t)n, ret);
	}
	return found ? 0 : -EINVAL;
}

/* --- starting --- */

struct child {
	int program, null;
	int fds[3];
	struct helper_limits limits;
	int error; /* why it did not get to run: a positive errno */
	const char *step;
};

static void limit(int resource, uint64_t value)
{
	struct rlimit old;
	if (getrlimit(resource, &old))
		return;
	/* At the hard CPU limit the kernel kills; a second earlier it sends SIGXCPU, which tells why. */
	uint64_t hard = value + (resource == RLIMIT_CPU);
	struct rlimit now = {
	        .rlim_cur = old.rlim_max < value ? old.rlim_max : value,
	        .rlim_max = old.rlim_max < hard ? old.rlim_max : hard,
	};
	setrlimit(resource, &now);
}

static void set_limits(const struct helper_limits *limits)
{
	limit(RLIMIT_CPU, limits->seconds);
	limit(RLIMIT_AS, limits->memory);
	limit(RLIMIT_FSIZE, CC_MAX_OUTPUT + (1 << 20));
	limit(RLIMIT_NOFILE, 16);
	limit(RLIMIT_CORE, 0);
}

/* In a user namespace without a mapping for nobody, setresuid() fails with EINVAL: we then stay who we are, without
 * capabilities. */
static int drop_privileges(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	if (syscall(SYS_geteuid) == 0) {
		syscall(SYS_setgroups, 0, NULL); /* refused in some user namespaces */
		if (syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) && errno != EINVAL)
			return -1;
		if (syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) && errno != EINVAL)
			return -1;
	}
	if (syscall(SYS_capset, &header, none))
		return -1;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void close_others(int keep)
{
	if (!syscall(SYS_close_range, CC_FD_ANSWER + 1, keep - 1, 0) && !syscall(SYS_close_range, keep + 1, ~0U, 0))
		return;
	for (int fd = CC_FD_ANSWER + 1; fd < 4096; fd++) /* before Linux 5.9 */
		if (fd != keep)
			close(fd);
}

/* Puts the descriptors where rille-cc expects them; high copies first, since any of them may lie where another belongs.
 */
static int place_fds(struct child *child)
{
	const int from[] = {child->fds[0], child->null, child->null, child->fds[1], child->fds[2]};
	int high[5];
	child->program = fcntl(child->program, F_DUPFD_CLOEXEC, 32);
	if (child->program < 0)
		return -1;
	for (int i = 0; i < 5; i++) {
		high[i] = fcntl(from[i], F_DUPFD, 32);
		if (high[i] < 0)
			return -1;
	}
	for (int i = 0; i < 5; i++)
		if (dup2(high[i], i) < 0)
			return -1;
	close_others(child->program);
	return 0;
}

/* Runs in the host's memory: system calls only, and no return. */
static int child_main(void *arg)
{
	struct child *child = arg;
	const char *const argv[] = {"rille-cc", "--serve", NULL}, *const envp[] = {NULL};
	child->step = "pass descriptors to";
	if (place_fds(child))
		goto fail;
	child->step = "drop privileges for";
	set_limits(&child->limits);
	if (chdir("/") || drop_privileges())
		goto fail;
	limit(RLIMIT_NPROC, 0); /* only now: becoming a user who is over this limit makes exec fail */
	child->step = "execute";
	syscall(SYS_execveat, child->program, "", argv, envp, AT_EMPTY_PATH);
fail:
	child->error = errno;
	_exit(127);
}

/* clone() with all signals blocked, so that no handler of the host runs in the child; rille-cc unblocks them. */
static int clone_child(struct child *child, int *ret_pidfd)
{
	char *stack = malloc(CHILD_STACK);
	if (!stack)
		return -ENOMEM;
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int dumpable = prctl(PR_GET_DUMPABLE);
	char *top = stack + CHILD_STACK;
	int pid = clone(child_main, top - (uintptr_t)top % 16, CLONE_VM | CLONE_VFORK | CLONE_PIDFD, child, ret_pidfd);
	int r = pid < 0 ? -errno : 0;
	if (dumpable == 1)
		prctl(PR_SET_DUMPABLE, 1);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	free(stack);
	return r;
}

int helper_start(struct helper *ret, int fd, const int fds[3], const struct helper_limits *limits, struct err *err)
{
	struct child child = {.program = fd, .fds = {fds[0], fds[1], fds[2]}, .limits = *limits, .step = "start"};
	ret->pidfd = -1;
	child.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (child.null < 0)
		return err_set(err, -errno, ERR_RUNTIME, "no-compiler", "/dev/null: %s", strerror(errno));
	int r = clone_child(&child, &ret->pidfd);
	close(child.null);
	if (!r && child.error) {
		helper_finish(ret, false);
		r = -child.error;
	}
	if (r)
		return err_set(err, r, ERR_RUNTIME, "no-compiler", "cannot %s rille-cc: %s", child.step, strerror(-r));
	return 0;
}

int helper_finish(struct helper *helper, bool kill)
{
	if (helper->pidfd < 0)
		return -ECHILD;
	if (kill)
		syscall(SYS_pidfd_send_signal, helper->pidfd, SIGKILL, NULL, 0);
	siginfo_t info = {0};
	int r;
	do
		r = waitid(P_PIDFD, (id_t)helper->pidfd, &info, WEXITED | __WALL) ? -errno : 0;
	while (r == -EINTR);
	close(helper->pidfd);
	helper->pidfd = -1;
	if (r)
		return r;
	return info.si_code == CLD_EXITED ? info.si_status : 256 + info.si_status;
}
