return {
  probes = {
    {
      "syscall:kcmp",
      fields = {
        "a = pid1 / pid2",
        "b = idx1 < pid1",
        "c = idx1 >> pid1 | 1 << 70",
        "d = (pid1 / pid2 > 1 || !pid2) ? idx1 : pid1 % 7",
        "e = pid1 in {1, 2, 1 << 3} && -1 < 18446744073709551615",
      },
    },
  },
}
