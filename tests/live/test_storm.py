"""Many processes that are gone before anybody looks: nothing is lost, nothing hangs, and a stack that is incomplete says why."""

import collections
import pathlib
import subprocess
import tempfile
import time
import unittest

import jvm
import rille

SERIAL = True  # its processes fill the machine


class Storm(unittest.TestCase):
    def setUp(self):
        rille.need_trace()
        # pylint: disable-next=consider-using-with
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.dir = pathlib.Path(tmp.name)

    def trace(self, script, *command):
        written = self.dir / "out.jsonl"
        began = time.monotonic()
        done = rille.run("run", script, "-o", f"jsonl:{written}", "--", *command, timeout=250)
        self.assertEqual(done.returncode, 0, done.stderr)
        return rille.records(written.read_text(encoding="utf-8")), time.monotonic() - began

    def test_a_thousand_short_processes(self):
        pair = self.dir / "pair"
        subprocess.run(["cc", "-O2", "-fomit-frame-pointer", "-o", pair, rille.PROGRAMS / "pair.c"], check=True)
        records, _ = self.trace("socketpair", "sh", "-c", f"i=0; while [ $i -lt 1000 ]; do {pair} >/dev/null; i=$((i+1)); done")
        events = [r for r in records if r["type"] == "event"]
        # each makes a pair and so does its child
        self.assertEqual(len(events), 2000)
        self.assertEqual(len({e["pid"] for e in events}), 2000)
        ends = collections.Counter(e["ustack_end"] for e in events)
        self.assertGreaterEqual(ends["root"], 1990, ends)
        for event in events:
            if event["ustack_end"] == "root":
                names = [frame.get("name") for frame in event["ustack"]]
                self.assertEqual(names[:4], ["socketpair", "leaf", "mid", "main"])
        self.assertEqual(records[-1]["type"], "end")

    def test_twenty_short_jvms(self):
        jvm.need()
        home = sorted(jvm.jdks().items())[0][1]
        records, _ = self.trace("unix", "sh", "-c", f"for i in 1 2 3 4; do for j in 1 2 3 4 5; do "
            f"{home}/bin/java -version 2>/dev/null & done; wait; done")
        events = [r for r in records if r["type"] == "event"]
        # the name service is asked twice by each
        self.assertEqual(len(events), 40)
        ends = collections.Counter(e["ustack_end"] for e in events)
        self.assertEqual(sum(ends.values()), 40)
        self.assertGreaterEqual(ends["root"], 38, ends)
        for event in events:
            if event["ustack_end"] == "root":
                self.assertIn("JNI_CreateJavaVM", [frame.get("name") for frame in event["ustack"]])


if __name__ == "__main__":
    unittest.main()
