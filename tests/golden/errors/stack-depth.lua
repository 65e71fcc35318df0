return {
  probes = { { "syscall:bind", stack = { user = true, depth = 0 } } },
}
