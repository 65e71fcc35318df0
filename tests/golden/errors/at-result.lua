return {
  probes = {
    { "syscall:close", at = "entry", where = "ret == 0" },
  },
}
