local probes = { { "syscall:bind" } }
print(probes)
