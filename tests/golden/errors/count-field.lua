return {
  probes = {
    { "syscall:read", fields = { "inode = fd_inode(fd)" }, count = { by = { "inode" } } },
  },
}
