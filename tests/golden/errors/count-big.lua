return {
  probes = {
    { "syscall:read", count = { by = { "path = fd_path(fd)" } } },
  },
}
