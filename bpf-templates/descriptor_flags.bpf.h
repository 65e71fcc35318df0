/* The flags of a descriptor, as /proc/PID/fdinfo shows them: those of the open file, and O_CLOEXEC, which is the
 * descriptor's own and a bit in the table. */
INLINE s64 fd_flags(bool *ok, struct task_struct *task, s64 fd)
{
	enum { O_CLOEXEC = 02000000 };
	u64 file = file_of(ok, task, fd), word = 0;
	if (!file)
		return 0;
	u64 table = FETCH(AT(u64, FETCH(AT(u64, task, OFF_task_struct__files)), OFF_files_struct__fdt));
	u64 bits = FETCH(AT(u64, table, OFF_fdtable__close_on_exec));
	u32 flags = FETCH(AT(u32, file, OFF_file__f_flags)) & ~O_CLOEXEC;
	if (bpf_probe_read_kernel(&word, sizeof(word), (const void *)(bits + (u64)fd / 64 * sizeof(word))))
		*ok = false;
	return flags | (word >> (fd & 63) & 1 ? O_CLOEXEC : 0);
}
