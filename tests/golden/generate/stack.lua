return {
  params = { { "inode", "u64[]" }, { "failed", "bool" } },
  probes = {
    {
      "syscall:socketpair",
      where = "(ret == 0 || $failed) && (!$inode || fd_inode(s32(usockvec, 2)[0]) in $inode)",
      fields = { "fds = s32(usockvec, 2)", "inodes = fd_inode(fds)", "first = fds[0]" },
      stack = "both",
    },
  },
}
