return {
  probes = {
    { "syscall:socketpair", count = { by = { "fds = s32(usockvec, 2)" } } },
  },
}
