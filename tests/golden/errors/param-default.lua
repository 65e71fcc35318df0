return {
  params = { { "level", "u8", default = 256 } },
  probes = { { "syscall:bind" } },
}
