return {
  probes = {
    { "syscall:*mount", count = { by = { "flags" } } },
  },
}
