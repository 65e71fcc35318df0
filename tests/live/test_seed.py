"""Where does descriptor 4 come from? A small program makes a socket pair in leaf ← mid ← main, also in a forked child,
and exits at once. The trace has exactly those two events, with both descriptors, both inodes and the whole stack, though
another process makes pairs all the time."""

import re
import shutil
import subprocess
import tempfile
import unittest

import rille

FLAGS = {
    "with frame pointers": ["-O1", "-g", "-fno-omit-frame-pointer"],
    "without frame pointers": ["-O2", "-fomit-frame-pointer"],
}
RUNS = 50  # of each


class Seed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        if not shutil.which("gcc") and not shutil.which("cc"):
            raise unittest.SkipTest("no C compiler is installed")
        cls.shop = rille.Workshop()
        cls.programs = {
            how: cls.shop.compile("pair.c", *flags, name=f"pair{number}")
            for number, (how, flags) in enumerate(FLAGS.items())
        }
        cls.noise = subprocess.Popen([cls.shop.compile("pairs_forever.c", "-O2")])

    @classmethod
    def tearDownClass(cls):
        cls.noise.kill()
        cls.noise.wait()
        cls.shop.close()

    def trace(self, program):
        """(what the program says of itself, the events) of one run."""
        with tempfile.NamedTemporaryFile("r", prefix="rille-events-") as out:
            done = rille.run("run", "socketpair", "-q", "-o", f"jsonl:{out.name}", "--", program)
            self.assertEqual(done.returncode, 0, done.stderr)
            said = [list(map(int, line.split())) for line in done.stdout.splitlines()]
            records = rille.records(out.read())
            events = [record for record in records if record["type"] == "event"]
            ends = [(e["pid"], e["ustack_end"], [f["name"] or f.get("module") for f in e["ustack"]]) for e in events]
            self.assertEqual(done.stderr, "", (ends, records[-1]))
            return said, events

    def check_stack(self, event, program):
        """Every frame has a name or a place in a module, and they are the calls that the source says."""
        frames = event["ustack"]
        for frame in frames:
            self.assertTrue(frame["name"] or frame.get("module"), frame)
            self.assertNotIn("how", frame, "found by unwind tables")
        names = [frame["name"] for frame in frames]
        self.assertRegex(names[0], r"^(__)?socketpair(@.*)?$")
        self.assertEqual(names[1:4], ["leaf", "mid", "main"])
        self.assertTrue(all(frame["module"] == str(program) for frame in frames[1:4]), frames)
        self.assertEqual(names[-1], "_start")
        # libc's own start code between main and _start: by name, or as a place in libc.
        between = frames[4:-1]
        self.assertTrue(1 <= len(between) <= 3, names)
        self.assertTrue(all("libc" in frame["module"] for frame in between), between)
        self.assertTrue(any(re.match("__libc_start_main", frame["name"] or "") for frame in between), between)
        self.assertEqual(event["ustack_end"], "root")

    def check_run(self, program):
        said, events = self.trace(program)
        self.assertEqual(len(said), 2)
        self.assertEqual(len(events), 2, events)
        by_pid = {event["pid"]: event for event in events}
        for (pid, first, second, *inodes), kind in zip(said, ("SOCK_STREAM", "SOCK_DGRAM")):
            event = by_pid[pid]
            self.assertEqual(event["probe"], "syscall:socketpair")
            self.assertEqual(event["fds"], [first, second])
            self.assertEqual(event["inodes"], inodes)
            self.assertEqual((event["family"], event["type_"]), ("AF_UNIX", kind))
            self.assertEqual(event["comm"], program.name)
            self.assertEqual(event["tid"], pid)
            self.check_stack(event, program)
        self.assertEqual(by_pid[said[1][0]]["ppid"], said[0][0])

    def test_seed(self):
        """Every run shows both pairs and nothing else, as the program itself sees them."""
        for how, program in self.programs.items():
            for number in range(RUNS):
                with self.subTest(how=how, run=number):
                    self.check_run(program)

    def test_as_strace(self):
        """strace sees the same calls, in the same processes, with the same descriptors, in a run of its own; the events
        of two runs of one program differ in nothing but ids."""
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        program = self.programs["without frame pointers"]
        with tempfile.NamedTemporaryFile("r", prefix="rille-strace-") as out:
            subprocess.run(["strace", "-f", "-e", "trace=socketpair", "-o", out.name, program], check=True,
                           stdout=subprocess.DEVNULL)
            seen = re.findall(r"socketpair\((\w+), (\w+), 0, \[(\d+), (\d+)\]\) = 0", out.read())
        _, events = self.trace(program)
        traced = [(e["family"], e["type_"], *map(str, e["fds"])) for e in events]
        self.assertEqual(sorted(traced), sorted(seen))

    def test_text(self):
        """The same in text: an event a line, then its frames, indented."""
        program = self.programs["without frame pointers"]
        with tempfile.NamedTemporaryFile("r", prefix="rille-events-") as out:
            done = rille.run("run", "socketpair", "-q", "-o", out.name, "--", program)
            self.assertEqual(done.returncode, 0, done.stderr)
            text = out.read()
        first = done.stdout.split()
        self.assertEqual(text.count("syscall:socketpair"), 2, text)
        line = next(line for line in text.splitlines() if f"{program.name} {first[0]} " in line)
        self.assertIn(f" fds=[{first[1]},{first[2]}] inodes=[{first[3]},{first[4]}] ", line)
        self.assertRegex(line, r"^\d\d:\d\d:\d\d\.\d{6} syscall:socketpair ")
        for name in ("leaf", "mid", "main", "_start"):
            self.assertRegex(text, rf"\n    {name}\+0x[0-9a-f]+ \({program.name}\)")


if __name__ == "__main__":
    unittest.main()
