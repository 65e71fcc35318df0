return {
  probes = {
    { "syscall:close", where = "has(comm)" },
  },
}
