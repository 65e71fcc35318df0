/* fd_path(): begins the walk, and brings its result to the front. */
INLINE char *file_path(bool *ok, void *to, struct task_struct *task, u64 file)
{
	char *room = to;
	struct path_walk walk = {.at = PATH_TEXT - 1, .more = 1, .room = room};
	u64 root = FETCH(AT(u64, task, OFF_task_struct__fs)) + OFF_fs_struct__root;
	room[0] = 0;
	room[PATH_TEXT - 1] = 0;
	if (!file)
		return room;
	walk.dentry = kernel_pointer(file + OFF_file__f_path + OFF_path__dentry);
	walk.mount = kernel_pointer(file + OFF_file__f_path + OFF_path__mnt) - OFF_mount__mnt;
	walk.root_dentry = kernel_pointer(root + OFF_path__dentry);
	walk.root_mount = kernel_pointer(root + OFF_path__mnt) - OFF_mount__mnt;
	walk_up(&walk);
	if (walk.more) {
		*ok = false;
		return room;
	}
	u32 at = walk.at;
	HIDE(at);
	at &= PATH_TEXT - 1;
	if (at == PATH_TEXT - 1) { /* the root itself */
		room[0] = '/';
		room[1] = 0;
		return room;
	}
	bpf_probe_read_kernel_str(room, PATH_TEXT, room + at); /* downwards: the parts may overlap */
	return room;
}
