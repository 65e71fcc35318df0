/* The flags of a descriptor, as /proc/PID/fdinfo shows them: those of the open file, and O_CLOEXEC, which is the
 * descriptor's own and a bit in the table. -1: there is none. Verified once, however many call it. */
__attribute__((noinline)) s64 rille_fd_flags(s64 fd)
{
	enum { O_CLOEXEC = 02000000 };
	bool ok = true;
	struct task_struct *task = current_task();
	u64 file = file_of(&ok, fd);
	u64 table = FETCH(AT(u64, FETCH(AT(u64, task, OFF_task_struct__files)), OFF_files_struct__fdt));
	u64 bits = FETCH(AT(u64, table, OFF_fdtable__close_on_exec)), word = 0;
	u32 flags = FETCH(AT(u32, file, OFF_file__f_flags)) & ~O_CLOEXEC;
	if (bpf_probe_read_kernel(&word, sizeof(word), (const void *)(bits + (u64)fd / 64 * sizeof(word))) || !ok)
		return -1;
	return flags | (word >> (fd & 63) & 1 ? O_CLOEXEC : 0);
}

INLINE s64 fd_flags(bool *ok, s64 fd)
{
	s64 flags = *ok ? rille_fd_flags(fd) : -1;
	if (flags < 0)
		*ok = false;
	return flags;
}
