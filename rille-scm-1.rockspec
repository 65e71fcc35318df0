-- The module for Lua 5.4 and LuaJIT, against an installed librille. From a checkout: luarocks make
rockspec_format = "3.0"
package = "rille"
version = "scm-1"
source = {
  url = "git+file://.",
}
description = {
  summary = "Trace processes on Linux: system calls and tracepoints, with complete stacks",
  detailed = [[
    A script or a table says what to watch, which events to keep and what to record; a BPF program is made of it, and
    every event comes back with the stack that led there, from the kernel to Java and Node.js.]],
  license = "MIT",
  labels = { "linux", "tracing", "bpf" },
}
supported_platforms = { "linux" }
dependencies = {
  "lua >= 5.1, < 5.5", -- 5.4, or LuaJIT, which says that it is 5.1
}
external_dependencies = {
  RILLE = { header = "rille.h", library = "rille" },
}
build = {
  type = "make",
  makefile = "lua/module/Makefile",
  build_variables = {
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    RILLE_INCDIR = "$(RILLE_INCDIR)",
    RILLE_LIBDIR = "$(RILLE_LIBDIR)",
  },
  install_variables = {
    LIBDIR = "$(LIBDIR)",
  },
}
