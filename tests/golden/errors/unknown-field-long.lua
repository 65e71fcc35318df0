-- A place inside a long string, after its first line.
return {
  probes = {
    {
      "syscall:socket",
      where = [[
        family == AF_UNIX
          && tpye == SOCK_STREAM
      ]],
    },
  },
}
