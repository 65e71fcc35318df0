return {
  probes = {
    {
      "syscall:socket",
      where = "famly == AF_UNIX",
    },
  },
}
