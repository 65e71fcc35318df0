return {
  probes = {
    { "syscall:read", count = { by = { "comm", "fd % 8" } } },
  },
}
