return {
  probes = {
    { "syscall:read", sum = { "ret", max = 100 } },
  },
}
