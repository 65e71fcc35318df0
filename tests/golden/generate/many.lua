-- More probes with the same code than are worth a case each.
return { probes = { { "syscall:get*id", fields = { "ret" } } } }
