return {
  probes = {
    { "syscall:read", hist = { by = { "comm" } } },
  },
}
