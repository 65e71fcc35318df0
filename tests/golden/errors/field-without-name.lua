return {
  probes = { { "syscall:bind", fields = { "fd + 1" } } },
}
