local names = nil

local function probe(name)
  return { "syscall:" .. names[name] }
end

return { probes = { probe("bind") } }
