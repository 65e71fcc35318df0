local helper = require "no_such_helper"
return { probes = { { "syscall:bind", fields = helper } } }
