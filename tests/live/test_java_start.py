"""A JVM traced from its first instruction: who opens sockets before any Java code runs.

With its defaults HotSpot keeps performance counters in a file that is named for the user, so it asks glibc for the user's name, and
glibc asks its name service cache, which is a Unix socket: two of them in JDK 17, one for each way glibc talks to it. The oracle is
strace -k, which unwinds the same stacks with libunwind.
"""

import json
import os
import re
import shutil
import struct
import subprocess
import time
import unittest

import jvm

MAJOR = 17
WANTED = ["getpwuid_r", "PerfMemory::create_memory_region", "JNI_CreateJavaVM", "JavaMain", "ThreadJavaMain"]


def strace_stacks(java):
    """The modules of each frame of each AF_UNIX socket call, innermost first."""
    run = subprocess.run(["strace", "-f", "-q", "-k", "-e", "trace=socket", "-e", "signal=none", java, "-version"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    stacks, current = [], None
    for line in run.stderr.splitlines():
        frame = re.match(r" > (\S+?)\(.*\) \[0x([0-9a-f]+)\]", line)
        if "socket(AF_UNIX" in line:
            current = []
            stacks.append(current)
        elif frame and current is not None:
            current.append(os.path.basename(frame[1]))
        else:
            current = None
    return stacks


class Start(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        jvm.need()
        if MAJOR not in jvm.jdks():
            raise unittest.SkipTest(f"JDK {MAJOR} is not installed")
        cls.java = str(jvm.jdks()[MAJOR] / "bin" / "java")

    def trace(self, *command):
        run = subprocess.run([jvm.RILLE, "run", "unix", "--format", "jsonl", "--", *command], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        records = [json.loads(line) for line in run.stdout.splitlines()]
        return [record for record in records if record["type"] == "event"]

    def test_name_service_sockets(self):
        events = self.trace(self.java, "-version")
        self.assertEqual(len(events), 2)
        for event in events:
            found = [name for frame in event["ustack"] if (name := frame.get("name"))]
            order = [next((i for i, name in enumerate(found) if name.split("(")[0] == want), None) for want in WANTED]
            self.assertNotIn(None, order, f"{WANTED} in {found}")
            self.assertEqual(order, sorted(order))
            self.assertEqual(event["ustack_end"], "root")
            self.assertGreaterEqual(event["fd"], 0)
            self.assertGreater(event["inode"], 0)
        self.assertNotEqual(events[0]["inode"], events[1]["inode"])

    def test_frames_agree_with_strace(self):
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        oracle = strace_stacks(self.java)
        ours = [[os.path.basename(frame.get("module", "?")) for frame in event["ustack"]]
            for event in self.trace(self.java, "-version")]
        self.assertEqual(ours, oracle)

    def test_name_service_under_java_frames(self):
        """Without the counters it is Java that first asks for the user's name, while the JVM is still starting."""
        shop = jvm.Workshop("Watch.java")
        self.addCleanup(shop.close)
        command = [jvm.RILLE, "run", "unix", "--format", "jsonl", "--limit", "2", "--", self.java, "-XX:-UsePerfData", "-cp",
            str(shop.path), "Watch"]
        tracer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(jvm.stop, tracer)
        records = [json.loads(line) for line in tracer.stdout if line.startswith("{")]
        events = [record for record in records if record["type"] == "event"]
        self.assertEqual(len(events), 2)
        for event in events:
            java = [name for name, _ in jvm.java_frames(event)]
            self.assertEqual(java[:2], ["jdk.internal.util.SystemProps$Raw.platformProperties",
                "jdk.internal.util.SystemProps$Raw.<init>"])
            self.assertEqual(java[-1], "java.lang.System.initPhase1")
            self.assertEqual(event["ustack_end"], "root")


class Memory:
    """Of a running JVM: what it says of itself to debuggers, read and written through /proc/PID/mem."""

    def __init__(self, pid, libjvm):
        self.file = open(f"/proc/{pid}/mem", "r+b", buffering=0)
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
            self.base = int(next(line for line in maps if line.rstrip().endswith("/libjvm.so")).split("-")[0], 16)
        listed = subprocess.run(["nm", "-D", "--defined-only", libjvm], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.symbols = {words[2].split("@")[0]: int(words[0], 16) for words in map(str.split, listed.splitlines())}

    def close(self):
        self.file.close()

    def peek(self, address, size=8):
        self.file.seek(address)
        return self.file.read(size)

    def poke(self, address, data):
        self.file.seek(address)
        self.file.write(data)

    def word(self, address):
        return struct.unpack("Q", self.peek(address))[0]

    def text(self, address):
        return self.peek(address, 64).split(b"\0")[0].decode() if address else ""

    def static(self, wanted):
        """The address of a static field, by the table gHotSpotVMStructs."""
        def exported(name):
            return self.word(self.base + self.symbols[f"gHotSpotVMStruct{name}"])
        row, stride = exported("s"), exported("EntryArrayStride")
        type_at, name_at, address_at = (exported(f"Entry{word}Offset") for word in ("TypeName", "FieldName", "Address"))
        while self.word(row + type_at):
            if (self.text(self.word(row + type_at)), self.text(self.word(row + name_at))) == wanted:
                return self.word(row + address_at)
            row += stride
        raise AssertionError(f"libjvm does not tell of {wanted}")


class NotReady(unittest.TestCase):
    """A JVM that is not ready yet is asked at growing intervals; but as soon as one of its stacks can be told, it is."""

    def test_ready_at_once(self):
        jvm.need()
        if MAJOR not in jvm.jdks():
            self.skipTest(f"JDK {MAJOR} is not installed")
        shop = jvm.Workshop("Steps.java")
        self.addCleanup(shop.close)
        program = shop.java(MAJOR, [], "Steps")
        self.addCleanup(jvm.stop, program)
        self.assertEqual(program.stdout.readline(), "ready\n")
        memory = Memory(program.pid, jvm.jdks()[MAJOR] / "lib" / "server" / "libjvm.so")
        self.addCleanup(memory.close)
        # Its version is what a JVM does not know at first. A byte of 0 makes this one look like one that is starting.
        version = memory.static(("JDK_Version", "_current"))
        self.assertEqual(memory.peek(version, 1), bytes([MAJOR]))
        script = shop.path / "reads.lua"
        script.write_text('return { probes = { { "syscall:read", where = "fd == 0", stack = "user" } } }')
        memory.poke(version, bytes([0]))
        tracer = jvm.Tracer(script, "-p", program.pid)
        self.addCleanup(tracer.close)
        for n in range(1, 14):
            if n == 13:
                memory.poke(version, bytes([MAJOR]))
            program.stdin.write("\n")
            program.stdin.flush()
            self.assertEqual(program.stdout.readline(), "read\n")
            tracer.wait_for_events(n)
            time.sleep(0.05)  # so that the interval has grown
        program.stdin.close()
        tracer.wait()
        events = list(tracer.events())
        for event in events[:12]:
            self.assertEqual(jvm.java_frames(event), [])
        self.assertEqual([jvm.java_frames(event)[-1][0] for event in events[12:]], ["Steps.main"] * len(events[12:]))
        self.assertEqual(events[12]["ustack_end"], "root")


if __name__ == "__main__":
    unittest.main()
