return {
  probes = {
    { "syscall:read", lhist = { "ret", 0, 100 } },
  },
}
