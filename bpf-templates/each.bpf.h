/* The open files, or the inodes, of the descriptors that scm_fds() found: the table is found once, and what the verifier
 * looks at is one descriptor. */
enum { EACH_MOST = 32 };

struct each {
	u64 array; /* the table's */
	u32 max;   /* its length */
	const s32 *fds;
	u64 *to;
	u64 want, got; /* bit i: descriptor i is there; has a value */
	bool inode;
};

INLINE void each_step(u32 i, struct each *each)
{
	bool ok = false;
	u64 file = 0;
	HIDE(i);
	i &= EACH_MOST - 1;
	if (!(each->want >> i & 1))
		return;
	s64 fd = each->fds[i];
	if ((u64)fd < each->max)
		bpf_probe_read_kernel(&file, sizeof(file), (const void *)(each->array + (u64)fd * sizeof(file)));
	ok = file != 0;
	each->to[i] = each->inode ? file_inode(&ok, file) : file;
	each->got |= (u64)ok << i;
}
