return {
  probes = {
    { "syscall:*dup*", fields = { "ret" } },
    { "syscall:dup[23]", fields = { "old = oldfd" } },
  },
}
