return {
  probes = { { "syscall:socket", fields = { "inode = fd_inod(ret)" } } },
}
