return {
  probes = {
    {
      "syscall:read",
      where = "fd > 2 && comm != 'x' && elapsed > 1000 && entry(count) > 1",
      fields = { "elapsed", "asked = entry(count)", "got = ret" },
    },
    { "syscall:execve", fields = { "filename", "ret" } },
  },
}
