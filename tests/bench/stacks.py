#!/usr/bin/env python3
"""What stacks cost: in the traced process by the size of the copy, in the tracer by what is in them, and at a JVM.

    stacks.py --build build [--rounds N] [--out FILE]

The parts: "copy" is the CPU time that an event with a stack adds to one getppid(), by bytes of stack in use. "resolve" is the
time of one stack that was seen before, in one process without the kernel (tests/tools/stackdump). "JVM" is from exec to the
first stack with Java names, and a program that makes sockets at a pace (cold: from the first call of a JVM that was attached
to a moment ago; warm: after its compilers are done) and as fast as it can. Names are compared with bpftrace on the same
program, as the share of its frames that have one. "interrupted" is the share of complete stacks of threads that the scheduler
took the CPU from anywhere, which is what sampling profilers meet.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import bench

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "live"))
import jvm  # pylint: disable=wrong-import-position

PROGRAMS = HERE.parent / "programs"
SIZES_KB = (0, 3, 7, 15, 31, 62)
CALLS = 5000
COLD_PER_S, WARM_PER_S = 5000, 20000
PACED_SECONDS = 3
PREEMPTED = "prev_state == 0"
SLEEPER = """
public class Sleeper {
    interface Step { int go(int n) throws Exception; }
    static int down(int n, Step last) throws Exception { return n > 0 ? down(n - 1, last) + 1 : last.go(0); }
    public static void main(String[] args) throws Exception {
        down(26, n -> { Thread.sleep(600000); return n; });
    }
}
"""


def start(command, **options):
    """A tracer that is attached, and the seconds that took."""
    ready, notify = os.pipe()
    began = time.monotonic()
    process = subprocess.Popen([*map(str, command), "--ready-fd", str(notify)], pass_fds=[notify], stdin=subprocess.DEVNULL,
                               **options)
    os.close(notify)
    if not os.read(ready, 1):
        sys.exit(f"bench: does not start: {command}")
    os.close(ready)
    return process, time.monotonic() - began


class Stacks:
    def __init__(self, options, scratch):
        self.build, self.rounds, self.scratch = options.build, options.rounds, scratch
        self.rille = options.build / "rille"
        jvm.RILLE = str(self.rille)
        self.snapshot = scratch / "snapshot"
        subprocess.run(["cc", "-O1", "-fomit-frame-pointer", HERE / "snapshot.c", "-o", self.snapshot], check=True)
        os.environ["RILLE_CACHE_DIR"] = str(scratch / "cache")

    # --- in the traced process

    def snapshot_ns(self, kb):
        out = subprocess.run([self.snapshot, str(kb << 10), str(CALLS)], stdin=subprocess.DEVNULL, capture_output=True,
                             text=True, check=True).stdout
        return int(re.search(r"cpu_ns=(\d+)", out)[1]) / CALLS

    def copies(self):
        """KiB of stack in use → ns that an event adds, without a stack (None) and with."""
        tables = {False: '{ "syscall:getppid" }', True: '{ "syscall:getppid", stack = { user = true, max_bytes = 65536 } }'}
        rows = {}
        for _ in range(self.rounds):
            base = self.snapshot_ns(0)
            for with_stack, table in tables.items():
                tracer, _ = start([self.rille, "run", "-e", table, "-n", "snapshot", "-o", "text:/dev/null"],
                                  stderr=subprocess.PIPE, text=True)
                for kb in SIZES_KB if with_stack else (0,):
                    rows.setdefault((with_stack, kb), []).append(self.snapshot_ns(kb) - base)
                tracer.terminate()
                if "lost" in tracer.communicate()[1]:
                    sys.exit("bench: events were lost, which makes the others look cheap")
        return rows

    # --- in the tracer

    def resolve_us(self, pid, frames):
        """(frames, µs) of the thread with the most frames."""
        done = subprocess.run([self.build / "tests" / "tools" / "stackdump", "-r", "2000", str(pid)], capture_output=True,
                              text=True, check=True)
        found = [(int(n), int(ns) / 1e3) for n, ns in re.findall(r": (\d+) frames, first \d+ ns, again (\d+) ns", done.stderr)]
        return min(found, key=lambda row: abs(row[0] - frames))

    def resolving(self):
        rows = {"native": [], "mixed": []}
        native = subprocess.Popen([self.snapshot, "sleep", "6"])
        sleeper = self.java_sleeper()
        time.sleep(1)
        for _ in range(self.rounds):
            rows["native"].append(self.resolve_us(native.pid, 11))
            if sleeper:
                rows["mixed"].append(self.resolve_us(sleeper.pid, 40))
        for process in (native, sleeper):
            if process:
                process.kill()
                process.wait()
        return rows

    def java_sleeper(self):
        if not shutil.which("javac"):
            return None
        source = self.scratch / "Sleeper.java"
        source.write_text(SLEEPER, encoding="utf-8")
        subprocess.run(["javac", "-d", self.scratch, source], check=True)
        return subprocess.Popen(["java", "-cp", self.scratch, "Sleeper"])

    # --- at a JVM

    def sites(self, calls, *rate):
        program = subprocess.Popen(["java", "-Xmx256m", "-cp", self.scratch, "Sites", *map(str, (calls, *rate))],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        program.stdout.readline()
        return program

    @staticmethod
    def go(program):
        program.stdin.write("\n")
        program.stdin.flush()

    def end(self, program):
        self.go(program)
        program.wait()

    def first_stack_ms(self):
        program = self.sites(1)
        began = time.monotonic()
        tracer, _ = start([self.rille, "run", "socket", "-q", "-p", program.pid, "--format", "jsonl"], stdout=subprocess.PIPE,
                          text=True)
        self.go(program)
        line = next(line for line in tracer.stdout if '"kind":"java"' in line)
        took = time.monotonic() - began
        self.end(program)
        tracer.communicate()
        return took * 1e3 if "Sites.open" in line else None

    def paced(self, rate):
        return self.traced(rate * PACED_SECONDS, rate)

    def traced(self, calls, *rate):
        """One run of a Java program that makes that many sockets, each with its stack."""
        program = self.sites(calls, *rate)
        written = self.scratch / "sites.jsonl"
        tracer, _ = start([self.rille, "run", "socket", "-p", program.pid, "-o", f"jsonl:{written}"], stderr=subprocess.DEVNULL)
        began, before = time.monotonic(), bench.cpu_ns(tracer.pid)
        self.go(program)
        program.stdout.readline()
        wall = time.monotonic() - began
        time.sleep(1)
        row = {"cpu_us": (bench.cpu_ns(tracer.pid) - before) / 1e3, "rss_mb": bench.memory_kb(tracer.pid, "VmHWM") / 1024}
        self.end(program)
        tracer.wait()
        records = [json.loads(line) for line in written.read_text(encoding="utf-8").splitlines()]
        events = [r for r in records if r["type"] == "event"]
        probe = next(r for r in records if r["type"] == "end")["probes"][0]
        frames = [f for e in events for f in e["ustack"]]
        return row | {"events": len(events), "per_s": len(events) / wall, "lost": probe["passed"] - probe["sent"],
                      "us": row["cpu_us"] / len(events), "named": sum("name" in f for f in frames) / len(frames),
                      "frames": len(frames) / len(events), "complete": sum(e["ustack_end"] == "root" for e in events) / len(events)}

    def bpftrace_named(self):
        """The share of frames that have a name."""
        if not shutil.which("bpftrace"):
            return None
        program = self.sites(200)
        out = self.scratch / "bpftrace.out"
        text = "tracepoint:syscalls:sys_enter_socket /pid == %d/ { printf(\"%%s\\n\", ustack); }" % program.pid
        tracer = subprocess.Popen(["bpftrace", "-o", out, "-e", text])
        time.sleep(3)
        self.go(program)
        program.stdout.readline()
        time.sleep(1)
        tracer.terminate()
        tracer.wait()
        self.end(program)
        frames = [line.strip() for line in out.read_text(encoding="utf-8", errors="replace").splitlines() if line.startswith("  ")]
        return sum(not re.match(r"(0x)?[0-9a-f]+($| )|\[unknown\]", frame) for frame in frames) / len(frames) if frames else None

    def java(self):
        subprocess.run(["javac", "-d", self.scratch, PROGRAMS / "Sites.java"], check=True)
        first = [self.first_stack_ms() for _ in range(self.rounds)]
        rounds = range(max(3, self.rounds // 3))
        return {"first_ms": first, "runs": [self.traced(30000) for _ in rounds],
                "cold": [self.traced(COLD_PER_S * PACED_SECONDS, COLD_PER_S) for _ in rounds],
                "warm": [self.traced(WARM_PER_S * PACED_SECONDS, WARM_PER_S) for _ in rounds],
                "bpftrace_named": self.bpftrace_named(),
                "interrupted": {flag or "default": self.interrupted(flag) for flag in ("", "-Xint")}}

    def interrupted(self, flag):
        """(complete, all) stacks of threads that the scheduler took the CPU from."""
        workshop = jvm.Workshop("Torture.java", library="torture.c")
        events = jvm.interrupted(workshop, min(jvm.jdks()), [flag] if flag else [], PREEMPTED, PACED_SECONDS)
        workshop.close()
        return sum(event["ustack_end"] == "root" for event in events), len(events)


def tell(results):
    rows = [["no stack" if not with_stack else f"{kb} KiB in use", bench.show(statistics.median(values) / 1e3, 2)]
            for (with_stack, kb), values in sorted(results["copies"].items())]
    bench.table("An event adds to the traced call", ["", "µs"], rows)
    rows = [[f"{name}, {statistics.median([n for n, _ in values]):.0f} frames",
             bench.show(statistics.median([us for _, us in values]), 2)] for name, values in results["resolving"].items() if values]
    bench.table("A stack that was seen before", ["", "µs"], rows)
    java = results.get("jvm")
    if not java:
        return
    runs = java["runs"]
    def paced(name, rate, runs):
        kept = bench.show(bench.median(runs, "per_s"), 0)
        return [f"sockets at {rate} /s, {name}, kept", f"{kept} /s, lost {sum(r['lost'] for r in runs)}"]
    rows = [["exec → first stack with Java names", bench.show(statistics.median(java["first_ms"])) + " ms"],
            paced("cold", COLD_PER_S, java["cold"]), paced("warm", WARM_PER_S, java["warm"]),
            ["sockets flat out, kept", bench.show(bench.median(runs, "per_s"), 0) + " /s"],
            ["lost", bench.show(sum(r["lost"] for r in runs), 0)],
            ["tracer, a stack of %.0f frames" % bench.median(runs, "frames"), bench.show(bench.median(runs, "us")) + " µs"],
            ["complete", bench.show(100 * bench.median(runs, "complete"), 2) + " %"],
            ["peak resident", bench.show(bench.median(runs, "rss_mb")) + " MB"],
            ["frames with a name", bench.show(100 * bench.median(runs, "named")) + " %"]]
    if java["bpftrace_named"] is not None:
        rows.append(["frames with a name, bpftrace", bench.show(100 * java["bpftrace_named"]) + " %"])
    for flag, (complete, count) in java["interrupted"].items():
        rows.append([f"interrupted anywhere, complete ({flag})", f"{bench.show(100 * complete / count, 2)} % of {count}"])
    bench.table("A JVM", ["", ""], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    bench.in_own_mounts(__file__)
    options.build = options.build.resolve()
    with tempfile.TemporaryDirectory(prefix="rille-bench-") as scratch:
        stacks = Stacks(options, pathlib.Path(scratch))
        results = {"machine": bench.machine(), "copies": stacks.copies(), "resolving": stacks.resolving()}
        if shutil.which("javac"):
            results["jvm"] = stacks.java()
    tell(results)
    if options.out:
        results["copies"] = [{"stack": s, "kib": kb, "added_ns": values} for (s, kb), values in results["copies"].items()]
        options.out.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
