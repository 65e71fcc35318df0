return {
  probes = {
    { "syscall:read", sum = { "ret", by = { "value = fd" } } },
  },
}
