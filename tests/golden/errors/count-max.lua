return {
  probes = {
    { "syscall:read", count = { by = { "comm" }, max = 0 } },
  },
}
