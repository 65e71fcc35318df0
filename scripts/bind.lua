-- Who gives sockets an address, and where. Failing calls are shown too: "address already in use" is why one looks.
return {
  summary = "every bind(2): the address, the result, and where it was called",
  params = {
    { "family", "const:AF_", help = "only this family: unix, inet, inet6, netlink …" },
    { "inode", "u64[]", help = "only these sockets, the N of socket:[N]" },
    { "failed", "bool", help = "only failing calls" },
  },
  probes = {
    {
      "syscall:bind",
      where = "(!$family || fd_family(fd) == $family) && (!$failed || ret < 0) && (!$inode || fd_inode(fd) in $inode)",
      fields = {
        "fd",
        "inode = fd_inode(fd)",
        "addr = sockaddr(umyaddr, addrlen)",
        "ret",
        { "errno", as = "errno" },
      },
      stack = "user",
    },
  },
}
