return {
  probes = {
    { "syscall:close", at = "entry", fields = { "inode = entry(fd_inode(fd))" } },
  },
}
