return {
  probes = {
    { "syscall:openat", hist = "filename" },
  },
}
