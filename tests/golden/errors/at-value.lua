return {
  probes = {
    { "syscall:close", at = "enter" },
  },
}
