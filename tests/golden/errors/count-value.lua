return {
  probes = {
    { "syscall:read", count = "comm" },
  },
}
