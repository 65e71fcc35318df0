return {
  probes = {
    { "syscall:read", lhist = "ret" },
  },
}
