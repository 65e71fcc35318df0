return {
  probes = {
    { "syscall:read", cout = true },
  },
}
