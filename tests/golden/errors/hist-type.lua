return {
  probes = {
    { "syscall:read", hist = 5 },
  },
}
