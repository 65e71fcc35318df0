return {
  probes = {
    { "syscall:read", lhist = { "ret", 100, 0, 10 } },
  },
}
