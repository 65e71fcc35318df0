"""Many JVMs that live for a moment: what names their frames is in their memory, and gone with it."""

import json
import subprocess
import unittest

import jvm
import test_java

SERIAL = True
JVMS = 100 if jvm.LONG else 20
AT_ONCE = 4


class Storm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        jvm.need()
        cls.shop = jvm.Workshop("Watch.java")
        cls.lines = test_java.lines_of("Watch.java")

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()

    def trace(self, major):
        """Each JVM binds a port as soon as it runs, and ends."""
        java = jvm.jdks()[major] / "bin" / "java"
        storm = f"seq {JVMS} | xargs -P {AT_ONCE} -I @ {java} -Xshare:auto -cp {self.shop.path} Watch"
        run = subprocess.run([jvm.RILLE, "run", "bind", "--format", "jsonl", "--", "sh", "-c", storm],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=250, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        records = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
        return [record for record in records if record["type"] == "event"]

    def own_frames(self):
        at = self.lines
        return [("Watch.open", at["bind"]), ("Watch.depth", at["bottom"])] + [("Watch.depth", at["depth"])] * 4 + [
            ("Watch.main", at["main"])]

    def test_every_jvm_is_seen_and_no_frame_is_wrong(self):
        for major in sorted(jvm.jdks()):
            with self.subTest(jdk=major):
                events = self.trace(major)
                self.assertEqual(len(events), JVMS)
                self.assertEqual(len({event["pid"] for event in events}), JVMS)
                for event in events:
                    own = [frame for frame in jvm.java_frames(event) if frame[0].startswith("Watch.")]
                    if event["ustack_end"] == "root":
                        self.assertEqual(own, self.own_frames())
                    else: # the part that was found, and why there is no more
                        self.assertEqual(own, self.own_frames()[:len(own)])
                        self.assertIn(event["ustack_end"], ["process-gone", "unreadable"])
                    self.assertEqual(event["ustack"][0]["kind"], "native")


if __name__ == "__main__":
    unittest.main()
