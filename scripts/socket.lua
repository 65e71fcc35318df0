-- Who creates sockets, and where: every socket(2) with the inode number that /proc/PID/fd and ss show, and its stack.
return {
  summary = "creation point of every socket",
  params = {
    { "family", "const:AF_", help = "only this family: unix, inet, inet6, netlink …" },
    { "type", "const:SOCK_", help = "only this type: stream, dgram, seqpacket, raw" },
    { "inode", "u64[]", help = "only these inodes, the N of socket:[N]" },
    { "failed", "bool", help = "show failing calls too" },
  },
  probes = {
    {
      "syscall:socket",
      where = [[
        (!$family || family == $family) && (!$type || (type & 0xf) == $type)
        && (ret >= 0 || $failed) && (!$inode || fd_inode(ret) in $inode)
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
  },
}
