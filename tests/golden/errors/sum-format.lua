return {
  probes = {
    { "syscall:read", sum = { "ret", as = "byte" } },
  },
}
