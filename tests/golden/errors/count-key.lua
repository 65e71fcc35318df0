return {
  probes = {
    { "syscall:read", count = { bye = { "comm" } } },
  },
}
