return {
  probes = {
    { "syscall:bind", fields = { "fd" "ret" } },
  },
}
