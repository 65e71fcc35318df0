#!/usr/bin/env python3
"""Runs the test suites against a build and sums them up in one line: N passed, N failed, N skipped.

    tests/run.py --build build [--suites unit,golden,...] [--long] [--jobs N] [--asan DIR] [--fuzz DIR]

unit      the cmocka programs, through meson
sanitize  the same, built with the address and undefined behaviour sanitizers (in --asan DIR)
golden    tests/golden/test_*.py: generated code and error texts
live      tests/live/test_*.py: real programs traced on this kernel
vm        tests/vm/test_*.py: the same on another kernel, in qemu
fuzz      each libFuzzer target (in --fuzz DIR) for a few seconds, from its corpus: always the same inputs, so that the same
          commit has the same outcome everywhere; new ones with --long

A python test file is one process, so that a crash or a hang fails only that file. Files run side by side; one that
measures time or fills the machine says `SERIAL = True` and then runs alone. Every skip is told with its reason: a run
that skipped is not the same as a run that passed.
"""

import argparse
import ast
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE_SECONDS = 600
FILE_SECONDS_LONG = 1800


class Outcome:
    """What one test did: 'pass', 'fail' or 'skip', and why."""

    def __init__(self, suite, name, verdict, detail=""):
        self.suite, self.name, self.verdict, self.detail = suite, name, verdict, detail


# --- one python file, in a process of its own -------------------------------------------------------------------


class Recorder(unittest.TestResult):
    """Collects (test, verdict, detail) and writes a line for each as it ends, so that a hang shows where it is."""

    def __init__(self, out):
        super().__init__()
        self.out = out

    def record(self, test, verdict, detail=""):
        self.out.write(json.dumps({"name": test.id(), "verdict": verdict, "detail": detail}) + "\n")
        self.out.flush()

    def addSuccess(self, test):
        self.record(test, "pass")

    def addError(self, test, err):
        self.record(test, "fail", self._exc_info_to_string(err, test))

    def addFailure(self, test, err):
        self.record(test, "fail", self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        self.record(test, "skip", reason)

    def addExpectedFailure(self, test, err):
        self.record(test, "pass")

    def addUnexpectedSuccess(self, test):
        self.record(test, "fail", "passed although it is marked as failing")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.record(subtest, "fail", self._exc_info_to_string(err, test))


def run_file(path, out_path):
    """The child: imports one file and runs what is in it."""
    path = pathlib.Path(path)
    sys.path[:0] = [str(path.parent), str(ROOT / "tests")]
    with open(out_path, "w", encoding="utf-8") as out:
        suite = unittest.defaultTestLoader.loadTestsFromName(path.stem)
        suite.run(Recorder(out))
    return 0


# --- python suites ----------------------------------------------------------------------------------------------


def is_serial(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "SERIAL" for t in node.targets):
            return bool(ast.literal_eval(node.value))
    return False


def read_outcomes(suite, path, out_path):
    outcomes = []
    with open(out_path, encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            name = item["name"] if item["name"].startswith(path.stem) else f"{path.stem}: {item['name']}"
            outcomes.append(Outcome(suite, name, item["verdict"], item["detail"]))
    return outcomes


def run_python_file(suite, path, env, seconds):
    with tempfile.NamedTemporaryFile(prefix="rille-outcomes-") as out:
        command = [sys.executable, "-B", __file__, "--file", str(path), out.name]
        # A session of its own, so that what a test leaves behind can be ended with it.
        child = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True)
        problem = ""
        try:
            output, _ = child.communicate(timeout=seconds)
            if child.returncode:
                problem = f"ended with status {child.returncode}\n{output}"
        except subprocess.TimeoutExpired:
            problem = f"not done after {seconds} s"
        try:
            os.killpg(child.pid, 9)
        except ProcessLookupError:
            pass
        child.wait()
        outcomes = read_outcomes(suite, path, out.name)
    if problem:
        last = outcomes[-1].name if outcomes else "the start"
        outcomes.append(Outcome(suite, path.stem, "fail", f"{problem}\n(after {last})"))
    elif not outcomes:
        outcomes.append(Outcome(suite, path.stem, "fail", "has no tests"))
    return outcomes


def python_suite(suite, options, env):
    files = sorted((ROOT / "tests" / suite).glob("test_*.py"))
    if options.only:
        files = [path for path in files if any(word in path.stem for word in options.only)]
    seconds = FILE_SECONDS_LONG if options.long else FILE_SECONDS
    serial = [path for path in files if is_serial(path)]
    outcomes = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(run_python_file, suite, p, env, seconds): p for p in files if p not in serial}
        for future in concurrent.futures.as_completed(futures):
            outcomes += tell(futures[future].stem, suite, future.result())
    for path in serial:
        outcomes += tell(path.stem, suite, run_python_file(suite, path, env, seconds))
    return outcomes


# --- cmocka and libFuzzer ---------------------------------------------------------------------------------------


def unit_suite(suite, build, options, env):
    """meson writes what each cmocka test said into a JUnit file."""
    report = build / "meson-logs" / "testlog.junit.xml"
    report.unlink(missing_ok=True)
    command = ["meson", "test", "-C", str(build), "--suite", "unit", "--num-processes", str(options.jobs)]
    command += ["--timeout-multiplier", "4"] if suite == "sanitize" else []
    command += [name for name in options.only] if options.only else []
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False)
    if not report.exists():
        return tell(suite, suite, [Outcome(suite, suite, "fail", done.stdout)])
    outcomes = []
    for group in ElementTree.parse(report).getroot():
        failed_before = len([o for o in outcomes if o.verdict == "fail"])
        output = "".join(part.text or "" for part in group.iter() if part.tag in ("system-out", "system-err"))
        for case in group.iter("testcase"):
            bad = case.find("failure") is not None or case.find("error") is not None
            verdict = "fail" if bad else "skip" if case.find("skipped") is not None else "pass"
            name = name_of(case)
            reason = skip_reason(name, output) if verdict == "skip" else ""
            outcomes.append(Outcome(suite, f"{group.get('name')}: {name}", verdict, reason))
        failed = [o for o in outcomes if o.verdict == "fail"][failed_before:]
        if failed:
            failed[-1].detail = output
        elif int(group.get("errors") or 0) + int(group.get("failures") or 0):
            outcomes.append(Outcome(suite, str(group.get("name")), "fail", output))
    if done.returncode and not any(o.verdict == "fail" for o in outcomes):
        outcomes.append(Outcome(suite, suite, "fail", done.stdout))
    return tell(suite, suite, outcomes)


def name_of(case):
    """cmocka's TAP for a skipped test is "not ok 3 # SKIP NAME", so meson takes the name for the reason."""
    skipped = case.find("skipped")
    if skipped is not None and skipped.text:
        return skipped.text.strip()
    return re.sub(r"^\d+( - )?", "", case.get("name") or "")


def skip_reason(name, output):
    """cmocka's skip() takes no reason; skip_because() in tests/unit/skip.h prints one before it."""
    found = re.search(r"#\s*skip " + re.escape(name) + r":\s*(.*)", output)
    return found.group(1) if found else "the test does not say why"


def fuzz_one(program, seconds, seed, env):
    name = program.name[len("fuzz_"):]
    seeds = ROOT / "tests" / "fuzz" / "corpus" / name
    with tempfile.TemporaryDirectory(prefix="rille-fuzz-") as scratch:
        found = pathlib.Path(scratch) / "found"
        found.mkdir()
        command = [str(program), f"-seed={seed}", f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
                   f"-artifact_prefix={scratch}/", str(found)] + ([str(seeds)] if seeds.is_dir() else [])
        try:
            done = subprocess.run(command, env=env, cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, errors="replace", timeout=seconds + 60, check=False)
        except subprocess.TimeoutExpired:
            return [Outcome("fuzz", name, "fail", f"not done {seconds + 60} s after its start")]
        if done.returncode == 0:
            return [Outcome("fuzz", name, "pass")]
        kept = [keep_artifact(path, name) for path in pathlib.Path(scratch).iterdir() if path.is_file()]
        return [Outcome("fuzz", name, "fail", done.stdout[-6000:] + "\nkept: " + ", ".join(kept))]


def keep_artifact(path, name):
    """A crashing input outlives the run, in build/fuzz-found."""
    to = ROOT / "build" / "fuzz-found"
    to.mkdir(parents=True, exist_ok=True)
    return str(shutil.copy(path, to / f"{name}-{path.name}"))


def fuzz_suite(options, env):
    if not options.fuzz:
        return tell("fuzz", "fuzz", [Outcome("fuzz", "fuzz", "skip", "not built (no clang)")])
    programs = sorted(path for path in (options.fuzz / "tests" / "fuzz").glob("fuzz_*")
                      if path.is_file() and os.access(path, os.X_OK))
    seconds, seed = (300, 0) if options.long else (10, 1)  # 0: libFuzzer chooses one
    env = dict(env, ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1")
    outcomes = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for program, result in zip(programs, pool.map(lambda p: fuzz_one(p, seconds, seed, env), programs)):
            outcomes += tell(program.name, "fuzz", result)
    return outcomes


# --- telling ----------------------------------------------------------------------------------------------------


def count(outcomes, verdict):
    return sum(o.verdict == verdict for o in outcomes)


def tell(name, suite, outcomes):
    """One line a group as it ends, its failures in full below it."""
    title = f"{suite}/{name}" if name != suite else suite
    print(f"{title:<40} {count(outcomes, 'pass'):4} passed {count(outcomes, 'fail'):3} failed "
          f"{count(outcomes, 'skip'):3} skipped", flush=True)
    for outcome in outcomes:
        if outcome.verdict == "fail":
            print(f"  FAILED {outcome.name}")
            for line in shortened(outcome.detail.rstrip().splitlines()):
                print(f"    {line[:400]}")
            sys.stdout.flush()
    return outcomes


def shortened(lines, first=40, last=40):
    left_out = len(lines) - first - last
    return lines if left_out <= 1 else [*lines[:first], f"… {left_out} lines …", *lines[-last:]]


def tell_skips(outcomes):
    reasons = {}
    for outcome in outcomes:
        if outcome.verdict == "skip":
            reasons.setdefault(outcome.detail, []).append(f"{outcome.suite}/{outcome.name}")
    if reasons:
        print("Skipped:")
    for reason, names in sorted(reasons.items()):
        print(f"  {len(names)} × {reason}: {', '.join(names[:4])}{', …' if len(names) > 4 else ''}")


def environment(options):
    """The tests see the command under test, and no state of the user's: neither a cache nor settings."""
    env = dict(os.environ, RILLE=str(options.build / "rille"), PYTHONDONTWRITEBYTECODE="1", LC_ALL="C.UTF-8")
    compiler = options.build / "engine" / "cc" / "rille-cc"
    if compiler.exists():
        env["RILLE_CC"] = str(compiler)
    if options.asan:
        env["RILLE_SANITIZED"] = str(options.asan)
    env["RILLE_LONG"] = "1" if options.long else ""
    return env


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--asan", type=pathlib.Path, help="a build with sanitizers")
    parser.add_argument("--fuzz", type=pathlib.Path, help="a build with libFuzzer targets")
    parser.add_argument("--suites", default="unit,sanitize,golden,live,vm,fuzz",
                        help="which, separated by commas; default: all")
    parser.add_argument("--long", action="store_true", help="also what takes minutes")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("only", nargs="*", help="words in the names of the test files to run")
    options = parser.parse_args(argv)
    for name in ("build", "asan", "fuzz"):
        value = getattr(options, name)
        setattr(options, name, value.resolve() if value else None)
    return options


def main(argv):
    if len(argv) == 3 and argv[0] == "--file":
        return run_file(argv[1], argv[2])
    options = parse(argv)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rille-test-cache-") as cache:
        env = dict(environment(options), RILLE_CACHE_DIR=cache)
        outcomes = []
        for suite in options.suites.split(","):
            if suite == "unit":
                outcomes += unit_suite(suite, options.build, options, env)
            elif suite == "sanitize" and options.asan:
                outcomes += unit_suite(suite, options.asan, options, env)
            elif suite == "sanitize":
                outcomes += tell(suite, suite, [Outcome(suite, suite, "skip", "not built")])
            elif suite == "fuzz":
                outcomes += fuzz_suite(options, env)
            else:
                outcomes += python_suite(suite, options, env)
    tell_skips(outcomes)
    print(f"({time.monotonic() - started:.0f} s)")
    failed = count(outcomes, "fail")
    print(f"{count(outcomes, 'pass')} passed, {failed} failed, {count(outcomes, 'skip')} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
