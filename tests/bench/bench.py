#!/usr/bin/env python3
"""Compares Rille with bpftrace and a hand-written libbpf program (peer.c) on one job: every socket() of a family.

    bench.py --build build --clang clang-19 [--long] [--rounds N] [--calls N] [--out FILE]

The tracers take turns in every round, each between two runs of the traced program without a tracer, so that what else the
machine does hits all alike; what is shown are medians over the rounds. "added" is the CPU time that tracing adds to one socket()
and close() of the traced program, which calls them as fast as it can: CPU time, since that is what tracing costs it
whatever else runs. Tracer CPU an event is the tracer's own time (all its threads) between ready and drained, divided by the
events that it wrote.

bpftrace finds tracepoints only in a mounted tracefs, so all of this runs in a mount namespace that has one.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MODES = ("filtered", "plain", "stack")
MODE_TITLES = {
    "filtered": "filter does not match",
    "plain": "event, no stack",
    "stack": "event with a stack",
}
READY_SECONDS = 20


# --- what /proc says of a tracer --------------------------------------------------------------------------------


def cpu_ns(pid):
    """CPU time of all threads so far, to the nanosecond."""
    total = 0
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(path.read_text(encoding="ascii").split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def children_cpu_ms(pid):
    """CPU time of the children it has waited for, by the clock tick: rille's compiler."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * 1000 / os.sysconf("SC_CLK_TCK")


def memory_kb(pid, field):
    found = re.search(field + r":\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    return int(found.group(1)) if found else 0


# --- tracers ----------------------------------------------------------------------------------------------------


class Tracer:
    """One way to do the job. A subclass gives its command and reads its output."""

    name = ""

    def __init__(self, bench):
        self.bench = bench
        self.output = bench.scratch / f"{self.name}.out"

    def command(self, mode, ready_fd):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def start(self, mode):
        """Returns (process, seconds from exec to attached)."""
        self.output.unlink(missing_ok=True)
        ready_r, ready_w = os.pipe()
        command = self.command(mode, ready_w)
        started = time.monotonic()
        process = subprocess.Popen(command, pass_fds=[ready_w], env=self.environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=open(self.bench.scratch / "stderr", "wb"))
        os.close(ready_w)
        self.await_ready(process, ready_r)
        elapsed = time.monotonic() - started
        os.close(ready_r)
        return process, elapsed

    def await_ready(self, process, ready_r):
        if not os.read(ready_r, 1):
            self.failed(process)

    def failed(self, process):
        process.kill()
        process.wait()
        text = (self.bench.scratch / "stderr").read_text(encoding="utf-8", errors="replace")
        sys.exit(f"bench: {self.name} does not start: {' '.join(map(str, process.args))}\n{text}")

    def drained(self, process):
        """Waits until the tracer has nothing more to do: neither output nor CPU time grows."""
        before = None
        while True:
            size = self.output.stat().st_size if self.output.exists() else 0
            now = (size, cpu_ns(process.pid) // 2_000_000)
            if now == before:
                return
            before = now
            time.sleep(0.15)

    def stop(self, process):
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def count(self, pid):
        """Events of the traced program in the output; other programs make sockets, too."""
        wanted = b" %d " % pid
        with open(self.output, "rb") as lines:
            return sum(wanted in line and b" producer " in line for line in lines)


class Rille(Tracer):
    name = "rille"
    cache_state = "cached"

    def command(self, mode, ready_fd):
        family = "AF_INET" if mode == "filtered" else "AF_UNIX"
        command = [self.bench.build / "rille", "run", HERE / "socket.lua", "--family", family, "-q", "-o",
                   f"text:{self.output}", "--ready-fd", str(ready_fd)]
        return command + (["--stack", "user"] if mode == "stack" else [])

    def environment(self):
        return dict(os.environ, RILLE_CACHE_DIR=str(self.bench.scratch / "cache"),
                    RILLE_CC=str(self.bench.build / "engine" / "cc" / "rille-cc"))

    def forget(self):
        shutil.rmtree(self.bench.scratch / "cache", ignore_errors=True)


class Peer(Tracer):
    name = "hand-written"

    def command(self, mode, ready_fd):
        return [self.bench.scratch / "peer", self.bench.scratch / "peer.bpf.o", "2" if mode == "filtered" else "1",
                "1" if mode == "stack" else "0", str(ready_fd), self.output]


class Bpftrace(Tracer):
    name = "bpftrace"
    PROGRAM = """
tracepoint:syscalls:sys_enter_socket /args->family == %d/ {
  @family[tid] = args->family; @type[tid] = args->type; @protocol[tid] = args->protocol; @in[tid] = 1;
}
tracepoint:syscalls:sys_exit_socket /@in[tid]/ {
  printf("%%llu %%d %%d %%s %%d %%d %%d %%d%s\\n", nsecs, pid, tid, comm,
    @family[tid], @type[tid], @protocol[tid], args->ret%s);
  delete(@family[tid]); delete(@type[tid]); delete(@protocol[tid]); delete(@in[tid]);
}
END { clear(@family); clear(@type); clear(@protocol); clear(@in); }
"""

    def command(self, mode, ready_fd):
        del ready_fd
        stack = ("%s", ", ustack") if mode == "stack" else ("", "")
        program = self.PROGRAM % (2 if mode == "filtered" else 1, *stack)
        return ["bpftrace", "-B", "full", "-o", self.output, "-e", program]

    def await_ready(self, process, ready_r):
        """It has no way to tell. The tracepoints are attached when the perf event of the last of them is there: one a
        processor for its output, one a tracepoint."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end and process.poll() is None:
            if self.perf_events(process.pid) >= os.cpu_count() + 2:
                return
            time.sleep(0.001)
        self.failed(process)

    @staticmethod
    def perf_events(pid):
        count = 0
        for link in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
            try:
                count += "perf_event" in os.readlink(link)
            except OSError:
                pass
        return count


# --- the measurements -------------------------------------------------------------------------------------------


class Bench:
    def __init__(self, options, scratch):
        self.build, self.clang, self.scratch = options.build, options.clang, scratch
        self.rounds, self.calls = options.rounds, options.calls
        self.prepare()
        self.tracers = [kind(self) for kind in (Rille, Peer, Bpftrace) if self.has(kind)]

    def has(self, kind):
        if kind is Bpftrace and not shutil.which("bpftrace"):
            print("bpftrace is not installed: left out", file=sys.stderr)
            return False
        return True

    def prepare(self):
        triplet = subprocess.run(["cc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
        subprocess.run([self.clang, "-target", "bpf", "-O2", "-g", f"-I/usr/include/{triplet}", "-c",
                        HERE / "peer.bpf.c", "-o", self.scratch / "peer.bpf.o"], check=True)
        subprocess.run(["cc", "-O2", HERE / "peer.c", "-o", self.scratch / "peer", "-lbpf"], check=True)
        subprocess.run(["cc", "-O2", "-fno-omit-frame-pointer", HERE / "producer.c", "-o", self.scratch / "producer"],
                       check=True)

    def produce(self, calls):
        out = subprocess.run([self.scratch / "producer", str(calls)], capture_output=True, text=True, check=True).stdout
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", out)}

    def startup(self):
        """exec → probes attached, the CPU time until then, and memory then."""
        results = {}
        for _ in range(self.rounds):
            for tracer in self.tracers:
                for state in ("cold", "cached") if isinstance(tracer, Rille) else ("cached",):
                    if state == "cold":
                        tracer.forget()
                    process, elapsed = tracer.start("plain")
                    row = results.setdefault(tracer.name + (" cold" if state == "cold" else ""), [])
                    row.append({"ready_ms": elapsed * 1e3, "cpu_ms": cpu_ns(process.pid) / 1e6 + children_cpu_ms(process.pid),
                                "rss_mb": memory_kb(process.pid, "VmRSS") / 1024,
                                "peak_mb": memory_kb(process.pid, "VmHWM") / 1024})
                    tracer.stop(process)
        return results

    def untraced_ns(self):
        return self.produce(self.calls)["cpu_ns"] / self.calls

    def one_run(self, tracer, mode):
        base = [self.untraced_ns()]
        process, _ = tracer.start(mode)
        before = cpu_ns(process.pid)
        made = self.produce(self.calls)
        tracer.drained(process)
        spent = cpu_ns(process.pid) - before
        peak = memory_kb(process.pid, "VmHWM") / 1024
        tracer.stop(process)
        base.append(self.untraced_ns())
        base_ns = statistics.mean(base)
        kept = tracer.count(made["pid"]) if mode != "filtered" else 0
        return {"untraced_ns": base_ns, "added_ns": made["cpu_ns"] / self.calls - base_ns, "made": made["calls"], "kept": kept,
                "kept_per_s": kept / made["wall_ns"] * 1e9, "lost": made["calls"] - kept if mode != "filtered" else 0,
                "tracer_us": spent / 1e3 / kept if kept else None, "tracer_ms": spent / 1e6, "peak_mb": peak}

    def cost(self, mode):
        results = {tracer.name: [] for tracer in self.tracers}
        for _ in range(self.rounds):
            for tracer in self.tracers:
                results[tracer.name].append(self.one_run(tracer, mode))
        base = [run["untraced_ns"] for runs in results.values() for run in runs]
        return {"untraced_ns": statistics.median(base), "tracers": results}


# --- telling ----------------------------------------------------------------------------------------------------


def median(rows, key):
    values = [row[key] for row in rows if row.get(key) is not None]
    return statistics.median(values) if values else None


def paired_ratio(rows, others, key):
    """The median of the ratios within rounds."""
    ratios = [a[key] / b[key] for a, b in zip(rows, others) if a.get(key) is not None and b.get(key)]
    return statistics.median(ratios) if ratios else None


def show(value, digits=1):
    return "–" if value is None else f"{value:,.{digits}f}"


def table(title, columns, rows):
    widths = [max(len(row[i]) for row in [columns] + rows) for i in range(len(columns))]
    print(f"\n{title}")
    for row in [columns] + rows:
        print("  " + "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))))


def tell_startup(results):
    table("Start", ["", "exec → attached ms", "CPU ms", "resident MB", "peak MB"],
          [[name] + [show(median(rows, key)) for key in ("ready_ms", "cpu_ms", "rss_mb", "peak_mb")]
           for name, rows in results.items()])


def tell_cost(mode, result):
    rows = []
    peer = result["tracers"].get(Peer.name)
    for name, runs in result["tracers"].items():
        ratio = paired_ratio(runs, peer, "added_ns") if peer else None
        row = [name, show(median(runs, "added_ns"), 0), show(ratio, 2)]
        if mode != "filtered":
            row += [show(median(runs, "kept_per_s"), 0), show(median(runs, "lost"), 0),
                    show(100 * sum(r["lost"] for r in runs) / sum(r["made"] for r in runs), 2),
                    show(median(runs, "tracer_us"), 2), show(median(runs, "peak_mb"))]
        rows.append(row)
    columns = ["", "added ns", "× hand-written"]
    if mode != "filtered":
        columns += ["kept/s", "lost a run", "lost %", "tracer µs/event", "peak MB"]
    table(f"socket() + close(), {MODE_TITLES[mode]} (untraced: {show(result['untraced_ns'], 0)} ns)", columns, rows)


def tell_aims(result):
    """What Rille wants to be, and whether it was that here."""
    startup, cost = result["startup"], result["cost"]
    lines = [("cold start, ms", median(startup.get("rille cold", []), "ready_ms"), 60),
             ("cached start, ms", median(startup.get("rille", []), "ready_ms"), 15)]
    for mode, us in (("plain", 2), ("stack", 8)):
        runs = cost.get(mode, {}).get("tracers", {})
        ours, peer = runs.get(Rille.name, []), runs.get(Peer.name, [])
        title = MODE_TITLES[mode]
        lines += [(f"{title}: peak MB", median(ours, "peak_mb"), 10),
                  (f"{title}: cost in the traced program, × hand-written", paired_ratio(ours, peer, "added_ns"), 1.1),
                  (f"{title}: tracer µs/event", median(ours, "tracer_us"), us),
                  (f"{title}: lost in all runs", sum(run["lost"] for run in ours) if ours else None, 0)]
    table("Aims", ["", "here", "at most", ""],
          [[what, show(value, 2), show(most, 2), "ok" if value <= most else "MISSED"]
           for what, value, most in lines if value is not None])


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return {"kernel": platform.release(), "cpu": cpu.group(1) if cpu else platform.machine(), "cpus": os.cpu_count(),
            "load": os.getloadavg()[0]}


def in_own_mounts(program=__file__):
    """Runs the script again where a tracefs is mounted and nobody else sees it."""
    if os.environ.get("RILLE_BENCH_MOUNTS"):
        return
    script = "mount -t tracefs tracefs /sys/kernel/tracing && exec \"$@\""
    os.environ["RILLE_BENCH_MOUNTS"] = "1"
    os.execvp("unshare", ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-B", program] + sys.argv[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build")
    parser.add_argument("--clang", default="clang")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--long", action="store_true", help="31 rounds")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--out", type=pathlib.Path, help="the JSON file; default: bench.json in the build folder")
    options = parser.parse_args()
    options.rounds = options.rounds or (31 if options.long else 11)
    options.build = options.build.resolve()
    if os.geteuid():
        sys.exit("bench: must be root")
    in_own_mounts()
    with tempfile.TemporaryDirectory(prefix="rille-bench-") as scratch:
        bench = Bench(options, pathlib.Path(scratch))
        result = {"machine": machine(), "rounds": bench.rounds, "calls": bench.calls}
        print(f"{result['machine']['cpu']}, Linux {result['machine']['kernel']}; medians of {bench.rounds} rounds")
        result["startup"] = bench.startup()
        tell_startup(result["startup"])
        result["cost"] = {}
        for mode in options.modes.split(","):
            result["cost"][mode] = bench.cost(mode)
            tell_cost(mode, result["cost"][mode])
    tell_aims(result)
    out = options.out or options.build / "bench.json"
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\n{out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
