-- Of several mistakes the first in the file is reported.
return {
  probes = {
    {
      "syscall:bind",
      zzz = 1,
      stak = "user",
      aaa = 2,
    },
  },
}
