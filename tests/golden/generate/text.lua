return {
  params = { { "pattern", "string" } },
  probes = {
    {
      "syscall:openat",
      where = "filename ~ '*.so' || filename ~ 'a*' || filename == 'abcdefghijk' || filename ~ $pattern",
      fields = { "filename", "short = str(args.filename, 8)", "c = comm", "name = probe", "what = 'text'" },
    },
  },
}
