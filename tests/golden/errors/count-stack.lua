return {
  probes = {
    { "syscall:read", count = { by = { "ustack" } } },
  },
}
