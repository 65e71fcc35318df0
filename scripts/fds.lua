-- Every way a descriptor comes to be and goes: what it stands for, and who made it.
--
-- `op` says what happened:
--   new      a new open file: `fd`, or `fds` (a pair)
--   dup      a descriptor for a file that is open already: a copy of `from`, or received; what was in `fd` is closed
--   close    the end of a descriptor
--   range    of those from `first` to `last`; with CLOSE_RANGE_CLOEXEC in `flags` not now, but at the next exec
--   note     what is told of a socket later (bind, listen, connect), and a changed `cloexec`
--   fork     `child` has a copy of the table of descriptors, or (`shared`) the same table
--   unshare  the thread has a copy of the table that it shared before
--   exec     those with `cloexec` are gone
--   exit     all are
--   submit   an operation of io_uring that will make a descriptor: the "new" that follows with the same `req` (if that
--            is 0, with the same `ring` and `user_data`) comes from the stack that is here
--
-- `file` is the address of the kernel's struct file: what is dup'ed, inherited or sent has the same one, and no two
-- files that are open at a time. Most events are told when the call has returned; a close when it begins, so that
-- whoever gets the number next comes later.

local WANTED = "(!$kinds || fd_kind(%s) in $kinds)"

local function wanted(condition, fd)
  return condition .. " && " .. WANTED:format(fd)
end

-- The fields of an event about `fd`, an expression, and those of its own.
local function fields(op, fd, more)
  local list = {
    "op = '" .. op .. "'",
    fd == "fd" and "fd" or "fd = " .. fd,
    "file = fd_file(fd)",
    { "kind", "fd_kind(file)", as = "KIND_" },
    "inode = fd_inode(file)",
    { "flags", "fd_flags(fd)", as = "O_" },
    "cloexec = (flags & O_CLOEXEC) != 0",
  }
  return table.move(more or {}, 1, #(more or {}), #list + 1, list)
end

-- A call that returns a descriptor.
local function new(call, more, condition)
  return {
    "syscall:" .. call,
    where = wanted(condition or "ret >= 0", "ret"),
    fields = fields("new", "ret", more),
    stack = "user",
    optional = true,
  }
end

-- A call that leaves a descriptor in memory. (clone() returns twice, in the child with 0.)
local function left(call, at, condition)
  return {
    "syscall:" .. call,
    where = wanted(condition, "s32(" .. at .. ")"),
    fields = fields("new", "s32(" .. at .. ")"),
    stack = "user",
  }
end

local function pair_fields(at, more)
  local list = {
    "op = 'new'",
    "fds = s32(" .. at .. ", 2)",
    "files = fd_file(fds)",
    { "kind", "fd_kind(fds[0])", as = "KIND_" },
    "inodes = fd_inode(fds)",
    { "flags", "fd_flags(fds[0])", as = "O_" },
    "cloexec = (flags & O_CLOEXEC) != 0",
  }
  return table.move(more or {}, 1, #(more or {}), #list + 1, list)
end

local function pair(call, at, more)
  return {
    "syscall:" .. call,
    where = wanted("ret == 0", "s32(" .. at .. ")"),
    fields = pair_fields(at, more),
    stack = "user",
    optional = true,
  }
end

local function dup(call, from, condition)
  return {
    "syscall:" .. call,
    where = wanted(condition or "ret >= 0", "ret"),
    fields = fields("dup", "ret", { from }),
    stack = "user",
    optional = true,
  }
end

-- The descriptors that came with a message, of which the first is looked at to know the kind.
local function brought(messages)
  return {
    "op = 'dup'",
    "fds = scm_fds(" .. messages .. ")",
    "files = fd_file(fds)",
    "inodes = fd_inode(fds)",
    "count = scm_count(" .. messages .. ")",
  }
end

local function received(call, messages)
  return {
    "syscall:" .. call,
    where = wanted("ret >= 0 && scm_count(" .. messages .. ") > 0", "scm_fds(" .. messages .. ")[0]"),
    fields = brought(messages),
    stack = "user",
  }
end

-- What happens to a descriptor that stays.
local function note(call, condition, more)
  return {
    "syscall:" .. call,
    where = wanted("$notes && " .. condition, "args.fd"),
    fields = fields("note", "args.fd", more),
  }
end

local probes = {
  new("socket", { { "family", as = "AF_" }, { "type", as = "SOCK_" } }),
  new("accept", { "listener = args.fd", "addr" }),
  new("accept4", { "listener = args.fd", "addr" }),
  new("signalfd", nil, "ret >= 0 && ufd == -1"),
  new("signalfd4", nil, "ret >= 0 && ufd == -1"),
  new(
    "bpf",
    nil,
    [[ret > 0 && cmd in { BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_OBJ_GET, BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID,
      BPF_RAW_TRACEPOINT_OPEN, BPF_BTF_LOAD, BPF_BTF_GET_FD_BY_ID, BPF_LINK_CREATE, BPF_LINK_GET_FD_BY_ID,
      BPF_ENABLE_STATS, BPF_ITER_CREATE, 36 }]] -- BPF_TOKEN_CREATE
  ),
  new("seccomp", nil, "ret >= 0 && op == SECCOMP_SET_MODE_FILTER && flags & SECCOMP_FILTER_FLAG_NEW_LISTENER"),
  new(
    "ioctl",
    nil,
    [[ret >= 0 && cmd in { TIOCGPTPEER, NS_GET_USERNS, NS_GET_PARENT, USERFAULTFD_IOC_NEW, KVM_CREATE_VM,
      KVM_CREATE_VCPU }]]
  ),
  left("clone", "parent_tidptr", "ret > 0 && clone_flags & CLONE_PIDFD"),
  left("clone3", "u64(uargs + 8)", "ret > 0 && u64(uargs) & CLONE_PIDFD"),
  left("getsockopt", "optval", "ret == 0 && level == SOL_SOCKET && optname == 77"), -- SO_PEERPIDFD
  pair("socketpair", "usockvec", { { "family", as = "AF_" }, { "type", as = "SOCK_" } }),
  pair("pipe", "fildes"),
  pair("pipe2", "fildes"),
  dup("dup", "from = fildes"),
  dup("dup2", "from = oldfd", "ret >= 0 && oldfd != newfd"),
  dup("dup3", "from = oldfd"),
  dup("fcntl", "from = args.fd", "ret >= 0 && cmd in { F_DUPFD, F_DUPFD_CLOEXEC }"),
  dup("pidfd_getfd", "there = args.fd"), -- a number of another process
  received("recvmsg", "msg"),
  received("recvmmsg", "mmsg, ret"),
  note("bind", "ret == 0", { "addr" }),
  note("connect", "ret == 0 || errno == EINPROGRESS", { "addr" }),
  note("listen", "ret == 0"),
  note("fcntl", "ret == 0 && cmd == F_SETFD"),
  note("ioctl", "ret == 0 && cmd in { FIOCLEX, FIONCLEX }"),
  {
    "syscall:close",
    at = "entry",
    where = wanted("fd_file(args.fd)", "args.fd"),
    fields = {
      "op = 'close'",
      "fd",
      "file = fd_file(fd)",
      { "kind", "fd_kind(file)", as = "KIND_" },
      "inode = fd_inode(file)",
    },
  },
  {
    "syscall:close_range",
    at = "entry",
    where = "$processes && fd <= max_fd",
    fields = { "op = 'range'", "first = fd", "last = max_fd", { "flags", as = "CLOSE_RANGE_" } },
  },
  {
    "syscall:unshare",
    where = "$processes && ret == 0 && unshare_flags & CLONE_FILES",
    fields = { "op = 'unshare'" },
  },
  {
    "tracepoint:task:task_newtask",
    where = "$processes && (!(clone_flags & CLONE_THREAD) || !(clone_flags & CLONE_FILES))",
    fields = { "op = 'fork'", "child = args.pid", "shared = (clone_flags & CLONE_FILES) != 0" },
  },
  {
    "tracepoint:sched:sched_process_exec",
    where = "$processes",
    fields = { "op = 'exec'", "filename" },
  },
  {
    "tracepoint:sched:sched_process_exit",
    where = "$processes && task->signal->live->counter == 0",
    fields = { "op = 'exit'" },
  },
}

-- Calls that differ in nothing that is told share their code.
local plain = [[
  epoll_create epoll_create1 eventfd eventfd2 fanotify_init fsopen fspick inotify_init inotify_init1 io_uring_setup
  landlock_create_ruleset memfd_create memfd_secret mq_open perf_event_open pidfd_open timerfd_create userfaultfd
]]
for call in plain:gmatch("%S+") do
  table.insert(probes, new(call))
end
for call in ("creat fsmount open open_by_handle_at open_tree open_tree_attr openat openat2"):gmatch("%S+") do
  table.insert(probes, new(call, { "path = fd_path(file)" }))
end

-- io_uring. The descriptor is in the completion (`res`), often told by another thread; the stack is that of the
-- submission (of a ring that a thread of the kernel polls there is none). What goes into the ring's own table, a direct
-- descriptor, is no descriptor. An accept that goes on has completions without a request: they are told from others by
-- what was submitted under that number, which is looked up here.
local SLOTS = {
  "opcode == IORING_OP_ACCEPT ? kptr(req, 'io_accept')->file_slot",
  "opcode == IORING_OP_SOCKET ? kptr(req, 'io_socket')->file_slot",
  "opcode in { IORING_OP_OPENAT, IORING_OP_OPENAT2 } ? kptr(req, 'io_open')->file_slot",
}
local RECVMSG, FIXED_FD_INSTALL, PIPE, MORE = 10, 54, 62, 2 -- some are newer than the headers that name the others
local MOST = 100000
local accepting, naccepting = {}, 0

local function ring_key(ev)
  return ("%x/%x"):format(ev.ring, ev.user_data)
end

local function set_accepting(ev, value)
  local key = ring_key(ev)
  if naccepting >= MOST then -- accepts that failed are never heard of again
    accepting, naccepting = {}, 0
  end
  naccepting = naccepting + (value and 1 or 0) - (accepting[key] and 1 or 0)
  accepting[key] = value
end

-- Whether an operation can make what is wanted.
local function may_make(opcodes, kinds)
  local wanted_kinds = {}
  for kind in kinds:gmatch("%S+") do
    table.insert(wanted_kinds, "KIND_" .. kind .. " in $kinds")
  end
  return "opcode in {" .. opcodes .. "} && (!$kinds || " .. table.concat(wanted_kinds, " || ") .. ")"
end

-- The tracepoint's name is another one since Linux 6.4.
local function submit(condition, on_event)
  for name in ("io_uring_submit_req io_uring_submit_sqe"):gmatch("%S+") do
    table.insert(probes, {
      "tracepoint:io_uring:" .. name,
      where = condition,
      fields = { "op = 'submit'", { "opcode", as = "IORING_OP_" }, "req", "ring = ctx", "user_data" },
      stack = "user",
      on_event = on_event,
      optional = true,
    })
  end
end

local function complete(condition, list, on_event)
  table.move({ "req", "ring = ctx", "user_data" }, 1, 3, #list + 1, list)
  table.insert(probes, {
    "tracepoint:io_uring:io_uring_complete",
    where = condition,
    fields = list,
    on_event = on_event,
    optional = true,
  })
end

local message = "uptr(kptr(req, 'io_sr_msg')->umsg)"
local slot = "(" .. table.concat(SLOTS, " : ") .. " : 1) == 0"
local completed = slot:gsub("opcode", "kptr(req, 'io_kiocb')->opcode")
local makes = may_make("IORING_OP_ACCEPT, IORING_OP_SOCKET", "SOCKET")
  .. " || "
  .. may_make("IORING_OP_OPENAT, IORING_OP_OPENAT2", "FILE DIRECTORY DEVICE PIPE SYMLINK")
local operation = "kptr(req, 'io_kiocb')->opcode == "

submit("(" .. makes .. ") && " .. slot, function(ev, out)
  if ev.opcode == rille.constant("IORING_OP_ACCEPT") then
    set_accepting(ev, true)
  end
  out:emit(ev)
end)
submit("opcode == " .. FIXED_FD_INSTALL)
submit(may_make(PIPE, "PIPE") .. " && kptr(req, 'io_pipe')->file_slot == 0")

complete(wanted("res >= 0 && req && " .. completed, "res"), fields("new", "res"), function(ev, out)
  set_accepting(ev, nil)
  out:emit(ev)
end)
complete(
  wanted("res >= 0 && !req && cflags & " .. MORE .. " && fd_kind(res) == KIND_SOCKET", "res"),
  fields("new", "res"),
  function(ev, out)
    if accepting[ring_key(ev)] then
      out:emit(ev)
    end
  end
)
complete(wanted("res >= 0 && req && " .. operation .. FIXED_FD_INSTALL, "res"), fields("dup", "res"))
complete(
  "res == 0 && req && "
    .. operation
    .. PIPE
    .. " && kptr(req, 'io_pipe')->file_slot == 0 && (!$kinds || KIND_PIPE in $kinds)",
  pair_fields("uptr(kptr(req, 'io_pipe')->fds)")
)
complete(
  wanted(
    "res >= 0 && req && " .. operation .. RECVMSG .. " && scm_count(" .. message .. ") > 0",
    "scm_fds(" .. message .. ")[0]"
  ),
  brought(message)
)
-- Told when it is done, since it may wait for others; if the number stands for something else by now, that is told.
complete(
  "res == 0 && req && "
    .. operation
    .. "IORING_OP_CLOSE && kptr(req, 'io_close')->file_slot == 0 && !has(fd_file(kptr(req, 'io_close')->fd))",
  { "op = 'close'", "fd = kptr(req, 'io_close')->fd" }
)

return {
  summary = "every way a descriptor comes to be and goes",
  params = {
    { "kinds", "const:KIND_[]", help = "only these kinds: socket, pipe, file, epoll, eventfd …" },
    { "notes", "bool", default = true, help = "bind, listen, connect, close-on-exec; =no: without" },
    { "processes", "bool", default = true, help = "fork, exec, exit, close_range; =no: without" },
  },
  probes = probes,
}
