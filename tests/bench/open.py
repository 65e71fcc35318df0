#!/usr/bin/env python3
"""What `rille open` costs: the list at once, and a report while tracing, beside lsof on the same processes in the same run.

    open.py --build build [--descriptors N] [--rounds N] [--out FILE]

N descriptors (100,000) are sockets of one process, or of as many as RLIMIT_NOFILE makes necessary. "now" is `rille open --now`
from exec to exit, "report" the time from SIGUSR1 to the last byte of a report with creation stacks, its memory the tracer's peak
at that time. "churn" is what it costs a program to be watched: opens and closes with and without.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "programs" / "opens.c"
CHURN = 100000


def start_many(program, descriptors):
    """Processes with so many sockets in all."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100
    processes = []
    while descriptors > 0:
        n = min(descriptors, limit)
        processes.append(subprocess.Popen([program, "many", str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        if processes[-1].stdout.readline().split()[-1] != "ready":
            sys.exit("bench: the program did not start")
        descriptors -= n
    return processes


def stop(processes):
    for process in processes:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def measure(command):
    """Seconds, CPU seconds and MB of a command."""
    began = time.monotonic()
    with open(os.devnull, "w", encoding="ascii") as nothing:
        process = subprocess.Popen([*map(str, command)], stdout=nothing, stderr=nothing)
        _, _, used = os.wait4(process.pid, 0)
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def median(command, rounds):
    runs = [measure(command) for _ in range(rounds)]
    return {"seconds": round(statistics.median(run[0] for run in runs), 3),
            "cpu": round(statistics.median(run[1] for run in runs), 3), "mb": round(max(run[2] for run in runs), 1)}


def report_while_tracing(rille, program, descriptors, folder):
    """The same descriptors, made while they were watched."""
    script = folder / "all.sh"
    read_out, write_out = os.pipe()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100
    counts = [min(limit, descriptors - at) for at in range(0, descriptors, limit)]
    script.write_text("".join(f"{program} many {n} <&3 &\nsleep 1\n" for n in counts) + "wait\n", encoding="ascii")
    keep_read, keep_write = os.pipe()
    tracer = subprocess.Popen([rille, "open", "-q", "-o", f"open-jsonl:/dev/fd/{write_out}", "--", "sh", "-c", f"exec 3<&{keep_read}; . {script}"],
                              stdout=subprocess.PIPE, text=True, pass_fds=[keep_read, write_out])
    os.close(keep_read)
    os.close(write_out)
    for _ in counts:
        if not tracer.stdout.readline():
            sys.exit("bench: the program did not start")
    time.sleep(2)  # what is left in the ring
    began, used = time.monotonic(), cpu_of(tracer.pid)
    tracer.send_signal(signal.SIGUSR1)
    with open(read_out, encoding="utf-8") as lines:
        head = json.loads(lines.readline())
        known, left = 0, head["open"]
        while left:
            line = lines.readline()
            left -= '"type":"open"' in line
            known += '"origin":"known"' in line
        seconds, used = time.monotonic() - began, cpu_of(tracer.pid) - used
        status = pathlib.Path(f"/proc/{tracer.pid}/status").read_text(encoding="ascii")
        os.close(keep_write)
        lines.read()
    tracer.wait()
    tracer.stdout.close()
    return {"seconds": round(seconds, 3), "cpu": round(used, 3), "mb": round(int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024, 1),
            "descriptors": head["open"], "known": known, "lost": head["lost"]}


def cpu_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def churn(rille, program):
    """Microseconds an open and close: alone, and watched."""
    result = {}
    for name, before in (("alone", []), ("watched", [rille, "open", "-q", "-o", "open-jsonl:/dev/null", "--"])):
        process = subprocess.Popen([*map(str, before), program, "churn", "1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        process.communicate()
        began = time.monotonic()
        process = subprocess.Popen([*map(str, before), program, "churn", str(CHURN)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        result[name] = round((time.monotonic() - began) / CHURN * 1e6, 2)
        process.communicate()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--descriptors", type=int, default=100000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    rille = (options.build / "rille").resolve()
    results = {"descriptors": options.descriptors}
    with tempfile.TemporaryDirectory(prefix="rille-bench-") as folder:
        program = pathlib.Path(folder) / "opens"
        subprocess.run(["cc", "-O1", "-o", program, PROGRAM], check=True)
        processes = start_many(program, options.descriptors)
        pids = ",".join(str(process.pid) for process in processes)
        results["processes"] = len(processes)
        results["now"] = median([rille, "open", "--now", "-p", pids], options.rounds)
        if shutil.which("lsof"):
            results["lsof"] = median(["lsof", "-n", "-P", "-p", pids], 1)
            results["lsof +E"] = median(["lsof", "+E", "-n", "-P", "-p", pids], 1)
        stop(processes)
        results["report"] = report_while_tracing(rille, program, options.descriptors, pathlib.Path(folder))
        results["churn"] = churn(rille, program)
    for name, value in results.items():
        print(f"{name:<12} {value}")
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
