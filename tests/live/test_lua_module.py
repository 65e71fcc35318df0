"""`require "rille"` in stock Lua 5.4 and LuaJIT.

Each test runs in both. A Lua program attaches, says `ready`, and the command that it traces goes on; what the command says of itself
is the oracle.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import hosts
import rille

LUAS = ("lua5.4", "luajit")
# What the programs share. `trace(what)` makes an engine and a session on the command.
PRELUDE = """
local rille = require "rille"
local pid, pair = tonumber(arg[1]), arg[2]
local comm = pair:match("[^/]+$")
local function ready() io.stdout:write("ready\\n") io.stdout:flush() io.read("l") end
local function pairs_of(more)
  local probe = { "syscall:socketpair", fields = { "fds = s32(usockvec, 2)", "inodes = fd_inode(fds)" }, stack = "user" }
  for key, value in pairs(more or {}) do probe[key] = value end
  return probe
end
-- The list is made once our end of the pipe to it is closed.
local function descriptors()
  io.popen("cat > /dev/null; ls /proc/$PPID/fd > list", "w"):close()
  local n = 0
  for _ in io.lines("list") do n = n + 1 end
  return n
end
-- Each pair is made by a program of its own.
local function run(n) for _ = 1, n do os.execute(pair .. " > /dev/null") end end
"""


class Module(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        cls.shop = rille.Workshop()
        # A name of its own: sessions that see the whole machine choose by it.
        cls.pair = cls.shop.compile("pair.c", "-O1", "-g", name=f"pair{os.getpid()}")

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()

    def lua(self, text, command=None, luas=LUAS, modules=(), status=0, **env):
        """Runs the program in each Lua; returns {lua: (its output, the command's)}."""
        results = {}
        for lua in luas:
            reason = hosts.why_not_lua(lua, *modules)
            if reason:
                self.skipTest(reason)
            with self.subTest(lua):
                results[lua] = self.run_one(lua, text, command or [self.pair], status, env)
        return results

    def run_one(self, lua, text, command, status, env):
        with tempfile.TemporaryDirectory() as folder:
            script = pathlib.Path(folder) / "host.lua"
            script.write_text(PRELUDE + text, encoding="utf-8")
            child = subprocess.Popen(["/bin/sh", "-c", 'read go; exec "$@"', "sh", *command], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            host = subprocess.Popen([lua, script, str(child.pid), self.pair], stdin=subprocess.PIPE, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env=hosts.environment(lua, **env), cwd=folder)
            out, child_said = [], ""
            for line in host.stdout:
                if line == "ready\n":
                    child_said = child.communicate("go\n", timeout=60)[0]
                    host.stdin.write("\n")
                    host.stdin.flush()
                else:
                    out.append(line)
            err = host.communicate(timeout=60)[1]
            child.kill()
            child.communicate()
            self.assertEqual(host.returncode, status, err)
            self.stderr = err
            return "".join(out), child_said

    # --- values ---

    def test_events(self):
        """Descriptors, inodes and stacks are what the program says; an event is the same read by field, copied and as JSON."""
        results = self.lua("""
          local e = rille.open {}
          local s = e:load(pairs_of()):target_pid(pid)
          s:on_event(function(ev, session)
            assert(session == s)
            local copy = ev:copy()
            assert(copy.pid == ev.pid and copy.fds[2] == ev.fds[2] and copy.ustack == ev.ustack)
            assert(ev.ustack_end == "root" and ev.kstack == nil and ev.kstack_end == nil)
            assert(ev.container == nil or type(ev.container) == "string")
            assert(ev:show("comm") == comm and ev:show("ustack"):find("leaf", 1, true))
            print(ev:json())
            print(ev.pid, ev.fds[1], ev.fds[2], ev.inodes[1], ev.inodes[2], rille.folded(ev.ustack), rille.time(ev.time))
          end)
          s:attach()
          ready()
          while e:dispatch() do end
          assert(s:over() == "target exited", s:over())
          assert(s:stats()[1].sent == 2 and s:stats()[1].lost_ring == 0)
        """)
        for out, said in results.values():
            records = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
            lines = [line.split("\t") for line in out.splitlines() if not line.startswith("{")]
            self.assertEqual([[int(n) for n in line[:5]] for line in lines],
                             [[int(n) for n in line.split()] for line in said.splitlines()])
            for record, line in zip(records, lines):
                self.assertEqual([*record["fds"], *record["inodes"]], [int(n) for n in line[1:5]])
                self.assertEqual([frame["name"] for frame in record["ustack"]][::-1], line[5].split(";"))
                self.assertEqual(record["time"], line[6])

    def test_integers(self):
        """64 bits are exact: what the command passed to the kernel comes out digit for digit."""
        numbers = [0, -1, 10**14 - 1, 10**14, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
        code = ("import ctypes; c = ctypes.CDLL(None)\n"
                f"for n in {numbers}: c.lseek(ctypes.c_int(-1), ctypes.c_int64(n), 0)\n"
                f"for n in {numbers}: c.munmap(ctypes.c_uint64(n & (2**64 - 1)), ctypes.c_uint64(0))\n")
        results = self.lua("""
          local e = rille.open {}
          local s = e:load {
            { "syscall:lseek", where = "errno == EBADF", fields = { "offset" } },
            { "syscall:munmap", where = "len == 0 && ret < 0", fields = { "addr" } },
          }
          s:target_pid(pid)
          s:on_event(function(ev)
            local n = ev.offset or ev.addr
            local shown = tostring(ev.addr and rille.u64(n) or n):gsub("LL$", "")
            print(shown, ("%x"):format(n), ev.addr and "unsigned" or "signed")
          end)
          s:attach()
          ready()
          while e:dispatch() do end
        """, ["python3", "-c", code])
        wide = [n & (2**64 - 1) for n in numbers]
        expected = [f"{n}\t{bits:x}\tsigned" for n, bits in zip(numbers, wide)]
        expected += [f"{bits}\t{bits:x}\tunsigned" for bits in wide]
        for out, _ in results.values():
            self.assertEqual([line for line in out.splitlines() if line in expected], expected, out)

    def test_parameters_are_exact(self):
        """Integers of each Lua's widest kind reach the kernel side unchanged."""
        self.lua("""
          local e = rille.open {}
          local big
          if jit then
            big = loadstring("return 18446744073709551615ULL")()
          else
            big = "18446744073709551615"
          end
          local text = [[return { params = { { "n", "u64[]" }, { "b", "bool" } },
            probes = { { "syscall:close", where = "fd in $n && $b" } } }]]
          local s = e:load_string(text, { n = { 1, big }, b = true }, "mine")
          s:check()
          local ok, err = pcall(s.param, s, "n", { 1, true })
          assert(not ok and err:find("integers and strings", 1, true), err)
          ok, err = pcall(e.load_string, e, text, { n = "18446744073709551616" })
          assert(not ok and err.tag == "bad-parameter", tostring(err))
          assert(#s:params() == 2 and s:params()[1].type == "u64[]", s:params()[1].type)
        """)

    def test_library(self):
        """What is in the module and in scripts is the same."""
        text = """
          print(rille.constant("AF_UNIX"), rille.constant("AF_NONE"), rille.format(2049, "SOCK_"), rille.format(-2, "errno"))
          print(rille.time(1795552417000000000 + 0), rille.u64(5) .. "", rille.u64(-1) .. "", rille.u64(1) < rille.u64(-1))
          print(rille.folded { { name = "b" }, { name = "a" } }, rille.top({ x = 1, y = 3 }, 1)[1][1])
          print(rille.frame { kind = "native", name = "f", offset = 18, module = "/x/y", file = "a/b.c", line = 7 })
        """
        with tempfile.TemporaryDirectory() as folder:
            script = pathlib.Path(folder) / "s.lua"
            script.write_text("return { probes = { { 'syscall:getppid' } }, on_start = function(out)\n"
                              + text.replace("+ 0", "") + "out:stop()\nend }\n", encoding="utf-8")
            done = rille.run("run", script, "-q")
            self.assertEqual(done.returncode, 0, done.stderr)
        for out, _ in self.lua(text.replace("1795552417000000000 + 0", "1795552417 * 1000000000 + 0"), luas=["lua5.4"]).values():
            self.assertEqual(out.strip(), done.stdout.strip())
        wide = text.replace("1795552417000000000 + 0", "loadstring('return 1795552417000000000LL')()")
        for out, _ in self.lua(wide, luas=["luajit"]).values():
            self.assertEqual(out.strip(), done.stdout.strip())

    def test_origins(self):
        """session:origin() tells what rille.origin() tells a script: of a real stack by the script's own entry, and of frames and
        paths by the entries that every script has."""
        text = """
          local own = { { kind = "java", name = "com.example.Main.main" } }
          local dns = { { kind = "native", name = "send_dg", module = "/usr/lib/libc.so.6" }, own[1] }
          local function tell(stack, path)
            local o = origin(stack, path)
            print(o and o.name, o and o.about, o and o.advice, o and o.crac, o and o.frame and o.frame.name, o and o.by and o.by.name)
          end
          tell(dns) tell(own) tell(nil, "/var/lib/sss/mc/passwd") tell(nil, "/nowhere") tell(dns, "/x") tell(nil) tell({})
          print(pcall(origin, { 5 }))
        """
        rule = "table.insert(rille.origins, 1, { name = 'mine', about = 'a pair', match = { 'socketpair' } })\n"
        with tempfile.TemporaryDirectory() as folder:
            script = pathlib.Path(folder) / "s.lua"
            script.write_text(rule + "return { probes = { { 'syscall:getppid' } }, on_start = function(out)\n local origin = rille.origin\n"
                              + text + "out:stop()\nend }\n", encoding="utf-8")
            done = rille.run("run", script, "-q")
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("glibc-resolver", done.stdout)
        results = self.lua(f"""
          local e = rille.open {{}}
          local s = e:load_string([[{rule}return {{ probes = {{ {{ "syscall:socketpair", stack = "user" }} }} }}]])
          local plain = e:load(pairs_of())
          local function origin(...) return plain:origin(...) end
          {text}
          local n = 0
          s:target_pid(pid):on_event(function(ev, session)
            local of = session:origin(ev.ustack)
            assert(of.name == "mine" and of.frame == ev.ustack[1] and plain:origin(ev.ustack) == nil)
            n = n + 1
          end):attach()
          ready()
          while e:dispatch() do end
          assert(n == 2, n)
        """)

        def lines(shown):
            return [re.sub(r"^false.*(origin: )", r"false \1", line) for line in shown.splitlines()]

        for out, _ in results.values():
            self.assertEqual(lines(out), lines(done.stdout))

    def test_addresses(self):
        """A socket address is a table, as in scripts."""
        code = ("import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]; s.close()\n"
                "s = socket.socket(); s.bind(('127.0.0.1', port)); print(port, flush=True)\n"
                "u = socket.socket(socket.AF_UNIX); u.bind('\\0rille-test-' + str(id(u)))")
        results = self.lua("""
          local e = rille.open {}
          local s = e:load { "syscall:bind", fields = { "addr = sockaddr(umyaddr, addrlen)", { "name", "comm" } } }
          s:target_pid(pid):on_event(function(ev)
            local a = ev.addr
            print(a.family, a.address, a.port, a.abstract and a.abstract:match("^rille%-test"), "" .. a == ev:show("addr"), #ev.name > 0)
          end)
          s:attach()
          ready()
          while e:dispatch() do end
        """, ["python3", "-c", code])
        for out, said in results.values():
            self.assertEqual(out.splitlines()[1:], [f"AF_INET\t127.0.0.1\t{said.strip()}\tnil\ttrue\ttrue",
                                                    "AF_UNIX\tnil\tnil\trille-test\ttrue\ttrue"])

    # --- tables ---

    def test_tables(self):
        """A table, a string and a file make the same program; a probe's own on_event is called in place of the session's."""
        self.lua("""
          local body = [[{ "syscall:socketpair", where = "ret == 0 && protocol != 77", fields = { "fds = s32(usockvec, 2)", { "family", as = "AF_" } }, stack = { user = true, depth = 16 } }]]
          local file = io.open("probe.lua", "w")
          file:write("return { probes = { " .. body .. " } }")
          file:close()
          local e = rille.open {}
          local chunk = (loadstring or load)("return " .. body)
          local c = e:load(chunk()):emit("c")
          local function same(text) return (text:gsub("#line %d+ [^\\n]*", "")) end
          assert(same(c) == same(e:load_string(body):emit("c")), "string")
          assert(same(c) == same(e:load("./probe.lua"):emit("c")), "file")
          assert(same(c) == same(e:load { chunk() }:emit("c")), "list")
          assert(same(c) == same(e:load { summary = 'a "b"\\n\\\\', probes = { chunk() } }:emit("c")), "script")
          assert(e:load { summary = 'a "b"\\n\\\\', probes = { chunk() } }:summary() == 'a "b"\\n\\\\')
          local own, other = 0, 0
          local s = e:load {
            probes = {
              pairs_of { on_event = function() own = own + 1 end },
              { "syscall:execve" },
            },
            on_event = function() other = other + 1 end,
          }
          s:target_pid(pid):attach()
          ready()
          while e:dispatch() do end
          assert(own == 2 and other == 1, own .. " " .. other)
        """)

    def test_tables_refused(self):
        """What cannot travel is refused with the key's name; what the library refuses has a place in the table's text."""
        self.lua("""
          local e = rille.open {}
          local function refused(what, wanted)
            local ok, err = pcall(e.load, e, what)
            assert(not ok and tostring(err):find(wanted, 1, true), tostring(err))
            return err
          end
          refused({ "syscall:bind", on_start = print }, "on_start")
          refused({ "syscall:bind", fields = { print } }, "fields")
          refused({ "syscall:bind", fields = { io.stdout } }, "userdata")
          local loop = { "syscall:bind" }
          loop.fields = loop
          refused(loop, "nested too deeply")
          local err = refused({ "syscall:bind", wheer = "1" }, "where")
          assert(err.tag == "unknown-key" and err.file == "table" and err.line >= 2 and err.class == "script", err.tag)
          local ok
          ok, err = pcall(function() e:load({ "syscall:bnid" }):check() end)
          assert(not ok and err.tag == "unknown-probe" and tostring(err):find("did you mean"), tostring(err))
        """)

    # --- errors ---

    def test_errors(self):
        """A failure is raised as a table with the library's fields; nobody's mistake passes for another's."""
        self.lua("""
          local e = rille.open {}
          local function fails(tag, f, ...)
            local ok, err = pcall(f, ...)
            assert(not ok, tag)
            assert(type(err) == "table" and err.tag == tag and err.message and err.code < 0, tostring(err) .. " " .. tostring(err.tag))
            assert(tostring(err) == err.formatted)
          end
          fails("unknown-recipe", e.load, e, "unixx")
          fails("cannot-read", e.load, e, "./nothing.lua")
          local s = e:load("unix")
          fails("unknown-setting", s.set, s, "limt", 1)
          fails("unknown-parameter", s.param, s, "inod", 1)
          fails("bad-target", s.target_comm, s, "a name that is far too long")
          local function argument(wanted, f, ...)
            local ok, err = pcall(f, ...)
            assert(not ok and type(err) == "string" and err:find(wanted, 1, true), tostring(err))
          end
          argument("engine expected", e.load, 5)
          argument("session expected", s.attach, e)
          argument("there is no option 'cachedir'", rille.open, { cachedir = "x" })
          argument("option 'log' is a function", rille.open, { log = 5 })
          argument("milliseconds", e.dispatch, e, -2)
          argument("function expected", s.on_event, s, 5)
          s:close()
          s:close()
          argument("the session is closed", s.attach, s)
          argument("the session is closed", s.stats, s)
          assert(tostring(s) == "rille.session: closed")
          assert(e:dispatch(-1) == nil, "nothing runs")
          e:close()
          e:close()
          argument("the engine is closed", e.load, e, "unix")
          argument("the engine is closed", e.dispatch, e)
        """)

    def test_uncaught(self):
        """An error that nobody catches is shown with its place by each interpreter."""
        self.lua('rille.open():load_string("return {", {}, "broken.lua")', status=1)
        self.assertIn("broken.lua:1", self.stderr)

    def test_callback_errors(self):
        """What a callback raises comes out of dispatch as it is; the other events are delivered, the trace goes on, errors are counted."""
        self.lua("""
          local logged = 0
          local e = rille.open { log = function(level, text) logged = logged + 1 end }
          local seen, mark = 0, {}
          local s = e:load(pairs_of()):target_pid(pid)
          s:on_event(function(ev)
            seen = seen + 1
            if seen == 1 then error(mark) end
          end)
          s:attach()
          ready()
          local ok, err
          repeat
            ok, err = pcall(e.dispatch, e)
          until not ok
          assert(err == mark, tostring(err))
          repeat until not e:dispatch()
          assert(seen == 2, seen)
          assert(s:stats()[1].callback_errors == 1 and logged >= 1, s:stats()[1].callback_errors)
        """)

    def test_stale_events(self):
        """An event that was kept raises, also while a later one is at hand; a name that no probe has, too."""
        self.lua("""
          local e = rille.open {}
          local old, n = nil, 0
          local s = e:load(pairs_of()):target_pid(pid):on_event(function(ev)
            n = n + 1
            if old then
              local ok, err = pcall(function() return old.pid end)
              assert(not ok and err:find("after its callback", 1, true), err)
              for _, name in ipairs { "show", "json", "copy" } do assert(not pcall(ev[name], old, "fds")) end
            end
            old = ev
            local ok, err = pcall(function() return ev.inode end)
            assert(not ok and err:find("inodes", 1, true), err)
            assert(not pcall(function() ev.pid = 1 end))
            assert(not pcall(function() return ev[1] end))
          end)
          s:attach()
          ready()
          while e:dispatch() do end
          assert(n == 2 and not pcall(function() return old.pid end))
          collectgarbage()
          collectgarbage()
          assert(tostring(old) == "rille.event: of the past")
        """)

    def test_kept_events(self):
        """Of more events than are made ready at a time, of two probes that take turns and of two sessions: each is its own as
        long as its callback runs, and an error afterwards, whatever else is at hand."""
        results = self.lua("""
          local e = rille.open {}
          local kept, sum, other = {}, 0, nil
          local function seen(name, absent)
            return function(ev)
              for _, old in ipairs(kept) do
                local ok, err = pcall(function() return old[name] end)
                assert(old ~= ev and not ok and err:find("after its callback", 1, true), err)
              end
              if #kept % 50 == 0 then collectgarbage() end
              assert(ev[absent] == nil and ev:copy()[name] == ev[name])
              sum = sum + ev[name]
              kept[#kept + 1] = ev
            end
          end
          local s = e:load {
            { "syscall:lseek", where = "errno == EBADF", fields = { "offset" }, on_event = seen("offset", "addr") },
            { "syscall:munmap", where = "len == 0 && ret < 0", fields = { "addr" }, on_event = seen("addr", "offset") },
          }
          s:target_pid(pid):attach()
          ready()
          while e:dispatch() do end
          local metatable = debug.getmetatable(kept[1])
          for _, what in ipairs { io.stdout, s, {}, 5 } do
            for _, f in ipairs { metatable.__index, metatable.__tostring } do
              local ok, err = pcall(f, what, "offset")
              assert(not ok and err:find("event expected", 1, true), err)
            end
          end
          print(#kept, sum)
        """, ["python3", "-c", "import ctypes; c = ctypes.CDLL(None)\n"
              "for n in range(100): c.lseek(-1, ctypes.c_int64(n), 0); c.munmap(n, 0)\n"])
        for out, _ in results.values():
            self.assertEqual(out.split(), ["200", str(2 * sum(range(100)))])

    def test_events_of_two_sessions(self):
        """In a callback that dispatches another session both events can be read, also with each other's methods."""
        self.lua("""
          local a, b = rille.open {}, rille.open {}
          local n, inner = 0, 0
          local outer
          local t = b:load(pairs_of()):target_comm(comm):on_event(function(ev)
            inner = inner + 1
            assert(outer and outer.pid == outer:copy().pid)
            assert(outer.copy(ev).fds[1] == ev.fds[1] and ev.show(outer, "fds") == outer:show("fds"))
          end):attach()
          a:load(pairs_of()):target_pid(pid):on_event(function(ev)
            n, outer = n + 1, ev
            if n == 1 then
              run(1)
              repeat b:dispatch(1000) until inner >= 2
            end
            assert(ev.fds[1] == ev:copy().fds[1])
          end):attach()
          ready()
          while a:dispatch() do end
          assert(n == 2 and inner >= 2, n .. " " .. inner)
          t:stop()
        """)

    # --- loops ---

    def test_coroutines(self):
        """dispatch works in a coroutine; a callback may run others, and cannot yield through the library."""
        self.lua("""
          local e = rille.open {}
          local n, yielded = 0, nil
          local s = e:load(pairs_of()):target_pid(pid):on_event(function(ev)
            n = n + 1
            local inner = coroutine.wrap(function() coroutine.yield(ev.pid) end)
            assert(inner() == ev.pid)
            if n == 2 then coroutine.yield("out") end
          end)
          s:attach()
          ready()
          local failures = 0
          local co = coroutine.create(function()
            repeat
              local ok, more = pcall(e.dispatch, e)
              if not ok then
                failures = failures + 1
                assert(tostring(more):find("yield", 1, true), tostring(more))
                more = true
              end
              coroutine.yield()
            until not more
          end)
          while coroutine.status(co) ~= "dead" do
            assert(coroutine.resume(co))
          end
          assert(n == 2 and failures == 1, n .. " " .. failures)
        """)

    def test_in_callbacks(self):
        """In a callback neither dispatch nor close is possible; stop ends the trace after the event, and says why."""
        self.lua("""
          local e = rille.open {}
          local n = 0
          local s
          s = e:load(pairs_of()):target_pid(pid):on_event(function(ev, session)
            n = n + 1
            for _, f in ipairs { e.dispatch, e.close, function() s:close() end } do
              local ok, err = pcall(f, e)
              assert(not ok and tostring(err):find("callback", 1, true), tostring(err))
            end
            session:stop("seen enough")
          end)
          s:attach()
          ready()
          local more, count
          repeat more, count = e:dispatch() until not more
          assert(n == 1 and count == 1 and s:over() == "seen enough", n .. " " .. tostring(s:over()))
          s:stop("again")
          assert(s:over() == "seen enough")
        """)

    def test_two_sessions(self):
        """Sessions of one engine see their own events only, behind one descriptor; closing one leaves the other."""
        self.lua("""
          local e = rille.open {}
          local got = { 0, 0, 0 }
          local function count(i) return function(ev) got[i] = got[i] + 1 end end
          local a = e:load(pairs_of { where = "type == 1" }):set("filter", ("comm == %q"):format(comm)):on_event(count(1)):attach()
          local b = e:load(pairs_of { where = "type == 2" }):set("filter", ("comm == %q"):format(comm)):on_event(count(2)):attach()
          e:load(pairs_of()):target_comm(comm):on_event(count(3)):attach() -- kept by its engine
          collectgarbage()
          collectgarbage()
          run(3)
          while got[1] + got[2] + got[3] < 12 do assert(e:dispatch(1000, 1)) end
          assert(got[1] == 3 and got[2] == 3 and got[3] == 6, table.concat(got, " "))
          a:close()
          run(1)
          while got[2] + got[3] < 12 do assert(e:dispatch(1000)) end
          assert(got[1] == 3 and got[2] == 4 and got[3] == 8, table.concat(got, " "))
          b:stop()
          assert(e:dispatch(0))
        """)

    def test_cqueues(self):
        """An engine is an object that cqueues can poll."""
        self.lua("""
          local cqueues = require "cqueues"
          local e, n = rille.open {}, 0
          e:load(pairs_of()):target_pid(pid):on_event(function() n = n + 1 end):attach()
          ready()
          local loop = cqueues.new()
          loop:wrap(function()
            repeat cqueues.poll(e) until not e:dispatch(0)
          end)
          assert(loop:loop())
          assert(n == 2, n)
        """, modules=["cqueues"])

    def test_select(self):
        """An engine is an object that LuaSocket's select, and so copas, can wait for."""
        self.lua("""
          local socket = require "socket"
          local e, n = rille.open {}, 0
          e:load(pairs_of()):target_pid(pid):on_event(function() n = n + 1 end):attach()
          ready()
          repeat socket.select({ e }, nil) until not e:dispatch(0)
          assert(n == 2, n)
        """, modules=["socket"])

    # --- life ---

    def test_nothing_is_left(self):
        """Engines and sessions that are closed, collected or forgotten in any order leave no descriptor."""
        self.lua("""
          local function once(how)
            local e = rille.open {}
            local s = e:load(pairs_of()):target_pid(pid):on_event(function(ev) s = ev end)
            local t = e:load("unix")
            s:attach()
            e:dispatch(0)
            if how == 1 then e:close() elseif how == 2 then s:close() e:close() elseif how == 3 then s:stop() t:close() end
            pcall(e.load, e, "nothing")
            pcall(e.recipes, e)
          end
          once(1)
          collectgarbage() collectgarbage()
          local before = descriptors()
          for i = 0, 11 do once(i % 4) end
          collectgarbage() collectgarbage() collectgarbage()
          assert(descriptors() == before, descriptors() .. " " .. before)
        """)

    def test_state_closes(self):
        """A state that is closed while sessions run, also from a callback, ends well."""
        self.lua("""
          e = rille.open {}
          s = e:load(pairs_of()):target_pid(pid):on_event(function() error("not called") end):attach()
          t = rille.open {}
          ready()
        """)
        self.lua("""
          local e = rille.open {}
          e:load(pairs_of()):target_pid(pid):on_event(function() os.exit(7, true) end):attach()
          ready()
          while e:dispatch() do end
        """, status=7)

    def test_fork(self):
        """A child of the host that closes its copy of the state, or uses a session, does no harm to the trace."""
        self.lua("""
          local ffi = require "ffi"
          ffi.cdef "int fork(void); int waitpid(int pid, int *status, int options);"
          local e, n = rille.open {}, 0
          local s = e:load(pairs_of()):target_pid(pid):on_event(function() n = n + 1 end):attach()
          for _, how in ipairs { "dispatch", "stop", "close", "state" } do
            local child = ffi.C.fork()
            if child == 0 then
              if how == "dispatch" then
                local ok, err = pcall(e.dispatch, e, 0)
                if ok or err.tag ~= "forked" then os.exit(1) end
              elseif how == "stop" then
                pcall(s.stop, s)
              elseif how == "close" then
                e:close()
              end
              os.exit(0, true)
            end
            local status = ffi.new("int[1]")
            ffi.C.waitpid(child, status, 0)
            assert(status[0] == 0, how)
          end
          ready()
          while e:dispatch() do end
          assert(n == 2, n)
        """, luas=["luajit"])

    def test_to_be_closed(self):
        """Lua 5.4 closes engines and sessions at the end of their block, and when an error leaves it."""
        self.lua("""
          local before = descriptors()
          local ok, err = pcall(function()
            local e <close> = rille.open {}
            local s <close> = e:load("socketpair"):attach()
            error("left")
          end)
          assert(not ok and err:find("left"))
          assert(descriptors() == before)
        """, luas=["lua5.4"])

    def test_outputs(self):
        """Outputs are a path, an open file or a descriptor; the report is in them once the session is stopped."""
        self.lua("""
          local e = rille.open {}
          local file = io.open("two.jsonl", "w")
          local s = e:load("socketpair"):target_pid(pid)
          s:add_output("jsonl", "one.jsonl"):add_output("jsonl", file):add_output("text", 2):attach()
          file = nil
          collectgarbage() collectgarbage()
          ready()
          while e:dispatch() do end
          s:close()
          local function read(name) local f = io.open(name) local text = f:read("*a") f:close() return text end
          assert(read("one.jsonl") == read("two.jsonl") and read("one.jsonl"):find('"type":"end"', 1, true))
        """)
        self.assertIn("fds=[", self.stderr)

    def test_what_there_is(self):
        """Recipes, probes, arguments and the doctor's findings are those of the command."""
        listed = rille.run("list", "recipes").stdout
        self.lua(f"""
          local e = rille.open {{}}
          local names = {{}}
          for _, recipe in ipairs(e:recipes()) do
            assert(#recipe.summary > 0 and #recipe.source > 0)
            names[#names + 1] = recipe.name
          end
          assert(#names == {len([line for line in listed.splitlines() if line.strip()])}, #names)
          local probes = e:probes("syscall:socketp*")
          assert(#probes == 1 and probes[1] == "syscall:socketpair")
          local arguments = e:arguments("syscall:socketpair")
          assert(arguments[1].name == "family" and arguments[5].name == "ret" and arguments[5].scope == "at_exit")
          local ok = 0
          for _, finding in ipairs(e:doctor()) do ok = ok + (finding.state == "ok" and 1 or 0) end
          assert(ok > 3)
          local pcalled, err = pcall(e.arguments, e, "syscall:nothing")
          assert(not pcalled and err.tag == "unknown-probe", tostring(err))
        """)

    def test_objects(self):
        """An object made here is attached where there is no compiler, with the events of what it was made of."""
        results = self.lua("""
          local bytes = rille.open():load("socketpair"):emit("object")
          local e = rille.open { compiler = "/nonexistent/rille-cc", cache_dir = "" }
          assert(not pcall(function() e:load("socketpair"):attach() end))
          local s = e:load_object(bytes, { type = "dgram" }):target_pid(pid)
          s:on_event(function(ev) print(ev.pid, ev.fds[1], ev.fds[2], ev.inodes[1], ev.inodes[2]) end)
          s:attach()
          ready()
          while e:dispatch() do end
          local ok, err = pcall(e.load_object, e, "\\127ELF nonsense")
          assert(not ok and err.tag:find("object"), tostring(err))
        """.replace("\\\\", "\\"))
        for out, said in results.values():
            self.assertEqual(out.replace("\t", " ").splitlines(), said.splitlines()[1:])

    def test_report(self):
        """A report in the middle of a trace, and a snapshot without one."""
        results = self.lua("""
          local e = rille.open {}
          local s = e:load("fds"):target_pid(pid):add_output("open-jsonl", io.stdout):attach()
          s:report("now")
          s:stop()
          local t = e:load("fds"):target_pid(pid):add_output("open-jsonl", io.stdout):snapshot()
          assert(not pcall(t.attach, t))
        """)
        for out, _ in results.values():
            self.assertGreaterEqual(len(rille.records(out)), 3)

    def test_no_memory(self):
        """With Lua's allocator failing from each allocation on, in turn, nothing but an error about memory comes of it: while loading,
        and in callbacks of a trace that goes on."""
        reason = hosts.why_not_lua("lua5.4")
        lua = hosts.flags("lua5.4")
        if reason or lua is None:
            self.skipTest(reason or "Lua 5.4's headers are not installed")
        host = self.shop.path / "lowlua"
        subprocess.run(["cc", "-O1", "-g", "-Wall", "-Werror", rille.PROGRAMS / "lowlua.c", "-o", host, *lua], check=True)
        script = self.shop.path / "low.lua"
        script.write_text("""
          local rille = require "rille"
          local comm = ("PAIR"):match("[^/]+$")
          local function loading()
            local e = rille.open { log = function() end }
            local s = e:load { { "syscall:socketpair", fields = { "fds = s32(usockvec, 2)" }, on_event = print } }
            s:param_or_nothing()
          end
          local function errors()
            local e = rille.open {}
            local ok, err = pcall(e.load, e, "nothing")
            if not tostring(err):find("unknown-recipe", 1, true) then error(err, 0) end
            for _, f in ipairs { e.probes, e.arguments } do f(e, "syscall:socketpair") end
            e:close()
          end
          local e = rille.open {}
          local seen = 0
          local s = e:load {
            "syscall:socketpair",
            fields = { "fds = s32(usockvec, 2)", "inodes = fd_inode(fds)", { "family", as = "AF_" } },
            stack = "user",
          }
          s:target_comm(comm):on_event(function(ev)
            local copy = ev:copy()
            assert(copy.fds[1] and ev:show("family") == "AF_UNIX" and #ev:show("ustack") > 0 and #ev:json() > 0)
            seen = seen + 1
          end):attach()
          local function tracing()
            local before = seen
            os.execute("PAIR > /dev/null")
            repeat e:dispatch(10) until seen == before + 2
          end
          tracing()
          return loading, errors, tracing
        """.replace("PAIR", str(self.pair)).replace("            s:param_or_nothing()\n", ""), encoding="utf-8")
        done = hosts.run(host, script, lua="lua5.4", timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        tries = [int(n) for n in re.findall(r"tried (\d+) times", done.stdout)]
        self.assertEqual(len(tries), 3)
        self.assertTrue(all(n > 20 for n in tries), tries)
        before, after = re.search(r"descriptors (\d+) (\d+)", done.stdout).groups()
        self.assertEqual(after, before)

    # --- what is shipped ---

    def test_other_luas(self):
        """PUC's Lua 5.1, which finds LuaJIT's module, is told why it cannot have it."""
        if not shutil.which("lua5.1") or hosts.why_not_lua("luajit"):
            self.skipTest("lua5.1 or the module for luajit is not there")
        done = hosts.run("lua5.1", "-e", "print(pcall(require, 'rille'))", lua="luajit")
        self.assertIn("needs Lua 5.4, or LuaJIT", done.stdout)

    def test_symbols(self):
        """The module is linked with no Lua and shows one function."""
        for lua in LUAS:
            module = hosts.LUAS[lua] / "rille.so"
            if not module.exists():
                continue
            shown = subprocess.run(["nm", "-D", "--defined-only", module], capture_output=True, text=True, check=True)
            self.assertEqual([line.split()[-1] for line in shown.stdout.splitlines()], ["luaopen_rille"])
            needed = subprocess.run(["readelf", "-d", module], capture_output=True, text=True, check=True).stdout
            self.assertFalse(re.search(r"NEEDED.*lua", needed), needed)

    def test_types(self):
        """rille.d.lua names the functions, methods and fields that there are, and no others."""
        text = (hosts.ROOT / "lua" / "rille.d.lua").read_text(encoding="utf-8")
        classes = {"library": "rille%.", "engine": "engine:", "session": "session:", "event": "event:"}
        declared = {name: set(re.findall(f"^function {prefix.replace('%', chr(92))}(\\w+)\\(", text, re.MULTILINE))
                    for name, prefix in classes.items()}
        fields = {name: set(re.findall(r"---@field (\w+)", block)) for name, block in
                  re.findall(r"---@class rille\.(\w+)\n((?:---@.*\n)+)", text)}
        results = self.lua("""
          local e = rille.open {}
          local function names(of, kind) for name, value in pairs(of) do if type(value) == "function" then print(kind, name) end end end
          names(rille, "library")
          local s = e:load(pairs_of()):target_pid(pid)
          names(getmetatable(e).__index, "engine")
          names(getmetatable(s).__index, "session")
          local done
          s:on_event(function(ev)
            if done then return end
            done = true
            for _, name in ipairs { "copy", "show", "json" } do assert(type(ev[name]) == "function") print("event", name) end
            for name in pairs(ev:copy()) do if name ~= "fds" and name ~= "inodes" then print("event_fields", name) end end
            for _, frame in ipairs(ev.ustack) do for name in pairs(frame) do print("frame", name) end end
          end)
          s:attach()
          ready()
          while e:dispatch() do end
          for name in pairs(s:stats()[1]) do print("stats", name) end
          for name in pairs(select(2, pcall(e.load_string, e, "return { probes = 1 }"))) do print("error", name) end
        """)
        with tempfile.TemporaryDirectory() as folder:
            script = pathlib.Path(folder) / "s.lua"
            script.write_text("return { probes = { { 'syscall:getppid' } }, on_start = function(out)\n"
                              "for name, f in pairs(rille) do if type(f) == 'function' then print(name) end end\n"
                              "out:stop() end }\n", encoding="utf-8")
            in_scripts = set(rille.run("run", script, "-q").stdout.split())
        for out, _ in results.values():
            found = {}
            for line in out.splitlines():
                kind, name = line.split("\t")
                found.setdefault(kind, set()).add(name)
            self.assertEqual(found["library"] | in_scripts, declared["library"])
            self.assertEqual(found["library"] - in_scripts, {"open"})
            self.assertLessEqual({"constant", "format", "time", "u64", "frame", "folded", "top"}, found["library"])
            for kind in ("engine", "session", "event"):
                self.assertEqual(found[kind], declared[kind], kind)
            self.assertEqual(found["event_fields"] | {"kstack", "kstack_end", "container"}, fields["event"])
            self.assertEqual(found["stats"], fields["stats"])
            self.assertEqual(found["error"], fields["error"])
            self.assertLessEqual(found["frame"], fields["frame"])

    def test_rock(self):
        """The rockspec is one, and `luarocks make` gives a module that loads."""
        if not shutil.which("luarocks-5.4"):
            self.skipTest("luarocks is not installed")
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder)
            for name in ("lua", "engine/tools/embed.py", "engine/base/embed.h", "rille-scm-1.rockspec"):
                target = source / name
                target.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (hosts.ROOT / name).is_dir() else shutil.copy
                copy(hosts.ROOT / name, target)
            for command in (["lint", "rille-scm-1.rockspec"],
                            ["make", "--tree", source / "tree", f"RILLE_INCDIR={hosts.ROOT}/engine/include",
                             f"RILLE_LIBDIR={hosts.LIBRARY}"]):
                done = hosts.run("luarocks-5.4", *command, cwd=folder, env=dict(os.environ, HOME=folder))
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            env = hosts.environment("lua5.4") | {"LUA_CPATH": f"{folder}/tree/lib/lua/5.4/?.so"}
            done = hosts.run("lua5.4", "-e", "print(require('rille').version)", env=env)
            self.assertRegex(done.stdout, r"^\d+\.\d+\.\d+\n$", done.stderr)


if __name__ == "__main__":
    unittest.main()
