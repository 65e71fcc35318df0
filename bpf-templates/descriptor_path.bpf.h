/* The path of an open file as its process sees it: from the file's name upwards, over mount points, to the process's root.
 * The path is put together from the end of its room and moved to the front. What has no path (a socket, a pipe) or does
 * not fit has none here, rather than half of one. */
enum { PATH_TEXT = 512, PATH_NAME = 256 };

INLINE u64 kernel_pointer(u64 from)
{
	u64 value = 0;
	bpf_probe_read_kernel(&value, sizeof(value), (const void *)from);
	return value;
}

struct path_walk {
	u64 dentry, mount; /* struct mount, of which the vfsmount is a part */
	u64 root_dentry, root_mount;
	char *room;
	u32 at;   /* where the path begins so far */
	s32 more; /* 1 = go on, 0 = at the root, -1 = there is no path */
};

/* Puts "/name" in front. */
INLINE bool prepend_name(struct path_walk *walk)
{
	u32 len = 0;
	u64 name = kernel_pointer(walk->dentry + OFF_dentry__d_name + OFF_qstr__name);
	bpf_probe_read_kernel(&len, sizeof(len), (const void *)(walk->dentry + OFF_dentry__d_name + OFF_qstr__len));
	if (!len || len >= PATH_NAME || len + 1 > walk->at)
		return false;
	u32 at = walk->at - len - 1;
	walk->at = at;
	HIDE(at);
	at &= PATH_TEXT - 1;
	walk->room[at] = '/';
	HIDE(len);
	len &= PATH_NAME - 1;
	return bpf_probe_read_kernel(walk->room + at + 1, len, (const void *)name) == 0;
}

/* One step up: what `more` is then. */
INLINE s32 step_up(struct path_walk *walk)
{
	if (walk->dentry == walk->root_dentry && walk->mount == walk->root_mount)
		return 0;
	if (walk->dentry == kernel_pointer(walk->mount + OFF_mount__mnt + OFF_vfsmount__mnt_root)) {
		u64 parent = kernel_pointer(walk->mount + OFF_mount__mnt_parent);
		if (!parent || parent == walk->mount)
			return walk->at < PATH_TEXT - 1 ? 0 : -1; /* outside the process's root, or no file system */
		walk->dentry = kernel_pointer(walk->mount + OFF_mount__mnt_mountpoint);
		walk->mount = parent;
		return 1;
	}
	if (!prepend_name(walk))
		return -1;
	walk->dentry = kernel_pointer(walk->dentry + OFF_dentry__d_parent);
	return 1;
}
