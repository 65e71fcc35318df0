return {
  probes = { { "syscall:bind", fields = { "fd", "pid = fd" } } },
}
