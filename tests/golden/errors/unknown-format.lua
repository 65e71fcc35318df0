return {
  probes = { { "syscall:socket", fields = { { "family", as = "AFF_" } } } },
}
