"""Objects that `rille emit --object` made are run where there is no compiler; what does not fit is refused."""

import os
import pathlib
import subprocess
import unittest

from rille import Workshop, events, run, why_not_trace

SCRIPT = """local lib = require "names.lib"
return {
  params = { { "number", "u32[]", default = { 246 } }, { "family", "const:AF_" } },
  probes = {
    {
      "syscall:socket",
      where = "protocol in $number && (!$family || family == $family)",
      fields = { { "family", as = "AF_" }, "parent = task->real_parent->pid", "protocol" },
      stack = "user",
      on_event = function(ev, out) lib.seen(ev); out:emit(ev) end,
    },
    { "tracepoint:sched:sched_process_exec", fields = { "filename" } },
  },
  on_end = function(out) out:row { sockets = lib.n } end,
}
"""
LIB = "local lib = { n = 0 }\nfunction lib.seen() lib.n = lib.n + 1 end\nreturn lib\n"
SOCKETS = ["/usr/bin/python3", "-c", "import socket\n"
           "for n in 246, 247:\n  try: socket.socket(socket.AF_INET, socket.SOCK_RAW, n).close()\n  except OSError: pass\n"]


class Objects(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        reason = why_not_trace()
        if reason:
            raise unittest.SkipTest(reason)
        cls.shop = Workshop()
        cls.addClassCleanup(cls.shop.close)
        (cls.shop.path / "names").mkdir()
        (cls.shop.path / "names" / "lib.lua").write_text(LIB, encoding="utf-8")
        cls.script = cls.shop.path / "script.lua"
        cls.script.write_text(SCRIPT, encoding="utf-8")
        cls.object = cls.emit("script.o", cls.script)
        # Elsewhere: nothing of what it was made of is there, and no compiler.
        cls.script.unlink()
        (cls.shop.path / "names" / "lib.lua").unlink()
        cls.env = dict(os.environ, RILLE_CC="/nonexistent/rille-cc")

    @classmethod
    def emit(cls, name, *args):
        target = cls.shop.path / name
        done = run("emit", *args, "--object", target)
        if done.returncode:
            raise AssertionError(done.stderr)
        return target

    def run_object(self, *args, path=None, status=0, **options):
        done = run("run", path or self.object, "--format", "jsonl", *args, env=self.env, **options)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def test_script(self):
        """The script comes along with its callbacks, parameters and the files that it requires; children are followed."""
        done = self.run_object("--", "sh", "-c", '"$0" "$@"; true', *SOCKETS)
        found = events(done.stdout)
        self.assertEqual([event["protocol"] for event in found if "protocol" in event], [246])
        self.assertIn(SOCKETS[0], " ".join(event.get("filename", "") for event in found))
        socket = next(event for event in found if "protocol" in event)
        self.assertEqual(socket["family"], "AF_INET")
        self.assertEqual(socket["parent"], socket["ppid"])
        self.assertEqual(socket["ustack_end"], "root")
        self.assertIn('"sockets":1', done.stdout)

    def test_parameters(self):
        done = self.run_object("--number", "246,247", "--", *SOCKETS)
        self.assertEqual([event["protocol"] for event in events(done.stdout) if "protocol" in event], [246, 247])
        done = self.run_object("--number", "246", "--family", "unix", "--", *SOCKETS)
        self.assertEqual([event["protocol"] for event in events(done.stdout) if "protocol" in event], [])

    def test_targets(self):
        """Who is traced was not decided when the object was made."""
        everybody = ["-d", "10s"]
        cases = ((["-n", "unlikely-name"], 0), (["-n", "sockets"], 1), (["-u", "4242"], 1), (["-u", "4243"], 0), ([], 1))
        for args, wanted in cases:
            with self.subTest(args=args):
                ready, notify = os.pipe()
                command = [os.environ.get("RILLE", "rille"), "run", self.object, "--ready-fd", str(notify), "--format",
                           "jsonl", *args, *everybody]
                with subprocess.Popen(list(map(str, command)), env=self.env, pass_fds=[notify], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True) as tracer:
                    os.close(notify)
                    self.assertTrue(os.read(ready, 64))
                    os.close(ready)
                    code = "open('/proc/self/comm','w').write('sockets')\nimport os; os.setuid(4242)\n" + SOCKETS[2]
                    subprocess.run([SOCKETS[0], "-c", code], check=True)
                    tracer.send_signal(2)
                    out, err = tracer.communicate(timeout=60)
                self.assertEqual(sum("protocol" in event for event in events(out)), wanted, err)

    def test_pid(self):
        """-p names a process that runs already; another is not traced."""
        go = "import sys\nsys.stdin.read(1)\n"
        with subprocess.Popen([SOCKETS[0], "-c", go + SOCKETS[2]], stdin=subprocess.PIPE) as target:
            ready, notify = os.pipe()
            command = [os.environ.get("RILLE", "rille"), "run", str(self.object), "--ready-fd", str(notify), "--format",
                       "jsonl", "-p", str(target.pid)]
            with subprocess.Popen(command, env=self.env, pass_fds=[notify], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True) as tracer:
                os.close(notify)
                self.assertTrue(os.read(ready, 64))
                os.close(ready)
                subprocess.run(SOCKETS, check=True)
                target.communicate(b"x")
                out, _ = tracer.communicate(timeout=60)
        self.assertEqual([event["pid"] for event in events(out) if "protocol" in event], [target.pid])

    def test_mismatch(self):
        """A setting that makes another program is refused, with what to do."""
        done = self.run_object("--filter", "pid > 1", "--", "true", status=2)
        self.assertIn("[object-mismatch]", done.stderr)
        self.assertIn("emit the object anew", done.stderr)
        same = self.emit("filtered.o", "-e", '{ "syscall:getppid", fields = { "ret" } }', "--filter", "pid > 1")
        self.run_object("--", "true", path=same)

    def test_damage(self):
        """A changed byte anywhere, a cut, or another file is told; nothing is loaded."""
        good = self.object.read_bytes()
        bad = self.shop.path / "bad.o"
        changed = [good[:i] + bytes([good[i] ^ 0x20]) + good[i + 1:] for i in range(4, len(good), len(good) // 12)]
        for text in [*changed, good[:-1], good[:4096], pathlib.Path("/bin/true").read_bytes()]:
            bad.write_bytes(text)
            self.assertIn("[bad-object]", self.run_object("--", "true", path=bad, status=2).stderr)


if __name__ == "__main__":
    unittest.main()
