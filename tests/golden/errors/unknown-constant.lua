return {
  probes = { { "syscall:socket", where = "family == AF_UNX" } },
}
