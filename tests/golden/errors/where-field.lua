return {
  probes = {
    { "syscall:socket", where = "inode != 5", fields = { "inode = fd_inode(ret)" } },
  },
}
