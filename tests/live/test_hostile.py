"""Targets that lie: no crash, no hang, and nothing that is wrong is shown as right.

A program of ours calls socketpair() through code that it generated, with libraries beside it that pretend to be a JVM, files that
are replaced by FIFOs, memory that blocks its reader, perf maps that are not its own, and names with escape sequences. Of each the
event must come, its native frames must be right, and the tracer must end on time.
"""

import os
import pathlib
import subprocess
import tempfile
import time
import unittest

import jvm
import rille

SECONDS = 20  # for a tracer that is not stuck
ESCAPE = "\x1b"


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        # pylint: disable-next=consider-using-with
        cls.tmp = tempfile.TemporaryDirectory(prefix="rille-hostile-")
        cls.dir = pathlib.Path(cls.tmp.name)
        cls.program = cls.compile("hostile", "hostile.c", "-rdynamic", "-O1", "-fno-omit-frame-pointer")

    @classmethod
    def tearDownClass(cls):
        cls.tmp.cleanup()

    @classmethod
    def compile(cls, name, source, *options):
        target = cls.dir / name
        target.parent.mkdir(exist_ok=True)
        subprocess.run(["cc", "-g", "-o", target, rille.PROGRAMS / source, *options], check=True)
        return target

    def fake_jvm(self, kind):
        return self.compile(f"{self.id().rsplit('.', 1)[-1]}/libjvm.so", "fakejvm.c", "-shared", "-fPIC", f"-DKIND={kind}",
            "-fno-omit-frame-pointer")

    def trace(self, *arguments, calls=3, before=None):
        """The events of a number of calls, the tracer's errors, and how long it took to end."""
        with subprocess.Popen([self.program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as target:
            line = target.stdout.readline()
            if not line and target.wait() == 77:
                self.skipTest("userfaultfd is not allowed here")
            self.assertEqual(line, b"ready\n")
            if before:
                before(target.pid)
            began = time.monotonic()
            tracer = rille.start("run", "socketpair", "-p", target.pid, "--format", "jsonl")
            said = []
            for _ in range(calls):
                target.stdin.write(b"\n")
                target.stdin.flush()
                said.append([int(fd) for fd in target.stdout.readline().split()])
                time.sleep(0.05)
            time.sleep(0.3)
            target.stdin.close()
            output, errors = tracer.communicate(timeout=SECONDS)
            took = time.monotonic() - began
        self.assertEqual(tracer.returncode, 0, errors)
        self.assertLess(took, SECONDS)
        events = rille.events(output)
        self.assertEqual([event["fds"] for event in events], said)
        return events

    def check_native(self, events, *middle):
        """From the system call to main, with what is between; nobody is given a Java name."""
        for event in events:
            names = [frame.get("name") for frame in event["ustack"]]
            self.assertEqual(names[:2], ["socketpair", "make_pair"])
            self.assertIn("main", names)
            between = names[2:names.index("main")]
            for name in middle:
                self.assertIn(name, between)
            self.assertNotIn("java", {frame["kind"] for frame in event["ustack"]})
            self.assertEqual(event["ustack_end"], "root")

    def test_generated_code_is_marked(self):
        events = self.trace("-")
        self.check_native(events)
        for event in events:
            self.assertEqual(event["ustack"][2]["kind"], "unknown")
            self.assertEqual(event["ustack"][3]["how"], "fp")

    def test_tables_of_noise(self):
        self.check_native(self.trace(self.fake_jvm(0)), "through")

    def test_tables_without_an_end(self):
        self.check_native(self.trace(self.fake_jvm(1)), "through")

    def test_offsets_out_of_this_world(self):
        self.check_native(self.trace(self.fake_jvm(2)), "through")

    def test_memory_that_blocks_its_reader(self):
        self.check_native(self.trace(self.fake_jvm(2), "fault"), "through")

    def test_a_fifo_where_the_library_was(self):
        self.check_native(self.trace(self.fake_jvm(2), "fifo"), "through")

    def perf_map(self, pid, lines, owner=None, size=None):
        path = pathlib.Path(f"/tmp/perf-{pid}.map")
        maps = pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
        start = next(int(line.split("-")[0], 16) for line in maps.splitlines() if "rwxp" in line)
        path.write_text("".join(line.format(start=start) for line in lines), encoding="utf-8")
        self.addCleanup(path.unlink)
        if size:
            os.truncate(path, size)
        if owner is not None:
            os.chown(path, owner, owner)

    def test_perf_map_names_generated_code(self):
        events = self.trace("-", before=lambda pid: self.perf_map(pid, ["{start:x} 1000 first\n", "{start:x} 1000 mine\n"]))
        self.check_native(events, "mine")

    def test_perf_map_of_another_user_is_not_read(self):
        events = self.trace("-", before=lambda pid: self.perf_map(pid, ["{start:x} 1000 theirs\n"], owner=65534))
        self.check_native(events)
        self.assertNotIn("theirs", [frame.get("name") for event in events for frame in event["ustack"]])

    def test_perf_map_of_ten_gigabytes(self):
        events = self.trace("-", before=lambda pid: self.perf_map(pid, ["{start:x} 1000 big\n"], size=10 << 30))
        self.check_native(events, "big")

    def test_perf_map_that_is_a_link(self):
        def link(pid):
            path = pathlib.Path(f"/tmp/perf-{pid}.map")
            path.symlink_to("/etc/passwd")
            self.addCleanup(path.unlink)
        self.check_native(self.trace("-", before=link))

    def test_names_with_escapes(self):
        """A symbol that would colour the terminal is shown as its bytes, in text and in JSON."""
        objects = self.dir / "pair.o"
        evil = self.dir / "evil"
        subprocess.run(["cc", "-c", "-o", objects, rille.PROGRAMS / "pair.c"], check=True)
        subprocess.run(["objcopy", "--redefine-sym", f"leaf=le{ESCAPE}[31maf\n", objects], check=True)
        subprocess.run(["cc", "-o", evil, objects], check=True)
        text = rille.run("run", "socketpair", "--color", "always", "--", evil).stdout
        line = next(line for line in text.splitlines() if "af" in line and "le" in line)
        self.assertIn(r"le\x1b[31maf\x0a", line)
        written = self.dir / "evil.jsonl"
        rille.run("run", "socketpair", "-o", f"jsonl:{written}", "--", evil)
        events = rille.events(written.read_text(encoding="utf-8"))
        self.assertIn(f"le{ESCAPE}[31maf\n", [frame.get("name") for frame in events[0]["ustack"]])

    def test_method_names_with_escapes(self):
        """The JVM takes nearly any bytes as a method's name; so does the JSON, and a terminal gets none of them."""
        jvm.need()
        home = jvm.compiler()
        source = self.dir / "Evil.java"
        source.write_text("""
            public class Evil {
                static void evilname() throws Exception { java.nio.channels.DatagramChannel.open().close(); }
                public static void main(String[] args) throws Exception { evilname(); Thread.sleep(500); }
            }""", encoding="utf-8")
        subprocess.run([home / "bin" / "javac", "-d", self.dir, source], check=True)
        compiled = self.dir / "Evil.class"
        compiled.write_bytes(compiled.read_bytes().replace(b"evilname", b"\x1b\x07ev\nil\x7f"))
        written = self.dir / "evil-java.jsonl"
        done = rille.run("run", "socket", "-o", "text:-", "-o", f"jsonl:{written}", "--", home / "bin" / "java", "-cp", self.dir,
            "Evil", env=os.environ | {"LC_ALL": "C.UTF-8"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn(ESCAPE, done.stdout)
        self.assertIn(r"Evil.\x1b\x07ev\x0ail\x7f(Evil.java:3)", done.stdout)
        names = [frame.get("name") for event in rille.events(written.read_text(encoding="utf-8")) for frame in event["ustack"]]
        self.assertIn("Evil.\x1b\x07ev\nil\x7f", names)


if __name__ == "__main__":
    unittest.main()
