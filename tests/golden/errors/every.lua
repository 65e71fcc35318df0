return {
  probes = { { "syscall:bind" } },
  every = { 0, function() end },
}
