/* The address family of a socket. Only a socket's file has a struct socket behind it. */
INLINE s64 file_family(bool *ok, u64 file)
{
	enum { S_IFMT = 0170000, S_IFSOCK = 0140000 };
	u64 inode = 0, socket = 0, sock = 0;
	u16 mode = 0, family = 0;
	if (!file || bpf_probe_read_kernel(&inode, sizeof(inode), (const void *)(file + OFF_file__f_inode)) ||
	        bpf_probe_read_kernel(&mode, sizeof(mode), (const void *)(inode + OFF_inode__i_mode)) ||
	        (mode & S_IFMT) != S_IFSOCK ||
	        bpf_probe_read_kernel(&socket, sizeof(socket), (const void *)(file + OFF_file__private_data)) ||
	        bpf_probe_read_kernel(&sock, sizeof(sock), (const void *)(socket + OFF_socket__sk)) ||
	        bpf_probe_read_kernel(&family, sizeof(family),
	                (const void *)(sock + OFF_sock____sk_common + OFF_sock_common__skc_family)))
		*ok = false;
	return family;
}
