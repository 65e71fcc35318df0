/* What kind of thing a file is: by its inode's mode, else by the file system that it is on, and on that of the anonymous
 * inodes by the name that /proc/PID/fd shows, of which eight bytes are enough. */
#define NAME8(a, b, c, d, e, f, g, h)                                                                                   \
	((u64)(a) | (u64)(b) << 8 | (u64)(c) << 16 | (u64)(d) << 24 | (u64)(e) << 32 | (u64)(f) << 40 |                 \
	        (u64)(g) << 48 | (u64)(h) << 56)

INLINE s64 anonymous_kind(u64 name)
{
	switch (name) {
	case NAME8('[', 'e', 'v', 'e', 'n', 't', 'p', 'o'):
		return KIND_EPOLL;
	case NAME8('[', 'e', 'v', 'e', 'n', 't', 'f', 'd'):
		return KIND_EVENTFD;
	case NAME8('[', 't', 'i', 'm', 'e', 'r', 'f', 'd'):
		return KIND_TIMERFD;
	case NAME8('[', 's', 'i', 'g', 'n', 'a', 'l', 'f'):
		return KIND_SIGNALFD;
	case NAME8('i', 'n', 'o', 't', 'i', 'f', 'y', 0):
		return KIND_INOTIFY;
	case NAME8('[', 'f', 'a', 'n', 'o', 't', 'i', 'f'):
		return KIND_FANOTIFY;
	case NAME8('[', 'p', 'i', 'd', 'f', 'd', ']', 0): /* before 6.9 */
		return KIND_PIDFD;
	case NAME8('[', 'i', 'o', '_', 'u', 'r', 'i', 'n'):
		return KIND_IO_URING;
	case NAME8('[', 'p', 'e', 'r', 'f', '_', 'e', 'v'):
		return KIND_PERF;
	case NAME8('[', 'u', 's', 'e', 'r', 'f', 'a', 'u'):
		return KIND_USERFAULTFD;
	case NAME8('[', 'f', 's', 'c', 'o', 'n', 't', 'e'):
		return KIND_MOUNT;
	case NAME8('[', 'l', 'a', 'n', 'd', 'l', 'o', 'c'):
		return KIND_LANDLOCK;
	case NAME8('s', 'e', 'c', 'c', 'o', 'm', 'p', ' '):
		return KIND_SECCOMP;
	}
	name <<= 8 * (8 - 3); /* bpf-map, bpf-prog, bpf_link, bpf_iter, btf */
	if (name == NAME8(0, 0, 0, 0, 0, 'b', 'p', 'f') || name == NAME8(0, 0, 0, 0, 0, 'b', 't', 'f'))
		return KIND_BPF;
	return KIND_OTHER;
}

/* A name without a place in the tree: nobody can have given a file in a directory the name of a memfd. */
INLINE bool is_memfd(u64 dentry, u64 name)
{
	return (name & 0xffffffffffff) == NAME8('m', 'e', 'm', 'f', 'd', ':', 0, 0) &&
	       FETCH(AT(u64, dentry, OFF_dentry__d_parent)) == dentry;
}

INLINE s64 kind_by_name(u64 file, u64 inode)
{
	enum {
		ANON_INODE_FS = 0x09041934,
		PID_FS = 0x50494446,
		MQUEUE_FS = 0x19800202,
		SECRETMEM_FS = 0x5345434d,
	};
	u64 magic = FETCH(AT(u64, FETCH(AT(u64, inode, OFF_inode__i_sb)), OFF_super_block__s_magic)), name;
	u64 dentry = FETCH(AT(u64, file, OFF_file__f_path + OFF_path__dentry));
	u64 from = FETCH(AT(u64, dentry, OFF_dentry__d_name + OFF_qstr__name));
	if (magic == PID_FS)
		return KIND_PIDFD;
	if (magic == MQUEUE_FS)
		return KIND_MQUEUE;
	if (magic == SECRETMEM_FS)
		return KIND_MEMFD;
	char text[16] ALIGNED = {0};
	bpf_probe_read_kernel_str(text, sizeof(text), (const void *)from);
	name = *(long_of_text *)text;
	if (magic == ANON_INODE_FS)
		return anonymous_kind(name);
	return is_memfd(dentry, name) ? KIND_MEMFD : KIND_FILE;
}

/* -1: nothing is there. A function that is not static is verified once, however many call it. */
__attribute__((noinline)) s64 rille_file_kind(u64 file)
{
	enum { S_IFMT = 0170000 };
	u64 inode = FETCH(AT(u64, file, OFF_file__f_inode));
	u16 mode = 0;
	if (bpf_probe_read_kernel(&mode, sizeof(mode), (const void *)(inode + OFF_inode__i_mode)))
		return -1;
	switch (mode & S_IFMT) {
	case 0140000:
		return KIND_SOCKET;
	case 0010000:
		return KIND_PIPE;
	case 0040000:
		return KIND_DIRECTORY;
	case 0020000:
	case 0060000:
		return KIND_DEVICE;
	case 0120000:
		return KIND_SYMLINK;
	}
	return kind_by_name(file, inode);
}

INLINE s64 file_kind(bool *ok, u64 file)
{
	s64 kind = rille_file_kind(file);
	if (kind < 0)
		*ok = false;
	return kind;
}
