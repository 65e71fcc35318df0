"""Memory of a target that lies: no crash, no hang, every stack has an end and a reason.

Stacks of a real JVM and a real Node are resolved again and again by the unwinder, built with the address and undefined behaviour
sanitizers, while one of N reads of the target's memory returns something else.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SANITIZED = os.environ.get("RILLE_SANITIZED")
ROUNDS = 2000 if os.environ.get("RILLE_LONG") else 200
# What a stack may take at the worst: its budget, many times over for the sanitizers and a busy machine.
SLOWEST_SECONDS = 5

SLEEPER_JS = """
function wait() { new Error().stack; Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600000) }
const arrow = (n) => n ? arrow(n - 1) : wait()
process.stdout.write('ready\\n')
setTimeout(() => [1].map(() => arrow(5)), 1)
"""
SLEEPER_JAVA = """
import java.util.stream.*;
public class Sleeper {
    static int depth(int n) throws Exception {
        if (n > 0) return depth(n - 1);
        System.out.println("ready");
        Thread.sleep(600000);
        return 0;
    }
    public static void main(String[] args) throws Exception {
        IntStream.range(0, 1).map(i -> { try { return depth(5); } catch (Exception e) { return 1; } }).sum();
    }
}
"""


class Corrupt(unittest.TestCase):
    def setUp(self):
        if not SANITIZED:
            self.skipTest("there is no build with sanitizers")
        self.dump = pathlib.Path(SANITIZED) / "tests" / "tools" / "stackdump"

    def storm(self, pid):
        for one_of in (3, 50, 400):
            done = subprocess.run([self.dump, "-x", f"{one_of},{ROUNDS},{one_of}", str(pid)], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, timeout=280, check=False)
            self.assertEqual(done.returncode, 0, done.stderr[-3000:])
            self.assertNotIn("Sanitizer", done.stderr)
            self.assertNotIn("runtime error", done.stderr)
            threads = re.findall(r"^thread \d+ slowest (\d+) (.*)$", done.stdout, re.M)
            self.assertTrue(threads, done.stdout)
            for slowest, ends in threads:
                self.assertLess(int(slowest) / 1e9, SLOWEST_SECONDS)
                self.assertEqual(sum(map(int, re.findall(r" (\d+)", " " + ends))), ROUNDS)
            corrupted = int(re.search(r"corrupted (\d+)", done.stdout)[1])
            self.assertGreater(corrupted, 0, "nothing was corrupted")

    def run_program(self, command, **options):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, **options)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        return process.pid

    def test_node(self):
        node = shutil.which("node")
        if not node:
            self.skipTest("node is not installed")
        with tempfile.TemporaryDirectory() as tmp:
            path = pathlib.Path(tmp) / "sleeper.js"
            path.write_text(SLEEPER_JS, encoding="utf-8")
            self.storm(self.run_program([node, path]))

    def check_java(self, options):
        java = shutil.which("java")
        if not java or not shutil.which("javac"):
            self.skipTest("there is no JDK")
        with tempfile.TemporaryDirectory() as tmp:
            path = pathlib.Path(tmp) / "Sleeper.java"
            path.write_text(SLEEPER_JAVA, encoding="utf-8")
            subprocess.run(["javac", "-d", tmp, path], check=True)
            self.storm(self.run_program([java, *options, "-cp", tmp, "Sleeper"]))

    def test_java(self):
        self.check_java([])

    def test_java_compiled(self):
        self.check_java(["-Xcomp"])


if __name__ == "__main__":
    unittest.main()
