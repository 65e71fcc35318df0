/* Reading kernel memory that a script asked for. What cannot be read leaves *ok false. */
#define KERNEL_READER(type, wide)                                                                                       \
	INLINE wide kernel_##type(bool *ok, u64 from)                                                                   \
	{                                                                                                               \
		type value;                                                                                             \
		if (!bpf_probe_read_kernel(&value, sizeof(value), (const void *)from))                                  \
			return value;                                                                                   \
		*ok = false;                                                                                            \
		return 0;                                                                                               \
	}
KERNEL_READER(s8, s64)
KERNEL_READER(s16, s64)
KERNEL_READER(s32, s64)
KERNEL_READER(s64, s64)
KERNEL_READER(u8, s64)
KERNEL_READER(u16, s64)
KERNEL_READER(u32, s64)
KERNEL_READER(u64, u64)

INLINE char *kernel_text(bool *ok, void *to, u32 size, u64 from)
{
	if (bpf_probe_read_kernel_str(to, size, (const void *)from) < 0) {
		*(long_of_text *)to = 0;
		*ok = false;
	}
	return to;
}

INLINE void *kernel_bytes(bool *ok, void *to, u32 most, u64 from, u32 len)
{
	u32 n = len < most ? len : most;
	HIDE(n);
	if (n > most)
		n = most;
	*(word_of_text *)to = n;
	if (bpf_probe_read_kernel((char *)to + 4, n, (const void *)from)) {
		*(word_of_text *)to = 0;
		*ok = false;
	}
	return to;
}
