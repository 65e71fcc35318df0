-- What is counted: every kind, keys of numbers, text and the name of the probe, a condition that needs the entry, and a
-- probe that sends its events, too.
return {
  probes = {
    {
      "syscall:*read64",
      where = "elapsed > 1000 && count > 8",
      count = { by = { "probe", "comm", "file = entry(fd_inode(fd))" }, max = 100 },
      sum = { "ret", by = { "fd" } },
      avg = "elapsed",
      min = "ret",
      max = "pos",
      hist = { "elapsed", by = { "comm" } },
      lhist = { "ret", -8, 64, 8 },
    },
    {
      "syscall:openat",
      fields = { "filename" },
      count = { by = { "filename", "name = entry(str(filename, 32))", "failed = ret < 0" } },
    },
  },
}
