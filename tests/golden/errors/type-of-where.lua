return {
  probes = {
    { "syscall:bind", where = true },
  },
}
