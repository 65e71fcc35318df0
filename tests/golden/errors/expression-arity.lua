return {
  probes = { { "syscall:bind", fields = { "a = sockaddr(umyaddr)" } } },
}
