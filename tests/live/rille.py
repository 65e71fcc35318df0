"""What the live tests share: the command under test, and running it to its end."""

import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = TESTS / "programs"
RILLE = os.environ.get("RILLE", str(TESTS.parent / "build" / "rille"))
# Under nohup, or in the background of a script, some signals come ignored, and all programs that we start would ignore them.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
SCHEMA = TESTS.parent / "docs" / "schema" / "event.schema.json"


@functools.lru_cache
def why_not_trace():
    """Why nothing can be traced here, or None."""
    if os.geteuid() != 0:
        return "tracing needs root"
    done = run("-e", '{ "syscall:getppid" }', "-d", "10ms", "-q")
    if done.returncode in (3, 4):
        return f"this machine does not let BPF programs be loaded: {done.stderr.strip()}"
    return None


def need_trace():
    """Skips the test, or the class, where nothing can be traced."""
    reason = why_not_trace()
    if reason:
        raise unittest.SkipTest(reason)


def run(*args, timeout=60, **options):
    """Runs the command to its end."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True} | options
    return subprocess.run([RILLE, *map(str, args)], timeout=timeout, check=False, **options)


def start(*args, **options):
    """A running `rille …`; returns once its probes are attached."""
    ready, notify = os.pipe()
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True} | options
    # Behind the command, or the -e and its table; the rest may end with a command's own arguments.
    first, rest = args[:2], args[2:]
    process = subprocess.Popen([RILLE, *map(str, first), "--ready-fd", str(notify), *map(str, rest)], pass_fds=[notify],
                               **options)
    os.close(notify)
    said = os.read(ready, 64)
    os.close(ready)
    if not said:
        raise AssertionError(f"the tracer did not start: {process.communicate()}")
    return process


def wait_until(condition, seconds=60):
    """Looks again and again until it holds. The time is for what hangs: it says nothing about how fast something is."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not happen within {seconds} s")
        time.sleep(0.02)


def whole_lines(path):
    """The lines of a file that is being written; the last one is there once its end is."""
    return pathlib.Path(path).read_text(encoding="utf-8").split("\n")[:-1]


def records(text):
    return [json.loads(line) for line in text.split("\n") if line]


def events(text):
    return [record for record in records(text) if record["type"] == "event"]


@functools.lru_cache
def validator():
    """A checker of records against the schema that is shipped."""
    import jsonschema  # pylint: disable=import-outside-toplevel

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    kind = getattr(jsonschema, "Draft202012Validator", None)
    if kind is None:
        return None
    kind.check_schema(schema)
    return kind(schema)


class Workshop:
    """A folder for compiled programs, gone at the end."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="rille-test-")
        self.path = pathlib.Path(self.folder.name)
        self.path.chmod(0o755)

    def compile(self, source, *flags, name=None):
        target = self.path / (name or pathlib.Path(source).stem)
        compiler = shutil.which("gcc") or shutil.which("cc")
        subprocess.run([compiler, *flags, "-o", target, PROGRAMS / source], check=True)
        return target

    def close(self):
        self.folder.cleanup()
