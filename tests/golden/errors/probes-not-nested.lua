return {
  { "syscall:bind", fields = { "fd" } },
}
