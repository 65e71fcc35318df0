return {
  probes = {
    { "syscall:read", count = { by = {} } },
  },
}
