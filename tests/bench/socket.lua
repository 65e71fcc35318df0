-- The job that ./dev bench gives to every tracer: sockets of one family, through a callback, to text.
return {
  summary = "sockets of one family, through a callback",
  params = { { "family", "const:AF_", help = "address family", default = "AF_UNIX" } },
  probes = {
    { "syscall:socket",
      where = "family == $family",
      fields = { { "family", "family", as = "AF_" }, { "type", "type", as = "SOCK_" }, "protocol", "fd = ret" },
      on_event = function(ev, out) out:emit(ev) end },
  },
}
