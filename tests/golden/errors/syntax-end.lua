return {
  probes = {
    { "syscall:bind" },
