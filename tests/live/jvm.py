"""What the Java tests share: the JDKs of this machine, the test program, and a tracer around it."""

import functools
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import rille

TESTS = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = TESTS / "programs"
RILLE = os.environ.get("RILLE", str(TESTS.parent / "build" / "rille"))
LONG = bool(os.environ.get("RILLE_LONG"))


def major_of(home):
    try:
        release = (home / "release").read_text()
    except OSError:
        return None
    version = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', release)
    return int(version[1]) if version and (home / "bin" / "java").exists() else None


@functools.lru_cache
def jdks():
    """Major version → home, of every JDK that can be found; RILLE_JDKS names more places, as PATH does."""
    places = os.environ.get("RILLE_JDKS", "").split(":") + glob.glob("/usr/lib/jvm/*") + glob.glob("/opt/*")
    if shutil.which("java"):
        places.append(str(pathlib.Path(shutil.which("java")).resolve().parent.parent))
    found = {}
    for place in filter(None, places):
        home = pathlib.Path(place).resolve()
        major = major_of(home)
        if major and (major not in found or (home / "bin" / "javac").exists()):
            found[major] = home
    return found


def compiler():
    """The home of the oldest JDK that can compile, so that its classes run on all."""
    homes = [home for _, home in sorted(jdks().items()) if (home / "bin" / "javac").exists()]
    return homes[0] if homes else None


def why_not():
    """Why the Java tests cannot run here, or None."""
    if not compiler():
        return "no JDK with a compiler is installed"
    if not shutil.which("gcc") and not shutil.which("cc"):
        return "no C compiler is installed"
    return rille.why_not_trace()


def need():
    """Skips the test, or the class, where the Java tests cannot run."""
    reason = why_not()
    if reason:
        raise unittest.SkipTest(reason)


def interrupted(workshop, major, options, where, seconds):
    """Events of the threads of Torture that the scheduler took the CPU from, which can be between any two instructions."""
    script = workshop.path / "switch.lua"
    script.write_text(f'return {{ probes = {{ {{ "tracepoint:sched:sched_switch", where = "{where}", stack = "user" }} }} }}')
    program = workshop.java(major, options, "Torture", workshop.path / "out", 3, 600000, 1, 0)
    try:
        time.sleep(3)  # for the compilers to have done most of their work
        tracer = Tracer(script, "-p", program.pid, "-d", f"{seconds}s")
        tracer.wait()
        events = [event for event in tracer.events() if event["comm"].startswith("worker-")]
        tracer.close()
    finally:
        stop(program)
    return events


class Workshop:
    """A folder with a compiled test program, gone at the end of the with block."""

    def __init__(self, *sources, library=None, home=None, cflags=()):
        self.folder = tempfile.TemporaryDirectory(prefix="rille-java-")
        self.path = pathlib.Path(self.folder.name)
        self.path.chmod(0o755)
        home = home or compiler()
        subprocess.run([home / "bin" / "javac", "-nowarn", "-d", self.path, *(PROGRAMS / source for source in sources)],
            check=True)
        if library:
            includes = [f"-I{home}/include", f"-I{home}/include/linux"]
            target = self.path / f"lib{pathlib.Path(library).stem}.so"
            subprocess.run(["cc", "-O2", "-fomit-frame-pointer", "-shared", "-fPIC", *cflags, *includes, PROGRAMS / library, "-o",
                target], check=True)

    def java(self, major, options, main, *args, home=None, prefix=(), **popen):
        """Starts a class; `home`: another place of the JDK, `prefix`: a command to run it under."""
        quiet = ["--enable-native-access=ALL-UNNAMED"] if major >= 22 else []
        command = [*prefix, (home or jdks()[major]) / "bin" / "java", f"-Djava.library.path={self.path}", "-Xmx256m", *options, *quiet, "-cp",
            self.path, main, *args]
        return subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            **popen)

    def copy_of_jdk(self, major):
        """A JDK whose launcher and JVM are files of its own; the rest are links."""
        home = self.path / f"jdk-{major}"
        subprocess.run(["cp", "-rs", jdks()[major], home], check=True)
        for own in ["bin/java", "lib/libjli.so", "lib/jvm.cfg", "lib/server/libjvm.so"]:
            (home / own).unlink()
            shutil.copy(jdks()[major] / own, home / own)
        return home

    def close(self):
        self.folder.cleanup()


class Tracer:
    """A running `rille run …` that is attached when the constructor returns; its records go through a file."""

    def __init__(self, *args, options=()):
        self.out = tempfile.NamedTemporaryFile("w", prefix="rille-out-")
        self.err = tempfile.NamedTemporaryFile("w", prefix="rille-err-")
        ready, notify = os.pipe()
        self.process = subprocess.Popen([RILLE, "run", *map(str, args), "--format", "jsonl", "--ready-fd", str(notify),
            *options], stdout=self.out, stderr=self.err, pass_fds=[notify])
        os.close(notify)
        ok = os.read(ready, 64)
        os.close(ready)
        if not ok:
            self.process.wait()
            raise AssertionError(f"the tracer did not start: {self.errors()}")

    def errors(self):
        return pathlib.Path(self.err.name).read_text(errors="replace")

    def wait_for_events(self, n, seconds=60):
        """Until n events were written, or the time is over: what names their frames may be gone with their process."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and sum(1 for _ in self.events()) < n:
            time.sleep(0.05)

    def wait(self, seconds=120):
        """For a tracer that ends by itself, with its target."""
        self.process.wait(seconds)
        if self.process.returncode:
            raise AssertionError(f"the tracer ended with {self.process.returncode}: {self.errors()}")

    def records(self):
        with open(self.out.name, encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)

    def events(self):
        return (record for record in self.records() if record["type"] == "event")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.out.close()
        self.err.close()


FIRST_PROTOCOL = 0x40000000
TORTURE = """return { probes = { { "syscall:socket",
  where = "family == AF_UNIX && protocol >= 0x40000000", fields = { "protocol" }, stack = "user" } } }"""


def read_truth(prefix):
    """What Torture wrote: number → [(name, line), …], innermost first."""
    truth = {}
    for path in glob.glob(f"{prefix}.*"):
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                number, *frames = line.rstrip("\n").split("\t")
                parts = [frame.rpartition(":") for frame in frames]
                truth[int(number)] = [(name, int(at)) for name, _, at in parts]
    return truth


def trace_torture(test, shop, major, options, main, args, marks):
    """Runs a program that makes Torture's marks: what it wrote, and the events of its calls, by number."""
    script, prefix = shop.path / "torture.lua", shop.path / "out"
    script.write_text(TORTURE)
    for old in glob.glob(f"{prefix}.*"):
        os.unlink(old)
    options = ["-XX:+UnlockDiagnosticVMOptions", "-XX:+ShowHiddenFrames", *options]
    program = shop.java(major, options, main, prefix, *args)
    test.addCleanup(stop, program)
    test.assertEqual(program.stdout.readline(), "ready\n")
    tracer = Tracer(script, "-p", program.pid)
    test.addCleanup(tracer.close)
    program.stdin.write("\n")
    program.stdin.flush()
    test.assertEqual(program.stdout.readline(), "done\n")
    tracer.wait_for_events(marks)
    program.stdin.close()
    tracer.wait()
    return read_truth(prefix), {event["protocol"] - FIRST_PROTOCOL: event for event in tracer.events()}


def java_frames(event):
    """The Java frames of an event as (name, line), as a StackTraceElement has them: -2 native, -1 not known."""
    frames = [frame for frame in event["ustack"] if frame["kind"] == "java"]
    return [(f["name"], -2 if f.get("tier") == "native" else f.get("line") or -1) for f in frames]


def proven(event):
    """The frames of a stack before the first one that is marked as a guess, or as unknown."""
    frames = event["ustack"]
    marked = (i for i, f in enumerate(frames) if f["kind"] == "unknown" or f.get("how") in ("fp", "scan", "approx"))
    return frames[:next(marked, len(frames))]


def stop(process):
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()
    if process.poll() is None:
        process.kill()
    process.wait()
