-- Traces a command, and prints each socket pair that it makes, with a probe declared as a table. For luajit:
--
--     sudo luajit luajit.lua COMMAND…
local rille = require "rille"
local ffi = require "ffi"

ffi.cdef [[
int pipe(int fds[2]);
int fork(void);
int close(int fd);
long read(int fd, void *buffer, unsigned long size);
long write(int fd, const void *buffer, unsigned long size);
int execvp(const char *file, const char *const argv[]);
void _exit(int status);
]]

-- Starts the command; it waits for a byte until it is traced.
local function start(command)
  local gate = ffi.new("int[2]")
  assert(ffi.C.pipe(gate) == 0)
  local argv = ffi.new("const char *[?]", #command + 1)
  for i, word in ipairs(command) do
    argv[i - 1] = word
  end
  local pid = ffi.C.fork()
  if pid == 0 then
    ffi.C.close(gate[1])
    if ffi.C.read(gate[0], ffi.new("char[1]"), 1) == 1 then
      ffi.C.close(gate[0])
      ffi.C.execvp(argv[0], argv)
    end
    ffi.C._exit(127)
  end
  ffi.C.close(gate[0])
  return pid, function()
    ffi.C.write(gate[1], "g", 1)
    ffi.C.close(gate[1])
  end
end

local pid, go = start(arg)
local engine = rille.open {}
local session = engine:load {
  "syscall:socketpair",
  where = "ret == 0",
  fields = { "fds = s32(usockvec, 2)", "inodes = fd_inode(fds)", { "family", as = "AF_" } },
  stack = "user",
  on_event = function(ev)
    -- ev.time is beyond what a double holds: it is an int64_t, exact.
    print(rille.time(ev.time), ev.comm, ev:show("fds"), ev:show("inodes"), ev:show("family"))
    for _, frame in ipairs(ev.ustack) do
      print("", rille.frame(frame))
    end
  end,
}
session:target_pid(pid):attach()
go()
while engine:dispatch() do -- waits; nil once the command has ended
end
engine:close()
