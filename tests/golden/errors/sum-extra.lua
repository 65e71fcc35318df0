return {
  probes = {
    { "syscall:read", sum = { "ret", "fd" } },
  },
}
