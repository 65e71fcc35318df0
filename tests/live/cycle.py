"""What the tests of tests/programs/cycle.c share: a host that makes, uses and frees engines again and again."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from rille import PROGRAMS, RILLE, TESTS, run, why_not_trace

BUILD = pathlib.Path(RILLE).resolve().parent
LIBRARY = BUILD / "engine" / "librille.so"
LONG = bool(os.environ.get("RILLE_LONG"))
INCLUDE = TESTS.parent / "engine" / "include"
TABLE = """{ "syscall:socket", where = "protocol == 250", stack = "user",
  fields = { { "family", as = "AF_" }, "kind = type & 0xf" } }"""


def host_flags(library):
    return ["-g", "-O1", f"-I{INCLUDE}", f"-L{library.parent}", "-lrille", "-pthread", f"-Wl,-rpath,{library.parent}"]


class Output:
    """What cycle printed."""

    def __init__(self, text):
        self.text = text
        self.rounds = [told for _, told in re.findall(r"^round (\d+): (.*)$", text, re.MULTILINE)]
        self.states = {
            when: {key: int(value) for key, value in re.findall(r"(\w+)=(-?\d+)", rest)}
            for when, rest in re.findall(r"^(\w+) (descriptors=.*)$", text, re.MULTILINE)
        }


class HostTest(unittest.TestCase):
    """With cycle, failing.so and an object that was emitted."""

    @classmethod
    def setUpClass(cls):
        reason = why_not_trace()
        if reason:
            raise unittest.SkipTest(reason)
        if not LIBRARY.exists():
            raise unittest.SkipTest(f"{RILLE} does not lie in a build folder with librille.so")
        cls.folder = tempfile.TemporaryDirectory(prefix="rille-manners-")
        cls.path = pathlib.Path(cls.folder.name)
        cls.env = dict(os.environ, RILLE_CACHE_DIR=str(cls.path / "cache"))
        (cls.path / "cache").mkdir(mode=0o700)
        cls.cycle = cls.compile("cycle", "cycle.c", *host_flags(LIBRARY))
        cls.failing = cls.compile("failing.so", "failing.c", "-O1", "-fPIC", "-shared")
        cls.object = cls.path / "probe.o"
        done = run("emit", "-e", TABLE, "--object", cls.object)
        if done.returncode:
            raise AssertionError(done.stderr)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def compile(cls, target, source, *flags):
        compiler = shutil.which("gcc") or shutil.which("cc")
        subprocess.run([compiler, PROGRAMS / source, "-o", cls.path / target, *flags], check=True)
        return cls.path / target

    def run_host(self, *command, **env):
        done = subprocess.run(list(map(str, command)), env=self.env | env, capture_output=True, text=True, timeout=250,
                              check=False)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}")
        return Output(done.stdout)

    def assert_left_nothing(self, output, *what):
        before, after = output.states["before"], output.states["after"]
        for key in ("descriptors", "threads", "blocks", *what):
            self.assertEqual(before[key], after[key], output.text)
        self.assertNotIn("a child was left", output.text)
