return {
  probes = {
    { "syscall:close", optional = "yes" },
  },
}
