return {
  probes = {
    { "syscall:read", sum = "elapsd" },
  },
}
