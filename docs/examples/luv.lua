-- Traces a command from libuv's loop, and prints each socket pair that it makes. For lua5.4 and luajit with luv:
--
--     sudo lua5.4 luv.lua COMMAND…
local rille = require "rille"
local uv = require "luv"

-- The command waits behind a shell's `read` until it is traced.
local gate = uv.new_pipe(false)
local arguments = { "-c", 'read go; exec "$@"', "sh" }
for i = 1, #arg do
  arguments[#arguments + 1] = arg[i]
end
local child, pid = uv.spawn("/bin/sh", { args = arguments, stdio = { gate, 1, 2 } })
assert(child, pid)

local engine = rille.open {}
local session = engine:load("socketpair"):target_pid(pid)

session:on_event(function(ev)
  print(("%s %d fds=[%d,%d] inodes=[%d,%d]"):format(ev.comm, ev.pid, ev.fds[1], ev.fds[2], ev.inodes[1], ev.inodes[2]))
  print(ev:show("ustack"))
end)
session:attach()
gate:write("go\n")

local poll = uv.new_poll(engine:fd())
poll:start("r", function(failed)
  assert(not failed, failed)
  if engine:dispatch(0) == nil then -- the command has ended
    poll:close()
    gate:close()
    child:close()
  end
end)
uv.run()
engine:close()
