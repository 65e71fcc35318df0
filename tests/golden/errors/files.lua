local f = io.open("/etc/passwd")
return { probes = { { "syscall:bind" } }, summary = f:read("a") }
