/* What a descriptor of the running task refers to: task → files → table → file. The table's array is bounded by max_fds;
 * an entry may be empty, or closed again by another thread since the call returned.
 *
 * A read at an address that is none fails and gives 0, so one test at the end does for all of them; and a function that is
 * not static is verified once, however many call it. */
__attribute__((noinline)) u64 rille_file_of(s64 fd)
{
	struct task_struct *task = current_task();
	u64 files = FETCH(AT(u64, task, OFF_task_struct__files)), file = 0;
	u64 table = FETCH(AT(u64, files, OFF_files_struct__fdt));
	u64 array = FETCH(AT(u64, table, OFF_fdtable__fd));
	if ((u64)fd < FETCH(AT(u32, table, OFF_fdtable__max_fds)))
		bpf_probe_read_kernel(&file, sizeof(file), (const void *)(array + (u64)fd * sizeof(file)));
	return file;
}

/* Of a descriptor that has no value there is nothing to look up. */
INLINE u64 file_of(bool *ok, s64 fd)
{
	u64 file = *ok ? rille_file_of(fd) : 0;
	if (!file)
		*ok = false;
	return file;
}

SHARED u64 file_inode(bool *ok, u64 file)
{
	u64 inode = 0, number = 0;
	bpf_probe_read_kernel(&inode, sizeof(inode), (const void *)(file + OFF_file__f_inode));
	if (bpf_probe_read_kernel(&number, sizeof(number), (const void *)(inode + OFF_inode__i_ino)))
		*ok = false;
	return number;
}
