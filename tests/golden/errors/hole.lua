return {
  probes = { { "syscall:bind", fields = { "fd", nil, "ret" } } },
}
