-- At a call's entry, an open file looked up once, a list of descriptors whose length is known at run time, an address.
return {
  probes = {
    {
      "syscall:close",
      at = "entry",
      where = "has(fd_file(fd))",
      fields = {
        "fd",
        "file = fd_file(fd)",
        { "kind", "fd_kind(file)", as = "KIND_" },
        "inode = fd_inode(file)",
        { "flags", "fd_flags(fd)", as = "O_" },
      },
    },
    {
      "syscall:recvmsg",
      where = "scm_count(msg) > 0 && scm_fds(msg)[0] > 2",
      fields = { "fds = scm_fds(msg)", "files = fd_file(fds)", "address = uptr(kptr(fd_file(args.fd), 'file')->f_op)" },
    },
    { "tracepoint:sched:nothing", optional = true },
  },
}
