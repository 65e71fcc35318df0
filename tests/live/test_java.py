"""Stacks of a JVM that was started without a flag, before the tracer: from the system call to the start of the thread."""

import pathlib
import re
import shutil
import subprocess
import unittest

import jvm


def lines_of(source):
    """The lines that the program's comments name: {"depth": 21, …}."""
    text = (jvm.PROGRAMS / source).read_text().splitlines()
    return {m[1]: n for n, line in enumerate(text, 1) if (m := re.search(r"// line: (\w+)", line))}


def names(event, kind):
    return [frame.get("name") for frame in event["ustack"] if frame["kind"] == kind]


class Attach(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        jvm.need()
        cls.shop = jvm.Workshop("Watch.java")
        cls.lines = lines_of("Watch.java")

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()

    def start(self, major, options=(), **java):
        if major not in jvm.jdks():
            self.skipTest(f"JDK {major} is not installed")
        program = self.shop.java(major, options, "Watch", **java)
        self.addCleanup(jvm.stop, program)
        return program

    def trace(self, recipe, program, pid=None, options=()):
        """The one event of the recipe while the program does its work."""
        tracer = jvm.Tracer(recipe, "-p", pid or program.pid, options=options)
        self.addCleanup(tracer.close)
        program.stdin.write("\n")
        program.stdin.flush()
        self.assertEqual(program.stdout.readline(), "done\n")
        tracer.wait_for_events(1)
        program.stdin.close()
        tracer.wait()
        events = list(tracer.events())
        self.assertEqual(len(events), 1)
        return events[0]

    def trace_ready(self, recipe, program, pid=None, options=()):
        self.assertEqual(program.stdout.readline(), "ready\n")
        return self.trace(recipe, program, pid, options)

    def program_frames(self, line):
        at = self.lines
        return [("Watch.open", at[line]), ("Watch.depth", at["bottom"])] + [("Watch.depth", at["depth"])] * 4 + [
            ("Watch.main", at["main"])]

    def check(self, event, inner, line):
        """The Java frames are `inner` (names, innermost first), then the program's own with their lines; the launcher's are below."""
        frames = jvm.java_frames(event)
        own = self.program_frames(line)
        self.assertEqual([name for name, _ in frames[:-len(own)]], inner)
        self.assertEqual(frames[-len(own):], own)
        self.assertTrue(all(at == -2 or at > 0 for _, at in frames), frames)
        kinds = [frame["kind"] for frame in event["ustack"]]
        below = event["ustack"][len(kinds) - kinds[::-1].index("java"):]
        self.assertEqual((below[0]["kind"], below[0]["name"]), ("stub", "call_stub"))
        below = [frame.get("name") or frame["module"] for frame in below]
        # The launcher's thread: JavaMain calls main through JNI. The rest of the names depend on libjvm having its symbol table.
        self.assertTrue(any("JavaMain" in name for name in below), below)
        self.assertEqual(event["ustack_end"], "root")

    def test_watch_service_on_17(self):
        event = self.trace_ready("socketpair", self.start(17))
        self.assertRegex(event["ustack"][0]["name"], "socketpair")
        self.assertIn("Java_sun_nio_fs_LinuxWatchService_socketpair", names(event, "native"))
        self.check(event, ["sun.nio.fs.LinuxWatchService.socketpair", "sun.nio.fs.LinuxWatchService.<init>",
            "sun.nio.fs.LinuxFileSystem.newWatchService"], "watch")

    def check_bind(self, event):
        self.assertIn("Java_sun_nio_ch_Net_bind0", names(event, "native"))
        inner = [name for name, _ in jvm.java_frames(event)][:-7]
        self.assertEqual(inner[0], "sun.nio.ch.Net.bind0")
        self.assertIn("sun.nio.ch.ServerSocketChannelImpl.bind", inner)
        self.check(event, inner, "bind")

    def test_bind_on_17(self):
        self.check_bind(self.trace_ready("bind", self.start(17)))

    def test_bind_on_25(self):
        self.check_bind(self.trace_ready("bind", self.start(25)))

    def test_bind_in_code_compiled_at_once(self):
        for major in sorted(jvm.jdks()):
            with self.subTest(jdk=major):
                self.check_bind(self.trace_ready("bind", self.start(major, ["-Xcomp"])))

    def test_jvm_that_has_just_started(self):
        """The tracer is there before the JVM has set itself up."""
        for major in sorted(jvm.jdks()):
            with self.subTest(jdk=major):
                program = self.start(major)
                tracer = jvm.Tracer("bind", "-p", program.pid)
                self.addCleanup(tracer.close)
                self.assertEqual(program.stdout.readline(), "ready\n")
                program.stdin.write("\n")
                program.stdin.flush()
                self.assertEqual(program.stdout.readline(), "done\n")
                tracer.wait_for_events(1)
                program.stdin.close()
                tracer.wait()
                events = list(tracer.events())
                self.assertEqual(len(events), 1)
                self.check_bind(events[0])

    def test_signatures(self):
        """On request only, and as javap has them."""
        said = subprocess.run([jvm.compiler() / "bin" / "javap", "-s", "-p", "-cp", self.shop.path, "Watch"],
            stdout=subprocess.PIPE, text=True, check=True).stdout
        oracle = {"Watch." + name: signature for name, signature in
            re.findall(r"(\w+)\([^)]*\)[^;]*;\n\s+descriptor: (\S+)", said)}
        major = min(jvm.jdks())
        for options, wanted in [((), False), (("--signatures",), True)]:
            event = self.trace_ready("bind", self.start(major), options=options)
            frames = [frame for frame in event["ustack"] if frame.get("name", "").startswith("Watch.")]
            for frame in frames:
                self.assertEqual(frame.get("signature"), oracle[frame["name"]] if wanted else None)

    def test_stripped_jvm(self):
        """The tables are found through dynamic symbols, which stay."""
        for major in sorted(jvm.jdks()):
            with self.subTest(jdk=major):
                home = self.shop.copy_of_jdk(major)
                self.addCleanup(shutil.rmtree, home)
                subprocess.run(["strip", "--strip-all", home / "lib" / "server" / "libjvm.so"], check=True)
                self.check_bind(self.trace_ready("bind", self.start(major, home=home)))

    def test_deleted_jvm(self):
        """The JDK was upgraded while the program runs."""
        for major in sorted(jvm.jdks()):
            with self.subTest(jdk=major):
                home = self.shop.copy_of_jdk(major)
                program = self.start(major, home=home)
                self.assertEqual(program.stdout.readline(), "ready\n")
                self.addCleanup(shutil.rmtree, home)
                library = home / "lib" / "server" / "libjvm.so"
                library.unlink()
                library.write_bytes(b"another file")
                self.check_bind(self.trace("bind", program))

    def test_jvm_in_a_container(self):
        """In pid and mount namespaces of its own, at a path that is not there outside."""
        for major in sorted(jvm.jdks()):
            with self.subTest(jdk=major):
                hidden = self.shop.path / f"hidden-{major}"
                hidden.mkdir()
                inside = ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "sh", "-c",
                    f'mount --bind {jvm.jdks()[major]} {hidden} && exec "$@"', "sh"]
                program = self.start(major, home=hidden, prefix=inside)
                self.assertEqual(program.stdout.readline(), "ready\n")
                self.assertEqual(list(hidden.iterdir()), [])
                child = pathlib.Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()[0]
                self.check_bind(self.trace("bind", program, child))


if __name__ == "__main__":
    unittest.main()
