return {
  probes = { { "syscall:*nothing_like_this*" } },
}
