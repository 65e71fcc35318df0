return {
  params = { { "family", "const:AF_", default = "unxi" } },
  probes = { { "syscall:bind" } },
}
