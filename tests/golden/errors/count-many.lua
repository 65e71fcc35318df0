local probes = {}
for i = 1, 17 do
  probes[i] = { "syscall:read", count = true, sum = "ret" }
end
return { probes = probes }
