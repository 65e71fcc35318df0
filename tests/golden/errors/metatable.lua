local base = { fields = { "fd" } }
return {
  probes = { setmetatable({ "syscall:bind" }, { __index = base }) },
}
