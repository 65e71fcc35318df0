-- Who creates Unix sockets, single and in pairs: descriptors, the inode numbers that /proc/PID/fd and ss show, stacks.
return {
  summary = "creation point of every Unix socket, single and in pairs",
  params = {
    { "type", "const:SOCK_", help = "only this type: stream, dgram, seqpacket" },
    { "inode", "u64[]", help = "only these inodes, the N of socket:[N]" },
    { "failed", "bool", help = "show failing calls too" },
  },
  probes = {
    {
      "syscall:socket",
      where = [[
        family == AF_UNIX && (!$type || (type & 0xf) == $type) && (ret >= 0 || $failed)
        && (!$inode || fd_inode(ret) in $inode)
      ]],
      fields = {
        "fd = ret",
        "inode = fd_inode(ret)",
        { "family", as = "AF_" },
        { "type", as = "SOCK_" },
        "protocol",
      },
      stack = "user",
    },
    {
      "syscall:socketpair",
      where = [[
        family == AF_UNIX && (!$type || (type & 0xf) == $type) && (ret == 0 || $failed)
        && (!$inode || fd_inode(s32(usockvec, 2)[0]) in $inode
          || fd_inode(s32(usockvec, 2)[1]) in $inode)
      ]],
      fields = {
        "fds = s32(usockvec, 2)",
        "inodes = fd_inode(fds)",
        { "family", as = "AF_" },
        { "type", as = "SOCK_" },
      },
      stack = "user",
    },
  },
}
