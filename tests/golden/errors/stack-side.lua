return {
  probes = { { "syscall:bind", stack = "usr" } },
}
