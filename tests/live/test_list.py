"""What `rille list -v` says of this kernel's probes is what bpftrace says of them."""

import os
import re
import shutil
import subprocess
import unittest

import rille


def bpftrace(glob):
    """bpftrace needs a mounted tracefs: it gets one in a mount namespace of its own."""
    script = f"mount -t tracefs tracefs /sys/kernel/tracing && exec bpftrace -lv '{glob}'"
    return subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)


def probes(text):
    """{probe: [field …]}, in one spelling: bpftrace writes "char comm[16]" and "void * sk"."""
    found, fields = {}, None
    for line in text.splitlines():
        if not line.startswith(" "):
            fields = found.setdefault(line.strip(), [])
        else:
            field = re.sub(r"^(.*) (\w+)(\[\d+\])$", r"\1\3 \2", line.strip())
            fields.append(re.sub(r"\s*\*\s*", "*", field))
    return found


class List(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("tracefs needs root")
        if not shutil.which("bpftrace"):
            raise unittest.SkipTest("bpftrace is not installed")
        if bpftrace("tracepoint:sched:sched_switch").returncode:
            raise unittest.SkipTest("bpftrace cannot list tracepoints here")

    def compare(self, glob, least):
        theirs = probes(bpftrace(glob).stdout)
        ours = probes(rille.run("list", "-v", "probes", glob).stdout)
        self.assertGreater(len(theirs), least)
        self.assertEqual(list(ours), sorted(theirs))
        for name, fields in theirs.items():
            self.assertEqual(ours[name], fields, name)

    def test_tracepoints(self):
        """The same tracepoints in order of name, each with the same fields of the same types."""
        for category in ("sched", "sock", "net", "kmem", "signal", "irq", "timer", "power", "block"):
            with self.subTest(category):
                self.compare(f"tracepoint:{category}:*", 1)


if __name__ == "__main__":
    unittest.main()
