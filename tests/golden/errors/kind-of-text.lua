return {
  probes = {
    { "syscall:close", fields = { "kind = fd_kind(comm)", "path = fd_path(s32(8, 2))" } },
  },
}
