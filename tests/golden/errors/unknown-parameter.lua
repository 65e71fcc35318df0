return {
  params = { { "inode", "u64[]" } },
  probes = { { "syscall:socket", where = "fd_inode(ret) in $inodes" } },
}
