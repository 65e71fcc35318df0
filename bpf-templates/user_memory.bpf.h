/* Reading the process's memory. What cannot be read leaves *ok false. */
#define USER_READER(type, wide)                                                                                         \
	INLINE wide user_##type(bool *ok, u64 from)                                                                     \
	{                                                                                                               \
		type value;                                                                                             \
		if (!bpf_probe_read_user(&value, sizeof(value), (const void *)from))                                    \
			return value;                                                                                   \
		*ok = false;                                                                                            \
		return 0;                                                                                               \
	}
USER_READER(s8, s64)
USER_READER(s16, s64)
USER_READER(s32, s64)
USER_READER(s64, s64)
USER_READER(u8, s64)
USER_READER(u16, s64)
USER_READER(u32, s64)
USER_READER(u64, u64)

INLINE void user_array(bool *ok, void *to, u32 size, u64 from)
{
	if (bpf_probe_read_user(to, size, (const void *)from))
		*ok = false;
}

INLINE char *user_text(bool *ok, void *to, u32 size, u64 from)
{
	if (bpf_probe_read_user_str(to, size, (const void *)from) < 0) {
		*(long_of_text *)to = 0;
		*ok = false;
	}
	return to;
}

/* A length, then that many bytes, at most `most`. */
INLINE void *user_bytes(bool *ok, void *to, u32 most, u64 from, u64 len)
{
	u32 n = len < most ? (u32)len : most;
	HIDE(n);
	if (n > most)
		n = most;
	*(word_of_text *)to = n;
	if (bpf_probe_read_user((char *)to + 4, n, (const void *)from)) {
		*(word_of_text *)to = 0;
		*ok = false;
	}
	return to;
}

/* A socket address of which nothing was given is not there. */
INLINE void *user_sockaddr(bool *ok, void *to, u64 from, u64 len)
{
	if (!from || !len || len > 0x7fffffff)
		*ok = false;
	return user_bytes(ok, to, 128, from, *ok ? len : 0);
}
