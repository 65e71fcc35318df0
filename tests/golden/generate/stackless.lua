return {
  probes = {
    { "syscall:socket", where = "family == AF_UNIX && ret >= 0", fields = { "fd = ret", { "type", as = "SOCK_" } } },
  },
}
