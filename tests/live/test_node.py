"""JavaScript frames of a running Node equal what `new Error().stack` says at the same place.

tests/programs/shapes.js makes access(2) calls from functions of many shapes, interpreted, baseline compiled and optimised, and
writes its own stack trace at each. The oracle is V8's stack trace: same functions, same lines, same order.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import rille

ROUNDS = "20" if os.environ.get("RILLE_LONG") else "5"
SCRIPT = """return { probes = { { "syscall:access",
  where = 'str(filename) ~ "/rille-node/*"', fields = { "path = str(filename)" }, stack = "user" } } }"""

FRAME = re.compile(r"^ +at (?:(?P<name>.*) \((?P<place>.*)\)|(?P<bare>.*))$")
PLACE = re.compile(r"^(?P<file>.*):(?P<line>\d+):\d+$")


def parse(line):
    """A line of Error.stack as (name or '', file, line); None for a builtin or evaluated text, which have no file."""
    match = FRAME.match(line)
    if "(eval at " in line:
        return None
    place = PLACE.match(match["place"] or match["bare"])
    name = re.sub(r"^(new|async) ", "", match["name"] or "")
    name = re.sub(r" \[as .*\]$", "", name)
    return place and (name, place["file"], int(place["line"]))


def expected(record):
    frames = [parse(line) for line in record["stack"] if " at async " not in line]
    return [frame for frame in frames if frame]


def same(oracle, frame):
    """V8 writes the receiver's type before a method's name, and calls a function without a name by the property that it was
    called through; the frame has the function's own name."""
    name, file, line = oracle
    own = frame["name"]
    if own == "<anonymous>":
        named = not name or "." in name
    else:
        named = name == own or name.endswith("." + own)
    return named and frame.get("file") == file and frame.get("line") == line


def why_not():
    return rille.why_not_trace() or (None if shutil.which("node") else "node is not installed")


def trace_node(arguments, script):
    """The events of a Node program, which says when it is there and waits for a line before it does anything."""
    with subprocess.Popen(["node", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout.readline() == b"ready\n"
        tracer = rille.start("run", script, "-p", program.pid, "--format", "jsonl")
        program.stdin.write(b"go\n")
        program.stdin.flush()
        output, errors = tracer.communicate(timeout=120)
    assert tracer.returncode == 0, errors
    return rille.events(output)


def differences(oracle, ours):
    if len(oracle) != len(ours):
        return f"{len(oracle)} frames expected:\n  {oracle}\n  {ours}"
    return [(a, b) for a, b in zip(oracle, ours) if not same(a, dict(zip(("name", "file", "line"), b)))]


class Node(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if why_not():
            raise unittest.SkipTest(why_not())
        cls.truth, cls.events = cls.trace()

    @classmethod
    def trace(cls):
        with tempfile.TemporaryDirectory() as tmp:
            script, out = pathlib.Path(tmp) / "access.lua", pathlib.Path(tmp) / "out"
            script.write_text(SCRIPT, encoding="utf-8")
            events = trace_node([rille.PROGRAMS / "shapes.js", out, ROUNDS], script)
            truth = rille.records(out.read_text(encoding="utf-8"))
        return truth, {int(event["path"].rsplit("/", 1)[1]): event for event in events}

    def test_every_call_was_seen(self):
        self.assertEqual([r["n"] for r in self.truth], sorted(self.events))

    def split(self):
        """The stacks that differ, apart: those with a mark that says so, and those that are wrong without one."""
        marked, wrong = [], []
        for record in self.truth:
            event = self.events[record["n"]]
            frames = [f for f in event["ustack"] if f["kind"] == "js"]
            # accessSync itself is above the place where the trace was taken
            ours = [f for f in frames if f.get("file")][1:]
            oracle = expected(record)
            if len(ours) == len(oracle) and all(map(same, oracle, ours)):
                continue
            known = any(f.get("how") == "approx" for f in frames) or event["ustack_end"] != "root"
            brief = [(f["name"], f.get("file"), f.get("line"), f.get("tier"), f.get("how")) for f in ours]
            (marked if known else wrong).append((record["n"], oracle, brief))
        return marked, wrong

    def test_names_and_lines_equal_error_stack(self):
        marked, wrong = self.split()
        detail = "\n".join(f"call {n}: {differences(a, b)}" for n, a, b in (wrong or marked)[:5])
        self.assertEqual(len(wrong), 0, f"of {len(self.truth)} stacks are wrong\n{detail}")
        # An object can be moved twice before we look, on a machine that is busy.
        self.assertLessEqual(len(marked), len(self.truth) // 20, f"of {len(self.truth)} stacks are not known\n{detail}")

    def test_every_stack_reaches_its_root(self):
        ends = [e["ustack_end"] for e in self.events.values()]
        self.assertEqual(set(ends), {"root"})

    def test_all_tiers_were_seen(self):
        frames = [f for e in self.events.values() for f in e["ustack"] if f["kind"] == "js"]
        self.assertLessEqual({"interp", "baseline", "turbofan"}, {f.get("tier") for f in frames})
        self.assertTrue(any(f.get("inlined") for f in frames), "no inlined function was seen")


class Listen(unittest.TestCase):
    """A server that listens: bind is called under the script's own line."""

    PROGRAM = """
const net = require('net')
function listen() {
  return net.createServer().listen(0, () => setTimeout(process.exit, 1000, 0))
}
process.stdin.once('data', () => { listen() })
process.stdout.write('ready\\n')
"""

    def test_bind_is_under_the_line_that_listens(self):
        if why_not():
            self.skipTest(why_not())
        with tempfile.TemporaryDirectory() as tmp:
            path = pathlib.Path(tmp) / "server.js"
            path.write_text(self.PROGRAM, encoding="utf-8")
            events = trace_node([path], "bind")
        self.assertEqual(len(events), 1)
        frames = [(f["name"], os.path.basename(f.get("file") or "")) for f in events[0]["ustack"] if f["kind"] == "js"]
        self.assertIn(("listen", "server.js"), frames)
        self.assertEqual(events[0]["ustack_end"], "root")


if __name__ == "__main__":
    unittest.main()
