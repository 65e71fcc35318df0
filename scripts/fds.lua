-- Every way a descriptor comes to be and goes: what is in it, which open file it stands for, and who made it.
--
-- `op` says what happened: "new" is a new open file, "dup" another descriptor for one that is open already, "close" the
-- end of a descriptor. `file` is the address of the kernel's struct file: what is dup'ed or inherited has the same one,
-- and no two open files have it at the same time. A close is told before it happens, so that whoever gets the number next
-- comes later in the stream.

local function new(call)
  return {
    "syscall:" .. call,
    where = "ret >= 0",
    fields = { "op = 'new'", "fd = ret", "inode = fd_inode(ret)", "file = fd_file(ret)" },
    stack = "user",
  }
end

local function path(call)
  local probe = new(call)
  table.insert(probe.fields, "path = fd_path(ret)")
  return probe
end

local function pair(call, argument)
  return {
    "syscall:" .. call,
    where = "ret == 0",
    fields = { "op = 'new'", "fds = s32(" .. argument .. ", 2)", "inodes = fd_inode(fds)", "files = fd_file(fds)" },
    stack = "user",
  }
end

local function dup(call, from)
  return {
    "syscall:" .. call,
    where = "ret >= 0",
    fields = { "op = 'dup'", "fd = ret", "from = " .. from, "inode = fd_inode(ret)", "file = fd_file(ret)" },
    stack = "user",
  }
end

return {
  summary = "every way a descriptor comes to be and goes",
  probes = {
    {
      "syscall:socket",
      where = "ret >= 0",
      fields = {
        "op = 'new'",
        "fd = ret",
        "inode = fd_inode(ret)",
        "file = fd_file(ret)",
        { "family", as = "AF_" },
        { "type", as = "SOCK_" },
      },
      stack = "user",
    },
    pair("socketpair", "usockvec"),
    pair("pipe", "fildes"),
    pair("pipe2", "fildes"),
    new("accept"),
    new("accept4"),
    path("open"),
    path("openat"),
    path("openat2"),
    dup("dup", "fildes"),
    dup("dup2", "oldfd"),
    dup("dup3", "oldfd"),
    {
      "tracepoint:syscalls:sys_enter_close",
      where = "fd_file(fd)",
      fields = { "op = 'close'", "fd", "inode = fd_inode(fd)", "file = fd_file(fd)" },
    },
  },
}
