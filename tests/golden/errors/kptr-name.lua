return {
  probes = {
    { "syscall:close", fields = { "n = kptr(1, fd)->pid" } },
  },
}
