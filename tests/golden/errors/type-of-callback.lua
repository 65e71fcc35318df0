return {
  probes = { { "syscall:bind" } },
  on_end = "print",
}
