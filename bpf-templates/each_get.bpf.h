/* Of the descriptors those that `want` says: which have a value. */
INLINE u64 each_of(struct task_struct *task, const s32 *fds, u64 want, u64 *to, bool inode)
{
	u64 files = FETCH(AT(u64, task, OFF_task_struct__files));
	u64 table = FETCH(AT(u64, files, OFF_files_struct__fdt));
	struct each each;
	UNKNOWN_ZEROS(each);
	each.array = FETCH(AT(u64, table, OFF_fdtable__fd));
	each.max = FETCH(AT(u32, table, OFF_fdtable__max_fds));
	each.fds = fds;
	each.to = to;
	each.want = want;
	each.inode = inode;
	each_run(&each);
	return each.got;
}

INLINE u64 each_file(struct task_struct *task, const s32 *fds, u64 want, u64 *to)
{
	return each_of(task, fds, want, to, false);
}

INLINE u64 each_inode(struct task_struct *task, const s32 *fds, u64 want, u64 *to)
{
	return each_of(task, fds, want, to, true);
}
