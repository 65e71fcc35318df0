return {
  probes = { { "syscall:openat", where = "str(filename) > 3" } },
}
