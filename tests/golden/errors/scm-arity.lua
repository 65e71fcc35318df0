return {
  probes = {
    { "syscall:recvmsg", fields = { "fds = scm_fds(msg, 1, 2)" } },
  },
}
