-- Who creates pairs of connected sockets: both descriptors, both inode numbers, and the stack.
return {
  summary = "creation point of every socket pair",
  params = {
    { "family", "const:AF_", help = "only this family; nearly all pairs are unix" },
    { "type", "const:SOCK_", help = "only this type: stream, dgram, seqpacket" },
    { "inode", "u64[]", help = "only pairs with one of these inodes, the N of socket:[N]" },
    { "failed", "bool", help = "show failing calls too" },
  },
  probes = {
    {
      "syscall:socketpair",
      where = [[
        (!$family || family == $family) && (!$type || (type & 0xf) == $type) && (ret == 0 || $failed)
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
