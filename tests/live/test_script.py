"""Scripts while they run: callbacks see what the traced program itself saw, and whatever a callback does, the trace goes
on and no event is lost."""

import json
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

import rille

# Makes `pairs` socket pairs and tells of each what the kernel told it: descriptors, inodes.
TARGET = """
import os, socket, sys
for _ in range(int(sys.argv[1])):
    a, b = socket.socketpair()
    print(os.getpid(), a.fileno(), b.fileno(), os.fstat(a.fileno()).st_ino, os.fstat(b.fileno()).st_ino)
    a.close(); b.close()
"""

PAIR = """
{ "syscall:socketpair",
  fields = { "fds = s32(usockvec, 2)", "inodes = fd_inode(fds)", { "family", as = "AF_" }, { "type", as = "SOCK_" } },
  %s
  on_event = function(ev, out)
    %s
  end }
"""


class Scripts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()

    def trace(self, script, *options, pairs=3, status=0):
        """Runs a script on the target: (what the target says, the records, what the command says)."""
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as file, tempfile.NamedTemporaryFile("r") as out:
            file.write(textwrap.dedent(script))
            file.flush()
            done = rille.run("run", file.name, *options, "-o", f"jsonl:{out.name}", "--", sys.executable, "-c", TARGET,
                             str(pairs))
            self.assertEqual(done.returncode, status, done.stderr)
            said = [list(map(int, line.split())) for line in done.stdout.splitlines() if line[:1].isdigit()]
            return said, rille.records(out.read()), done.stderr

    def with_callback(self, code, *options, probe="", before="", after="", **more):
        script = before + "return { probes = { " + PAIR % (probe, code) + " }," + after + "}"
        return self.trace(script, *options, **more)

    @staticmethod
    def of_type(records, kind):
        return [record for record in records if record["type"] == kind]

    def printed(self, records):
        return [record["text"] for record in self.of_type(records, "print")]

    # --- what callbacks see ---

    def test_fields(self):
        """A callback reads the same values that the traced program got from the kernel."""
        said, records, _ = self.with_callback(
            "print(ev.pid, ev.fds[1], ev.fds[2], ev.inodes[1], ev.inodes[2])"
            "out:row { { 'shown', ev:show('family') .. ' ' .. ev:show('type') }, { 'number', ev.family } }")
        self.assertEqual(len(said), 3)
        self.assertEqual([list(map(int, line.split("\t"))) for line in self.printed(records)], said)
        rows = self.of_type(records, "row")
        self.assertEqual([(row["shown"], row["number"]) for row in rows],
                         [("AF_UNIX SOCK_STREAM|SOCK_CLOEXEC", 1)] * 3)

    def test_callback_replaces_emit(self):
        """With a callback an event reaches the outputs only if the callback emits it."""
        said, records, _ = self.with_callback("if ev.number == 2 then out:emit(ev) end")
        events = self.of_type(records, "event")
        self.assertEqual([event["inodes"] for event in events], [said[1][3:]])

    def test_stack(self):
        """A callback's stack is the one that the outputs print."""
        _, records, _ = self.with_callback(
            "out:emit(ev) for _, f in ipairs(ev.ustack) do print(f.name, f.kind, f.module) end print(ev.ustack_end)",
            probe="stack = 'user',", pairs=1)
        event = self.of_type(records, "event")[0]
        expected = ["\t".join(str(frame.get(key) if frame.get(key) is not None else "nil")
                              for key in ("name", "kind", "module")) for frame in event["ustack"]]
        self.assertEqual(self.printed(records), expected + [event["ustack_end"]])
        self.assertGreater(len(expected), 3)

    def test_copy_outlives(self):
        """A copy keeps everything, and the event itself cannot be used after its callback."""
        said, records, _ = self.with_callback(
            "if not kept then kept, copy = ev, ev:copy() end",
            before="local kept, copy\n", probe="stack = 'user',",
            after="on_end = function(out) print(copy.fds[2], copy.inodes[1], #copy.ustack > 3, copy.probe)"
                  "print(pcall(function() return kept.pid end)) end,")
        lines = self.printed(records)
        self.assertEqual(lines[0].split("\t"), [str(said[0][2]), str(said[0][3]), "true", "syscall:socketpair"])
        self.assertIn("event used after its callback", lines[1])

    def test_unknown_field(self):
        """A typing error in a field's name is an error that names the nearest, not a nil."""
        _, records, stderr = self.with_callback("local x = ev.inodse", pairs=1)
        self.assertIn("syscall:socketpair has no field 'inodse'; did you mean 'inodes'?", stderr)
        self.assertEqual(len(self.of_type(records, "event")), 1)

    def test_big_numbers(self):
        """A u64 above 2^63 is exact, and rille.u64 shows it as what it is."""
        script = """
            return { probes = { { "syscall:socketpair", fields = { "big = u64(usockvec) | 0xfffffffffffffff0" },
              on_event = function(ev, out)
                out:emit(ev)
                out:row { { "big", rille.u64(ev.big) } }
                print(rille.u64(ev.big), ev.big < 0, rille.u64(ev.big) > 1)
              end } } }
        """
        _, records, _ = self.trace(script, pairs=1)
        big = self.of_type(records, "event")[0]["big"]
        self.assertGreater(big, 2**64 - 17)
        self.assertEqual(self.of_type(records, "row")[0]["big"], big)
        self.assertEqual(self.printed(records), [f"{big}\ttrue\ttrue"])

    def test_script_callbacks(self):
        """on_start comes first, on_end last; processes are told as they start programs and end; `every` ticks."""
        script = """
            return {
              probes = { { "syscall:socketpair" } },
              on_start = function(out) out:print("start") end,
              on_exec = function(pid, comm, out) out:print("exec", pid, comm) end,
              on_exit = function(pid, out) out:print("exit", pid) end,
              on_end = function(out) out:print("end") end,
            }
        """
        said, records, _ = self.trace(script, pairs=1)
        lines = self.printed(records)
        pid = str(said[0][0])
        self.assertEqual(lines[0], "start")
        self.assertEqual(lines[-1], "end")
        self.assertTrue(any(line.startswith(f"exec\t{pid}\tpython") for line in lines), lines)
        self.assertIn(f"exit\t{pid}", lines)

    def test_every(self):
        """`every` is called at its interval: again and again, and never more often than the run is long."""
        script = '{ "syscall:getppid" }'
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
            file.write("local n = 0 return { probes = { %s }, every = { 0.1, function(out) out:print('tick') n = n + 1 "
                       "if n == 7 then out:stop('enough') end end } }" % script)
            file.flush()
            began = time.monotonic()
            done = rille.run("run", file.name, "-q", "--format", "jsonl")
            took = time.monotonic() - began
        self.assertEqual(len(self.printed(rille.records(done.stdout))), 7)
        self.assertGreaterEqual(took, 0.6)

    def test_stop(self):
        """out:stop() ends the trace, and its reason is in the report."""
        _, records, _ = self.with_callback("out:emit(ev) out:stop('enough')", pairs=20)
        self.assertEqual(self.of_type(records, "end")[0]["reason"], "enough")

    def test_lost(self):
        """When the tracer cannot keep up, on_lost is told of every event that is missing, and the counters add up."""
        script = """
            local lost, seen = 0, 0
            return {
              probes = { { "syscall:getppid", stack = "user", on_event = function(ev)
                seen = seen + 1
                if seen <= 300 then for i = 1, 300000 do end end
              end } },
              on_lost = function(probe, n, out) assert(probe == "syscall:getppid") lost = lost + n end,
              on_end = function(out) out:row { { "seen", seen }, { "lost", lost } } end,
            }
        """
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as file, tempfile.NamedTemporaryFile("r") as out:
            file.write(script)
            file.flush()
            done = rille.run("run", file.name, "-o", f"jsonl:{out.name}", "--", sys.executable, "-c",
                             "import os\nfor _ in range(300000): os.getppid()")
            self.assertEqual(done.returncode, 0, done.stderr)
            records = rille.records(out.read())
        row = self.of_type(records, "row")[0]
        probe = self.of_type(records, "end")[0]["probes"][0]
        self.assertGreaterEqual(probe["passed"], 300000)
        self.assertGreater(row["lost"], 0)
        self.assertEqual((row["seen"], row["lost"]), (probe["sent"], probe["lost_ring"]))
        self.assertEqual(probe["sent"] + probe["lost_ring"], probe["passed"])

    def test_without_callback(self):
        """Probes without a callback send their events on, beside those that have one."""
        script = """
            return { probes = {
              { "syscall:socketpair", fields = { "ret" } },
              { "syscall:close", on_event = function(ev, out) end },
            } }
        """
        said, records, _ = self.trace(script)
        self.assertEqual([event["probe"] for event in self.of_type(records, "event")],
                         ["syscall:socketpair"] * len(said))

    # --- parameters ---

    def test_parameters(self):
        """A parameter's value is what the kernel side compares with: by constant's name, short name, number."""
        script = """
            return {
              params = { { "family", "const:AF_", default = "inet" }, { "inode", "u64[]" } },
              probes = { { "syscall:socketpair",
                where = "family == $family && (!$inode || fd_inode(s32(usockvec)) in $inode)" } },
            }
        """
        for value, events in (("AF_UNIX", 3), ("unix", 3), ("1", 3), ("0x1", 3), ("AF_INET6", 0), (None, 0)):
            with self.subTest(value):
                options = ["--family", value] if value else []
                _, records, _ = self.trace(script, *options)
                self.assertEqual(len(self.of_type(records, "event")), events)
        _, records, _ = self.trace(script, "--family", "unix", "--inode", "1,2")
        self.assertEqual(len(self.of_type(records, "event")), 0)

    # --- hostile callbacks ---

    def check_survives(self, code, message, *, errors=5, events=5, before=""):
        """The target's calls are all in the output, the error is told with its place, and counted."""
        said, records, stderr = self.with_callback(code, pairs=5, before=before)
        sent = self.of_type(records, "event")
        self.assertEqual([event["inodes"] for event in sent], [line[3:] for line in said][:events])
        self.assertIn(message, stderr)
        probe = self.of_type(records, "end")[0]["probes"][0]
        self.assertEqual(probe["lost_ring"], 0)
        self.assertEqual(probe["callback_errors"], errors, json.dumps(probe))
        return stderr

    def test_throws(self):
        stderr = self.check_survives('local t = nil\nprint(t.field)', "attempt to index a nil value (local 't')")
        self.assertRegex(stderr, r"\.lua:7:7: error: on_event: ")
        self.assertIn("stack traceback:", stderr)
        self.assertIn("further errors are counted, not shown", stderr)

    def test_throws_after_emit(self):
        """An event that the callback had emitted before it failed is not there twice."""
        self.check_survives('out:emit(ev) error("late")', "late")

    def test_throws_anything(self):
        for value in ("{}", "nil", "setmetatable({}, { __tostring = function() error('x') end })", "print", "42"):
            with self.subTest(value):
                self.check_survives(f"error({value})", "error: on_event: ")

    def test_loops(self):
        """An endless callback is ended each time, and switched off before it makes the ring overflow."""
        stderr = self.check_survives("while true do end", "ran more than 10 million instructions", errors=3)
        self.assertIn("switched off", stderr)

    def test_loops_caught(self):
        self.check_survives("while true do pcall(function() while true do end end) end", "million instructions", errors=3)

    def test_pattern_of_death(self):
        self.check_survives("return ('a'):rep(40000):find('.-.-.-.-b')", "million instructions", errors=3)

    def test_eats_memory(self):
        self.check_survives("local t = {} while true do t[#t + 1] = { t } end", "more than 64 MiB of memory", errors=3)

    def test_big_string(self):
        self.check_survives("local s = ('x'):rep(1 << 40)", "too large")

    def test_recursion(self):
        self.check_survives("local function f() return 1 + f() end f()", "error: on_event: ", errors=3)

    def test_finalizer(self):
        self.check_survives("setmetatable({}, { __gc = function() while true do end end })", "__gc is not available")

    def test_coroutines(self):
        self.check_survives("coroutine.yield(ev)", "outside a coroutine")

    def test_keeps_coroutine(self):
        """An event that a coroutine has kept is as dead as any other."""
        said, records, stderr = self.with_callback(
            "if ev.number == 1 then co = coroutine.wrap(function() local mine = ev coroutine.yield() print(mine.pid) end)"
            "co() elseif ev.number == 2 then co() end", before="local co\n")
        self.assertEqual(len(said), 3)
        self.assertIn("event used after its callback", stderr)
        self.assertEqual(self.printed(records), [])

    def test_forged_events(self):
        for value in ("out", "{}", "nil", "rille.u64(1)", "io"):
            with self.subTest(value):
                self.check_survives(f"out:emit({value})", "event expected")

    def test_strict(self):
        """With --strict the first error ends the trace, with status 1."""
        _, _, stderr = self.with_callback('error("no further")', "--strict", pairs=5, status=1)
        self.assertRegex(stderr, r"\.lua:\d+:\d+: error: on_event: no further \[callback-error\]")
        self.assertNotIn("warning", stderr)

    def test_bad_rows(self):
        for row in ("{ a = {} }", "{ [1.5] = 2 }", "{ { 'a' }, 3 }", "{ [true] = 1 }"):
            with self.subTest(row):
                self.check_survives(f"out:row({row})", "error: on_event: row: ")

    # --- the sandbox ---

    def test_no_files(self):
        """A script reaches no file, process or C module; with --unsafe it does."""
        code = "print(io, os, debug, package, load, loadfile, dofile, string.dump, collectgarbage)"
        _, records, _ = self.with_callback(code, pairs=1)
        self.assertEqual(set(self.printed(records)[0].split("\t")), {"nil"})
        _, records, _ = self.with_callback("print(io.open('/proc/self/comm'):read())", "--unsafe", pairs=1)
        self.assertEqual(self.printed(records), [pathlib.Path(rille.RILLE).name[:15]])

    def test_require(self):
        """A script gets the Lua files beside it and the library, and nothing outside its folder."""
        with tempfile.TemporaryDirectory() as folder:
            def write(name, text):
                with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                    file.write(text)

            write("helper.lua", "return { fields = { 'fds = s32(usockvec, 2)' }, rille = require 'rille' }")
            subprocess.run(["ln", "-s", "/etc/hostname", f"{folder}/outside.lua"], check=True)
            write("a.lua", "local h = require 'helper' assert(h == require 'helper' and h.rille == rille)\n"
                           "assert(not pcall(require, 'outside') and not pcall(require, '..a'))\n"
                           "return { probes = { { 'syscall:socketpair', fields = h.fields } } }")
            done = rille.run("run", f"{folder}/a.lua", "--format", "jsonl", "-q", "--", sys.executable, "-c",
                             "import socket; socket.socketpair()")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(len(rille.events(done.stdout)), 1)


if __name__ == "__main__":
    unittest.main()
