return {
  probes = { { "syscall:bind", "syscall:socket" } },
}
