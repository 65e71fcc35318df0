return {
  probes = {
    { "syscall:read", count = { "ret", by = { "comm" } } },
  },
}
