-- What a callback of the Lua module costs: reads each event's fields and adds them up.
--
--     module.lua FAMILY PID    says `ready`, ends with the process: `events=N cpu_ns=N`
local rille = require "rille"
local events, sum = 0, 0
local engine = rille.open {}
local session = engine:load {
  "syscall:socket",
  where = "family == " .. arg[1],
  fields = { "family", "type", "protocol", "ret" },
}
session:target_pid(tonumber(arg[2])):on_event(function(ev)
  sum = sum + ev.pid + ev.family + ev.type + ev.protocol + ev.ret
  events = events + 1
end)
session:attach()
io.stdout:write("ready\n")
io.stdout:flush()
local began = os.clock()
while engine:dispatch() do
end
print(("events=%d cpu_ns=%.0f sum=%.0f"):format(events, (os.clock() - began) * 1e9, sum))
