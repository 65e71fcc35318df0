/* What a descriptor of the running task refers to: task → files → table → file. The table's array is bounded by max_fds;
 * an entry may be empty, or closed again by another thread since the call returned. */
INLINE u64 file_of(bool *ok, struct task_struct *task, s64 fd)
{
	u64 files = FETCH(AT(u64, task, OFF_task_struct__files));
	if (files) {
		u64 table = FETCH(AT(u64, files, OFF_files_struct__fdt));
		if (table && (u64)fd < FETCH(AT(u32, table, OFF_fdtable__max_fds))) {
			u64 array = FETCH(AT(u64, table, OFF_fdtable__fd)), file = 0;
			bpf_probe_read_kernel(&file, sizeof(file), (const void *)(array + (u64)fd * sizeof(file)));
			if (file)
				return file;
		}
	}
	*ok = false;
	return 0;
}

INLINE u64 fd_inode(bool *ok, struct task_struct *task, s64 fd)
{
	u64 file = file_of(ok, task, fd), inode = 0, number = 0;
	if (!file)
		return 0;
	if (bpf_probe_read_kernel(&inode, sizeof(inode), (const void *)(file + OFF_file__f_inode)) ||
	        bpf_probe_read_kernel(&number, sizeof(number), (const void *)(inode + OFF_inode__i_ino)))
		*ok = false;
	return number;
}
