return {
  probes = {
    { "syscall:bind", were = "ret < 0" },
  },
}
