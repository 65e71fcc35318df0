return {
  sumary = "a typing error",
  probes = { { "syscall:bind" } },
}
