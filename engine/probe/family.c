/* Families of constants: what a prefix like "AF_" stands for.
 *
 * The table of constants is in order of name, so a family is one run of it. But headers have several names for one value,
 * and put constants of different meaning under one prefix: FAMILIES says what wins, and why. A prefix that is not listed
 * there works by what its constants look like. */
#include "engine/probe/family.h"

#include <string.h>

static const struct family FAMILIES[] = {
        /* POSIX calls it AF_UNIX; AF_ROUTE is BSD's. */
        {"AF_", FORMAT_ENUM, 0, "AF_UNIX AF_NETLINK", ""},
        {"PF_", FORMAT_ENUM, 0, "PF_UNIX PF_NETLINK", "PF_R PF_W PF_X"},
        /* A type in the low bits, flags above (SOCK_TYPE_MASK of the kernel). */
        {"SOCK_", FORMAT_FLAGS, 0xf, "",
                "SOCK_TXREHASH SOCK_SNDBUF SOCK_RCVBUF SOCK_BUF SOCK_DIAG SOCK_DESTROY SOCK_IOC"},
        {"IPPROTO_", FORMAT_ENUM, 0, "IPPROTO_IP", ""},
        {"SOL_", FORMAT_ENUM, 0, "", ""},
        {"SO_", FORMAT_ENUM, 0, "SO_ATTACH_FILTER SO_DETACH_FILTER", "SO_VM_"},
        {"SHUT_", FORMAT_ENUM, 0, "", ""},
        /* MSG_STAT … MSG_COPY are System V message queues'. */
        {"MSG_", FORMAT_FLAGS, 0, "MSG_DONTROUTE", "MSG_STAT MSG_INFO MSG_NOERROR MSG_EXCEPT MSG_COPY"},
        /* The states: the kernel's events show those; of the options (TCP_NODELAY) there is no event. */
        {"TCP_", FORMAT_ENUM, 0,
                "TCP_ESTABLISHED TCP_SYN_SENT TCP_SYN_RECV TCP_FIN_WAIT1 TCP_FIN_WAIT2 TCP_TIME_WAIT TCP_CLOSE "
                "TCP_CLOSE_WAIT "
                "TCP_LAST_ACK TCP_LISTEN TCP_CLOSING TCP_NEW_SYN_RECV",
                "TCP_NLA_ TCP_COOKIE_ TCP_REPAIR_ TCP_MD5SIG_ TCP_S_DATA TCP_RECEIVE_ TCP_ENCAP_ TCP_CA_"},
        /* The access mode is a number of two bits. O_FSYNC and O_RSYNC are older names. */
        {"O_", FORMAT_FLAGS, 3, "O_NONBLOCK O_SYNC O_EXCL", "O_ACCMODE"},
        {"AT_", FORMAT_FLAGS, 0, "AT_REMOVEDIR",
                "AT_NULL AT_IGNORE AT_EXEC AT_PH AT_VECTOR AT_PAGESZ AT_BASE AT_FLAGS AT_ENTRY AT_NOTELF AT_UID "
                "AT_EUID "
                "AT_GID AT_EGID AT_PLATFORM AT_HWCAP AT_CLKTCK AT_SECURE AT_RANDOM AT_SYSINFO AT_MINSIGSTKSZ "
                "AT_STATX_SYNC_"},
        /* fcntl()'s commands; locks, lockf() and owners are other families. */
        {"F_", FORMAT_ENUM, 0, "F_DUPFD F_SETLEASE F_GETLK F_SETLK F_SETLKW",
                "F_OK F_OWNER_ F_RDLCK F_WRLCK F_UNLCK F_EXLCK F_SHLCK F_ULOCK F_LOCK F_TLOCK F_TEST F_SEAL_ F_LINUX_"},
        {"SEEK_", FORMAT_ENUM, 0, "", ""},
        {"LOCK_", FORMAT_FLAGS, 0, "", "LOCK_RW"},
        {"PROT_", FORMAT_FLAGS, 0, "", ""},
        /* Shared or private is a number. */
        {"MAP_", FORMAT_FLAGS, 0xf, "MAP_ANONYMOUS", "MAP_FILE MAP_TYPE MAP_HUGE_SHIFT MAP_HUGE_MASK"},
        {"MADV_", FORMAT_ENUM, 0, "", ""},
        {"MS_", FORMAT_FLAGS, 0, "MS_RDONLY MS_NOSUID MS_NODEV MS_SILENT",
                "MS_ASYNC MS_SYNC MS_INVALIDATE MS_MGC_ MS_RMT_"},
        {"CLONE_", FORMAT_FLAGS, 0, "", "CLONE_ARGS_"},
        /* An operation in the low bits; FUTEX_WAIT_PRIVATE is one with a flag. */
        {"FUTEX_", FORMAT_FLAGS, 0x7f, "FUTEX_WAIT FUTEX_WAKE FUTEX_FD FUTEX_REQUEUE FUTEX_PRIVATE_FLAG",
                "FUTEX_OP_ FUTEX_32 FUTEX_CMD FUTEX_TID FUTEX_OWNER FUTEX_WAITERS FUTEX_BITSET FUTEX_WAITV "
                "FUTEX_WAIT_PRIVATE"},
        {"SIG", FORMAT_ENUM, 0, "SIGABRT SIGCHLD SIGIO SIGSYS", "SIG_ SIGEV_ SIGSTKSZ"},
        {"SIG_", FORMAT_ENUM, 0, "", "SIG_ATOMIC_"},
        {"SA_", FORMAT_FLAGS, 0, "SA_NODEFER SA_RESETHAND SA_ONSTACK", ""},
        {"RLIMIT_", FORMAT_ENUM, 0, "RLIMIT_NOFILE", "RLIMIT_NLIMITS"},
        {"CLOCK_", FORMAT_ENUM, 0, "CLOCK_REALTIME CLOCK_MONOTONIC",
                "CLOCK_DEFAULT CLOCK_EXT CLOCK_INT CLOCK_TXINT CLOCK_TXFROMRX"},
        {"EPOLL_", FORMAT_ENUM, 0, "", "EPOLL_CLOEXEC EPOLL_URING"},
        {"EPOLL", FORMAT_FLAGS, 0, "", "EPOLL_"},
        {"POLL", FORMAT_FLAGS, 0, "", "POLL_"},
        {"IN_", FORMAT_FLAGS, 0, "IN_CLOSE_WRITE IN_CLOSE_NOWRITE IN_MOVED_TO IN_MOVE_SELF",
                "IN_CLASS IN_LOOPBACK IN_MULTICAST"},
        {"PTRACE_", FORMAT_ENUM, 0, "PTRACE_TRACEME PTRACE_PEEKUSER PTRACE_POKEUSER",
                "PTRACE_O_ PTRACE_EVENT_ PTRACE_EVENTMSG_ PTRACE_SYSCALL_INFO_ PTRACE_PEEKSIGINFO_"},
        {"PR_", FORMAT_ENUM, 0, "", ""},
        {"W", FORMAT_FLAGS, 0, "WNOHANG WUNTRACED", ""},
        {"GRND_", FORMAT_FLAGS, 0, "", ""},
        {"MFD_", FORMAT_FLAGS, 0, "", ""},
        {"RENAME_", FORMAT_FLAGS, 0, "", ""},
        {"KIND_", FORMAT_ENUM, 0, "", ""}, /* what fd_kind() gives: bpf-templates/kinds.h */
        {"IORING_OP_", FORMAT_ENUM, 0, "", ""},
        {"BPF_MAP_TYPE_", FORMAT_ENUM, 0, "", ""},
        {"BPF_PROG_TYPE_", FORMAT_ENUM, 0, "", ""},
};

const struct family *family_find(const char *prefix)
{
	for (size_t i = 0; i < sizeof(FAMILIES) / sizeof(FAMILIES[0]); i++)
		if (!strcmp(FAMILIES[i].prefix, prefix))
			return &FAMILIES[i];
	return NULL;
}

/* Whether one of the words in `list` is `name`, or begins it. */
static bool in_list(const char *list, const char *name, bool whole)
{
	while (*list) {
		size_t n = strcspn(list, " ");
		if (!strncmp(list, name, n) && (!whole || !name[n]))
			return true;
		list += n + strspn(list + n, " ");
	}
	return false;
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);
	return n > m && !strcmp(name + n - m, end);
}

bool family_is_bound(const char *name)
{
	static const char *const ENDS[] = {"_MAX", "_MASK", "_SHIFT", "_LAST", "_NR", "_COUNT"};
	for (size_t i = 0; i < sizeof(ENDS) / sizeof(ENDS[0]); i++)
		if (ends_with(name, ENDS[i]))
			return true;
	return false;
}

const struct constant *family_run(const char *prefix, size_t *ret_n)
{
	size_t n, low = 0, len = strlen(prefix);
	const struct constant *table = constant_table(&n);
	for (size_t high = n; low < high;) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(table[middle].name, prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	size_t end = low;
	while (end < n && !strncmp(table[end].name, prefix, len))
		end++;
	*ret_n = end - low;
	return table + low;
}

bool family_prefers(const struct family *family, const char *name)
{
	return in_list(family->prefer, name, true);
}

bool family_skips(const struct family *family, const char *name)
{
	return in_list(family->skip, name, false);
}

void family_offer(struct nearest *nearest)
{
	for (size_t i = 0; i < sizeof(FAMILIES) / sizeof(FAMILIES[0]); i++)
		nearest_offer(nearest, FAMILIES[i].prefix);
}

/* Flags are bits: most values have one bit, and there are more of them than a short enumeration (0, 1, 2) would have.
 */
enum format_kind family_guess(const char *prefix)
{
	size_t n, bits = 0, others = 0, high = 0;
	const struct constant *run = family_run(prefix, &n);
	for (size_t i = 0; i < n; i++) {
		if (family_is_bound(run[i].name) || !run[i].value)
			continue;
		bool one = __builtin_popcountll((uint64_t)run[i].value) == 1;
		bits += one;
		others += !one;
		high += one && run[i].value > 4;
	}
	return high && bits > others ? FORMAT_FLAGS : FORMAT_ENUM;
}
