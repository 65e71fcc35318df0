return {
  probes = {
    { "syscall:scoket", fields = { "family" } },
  },
}
