#!/usr/bin/env python3
"""What an event costs that a host hears of: through Rille's C callback and a script's on_event, compared with a hand-written
libbpf program (callback.c says how).

    callbacks.py --build build --clang clang-19 [--rounds N] [--events N] [--out FILE]
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

from bench import HERE, in_own_mounts, machine, show, table

WAYS = {"hand": "libbpf by hand", "c": "rille_on_event", "lua": "on_event of a script"}


def build(scratch, options):
    triplet = subprocess.run(["cc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    library = options.build / "engine"
    subprocess.run([options.clang, "-target", "bpf", "-O2", "-g", f"-I/usr/include/{triplet}", "-c",
                    HERE / "callback.bpf.c", "-o", scratch / "callback.bpf.o"], check=True)
    subprocess.run(["cc", "-O2", HERE / "callback.c", "-o", scratch / "callback", f"-I{HERE.parent.parent}/engine/include",
                    f"-L{library}", "-lrille", "-lbpf", f"-Wl,-rpath,{library}"], check=True)


def measure(scratch, options):
    """{"kernel": [{"hand": ns, …}, …], "reader": […], "whole": […]}, a dict a round."""
    env = dict(os.environ, RILLE_CACHE_DIR=str(scratch), RILLE_CC=str(options.build / "engine" / "cc" / "rille-cc"))
    if not pathlib.Path(env["RILLE_CC"]).exists():
        env["RILLE_CC"] = os.environ.get("RILLE_CC", "")
    done = subprocess.run([scratch / "callback", scratch / "callback.bpf.o", str(options.events), str(options.rounds)], env=env,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"callbacks: {done.stderr}")
    result = {"kernel": [], "reader": []}
    for line in done.stdout.splitlines():
        kind, _, rest = line.partition(" ")
        result[kind].append({name: float(value) for name, value in re.findall(r"(\w+)=(-?[\d.]+)", rest)})
    result["whole"] = [{way: kernel[way] + reader[way] for way in WAYS}
                       for kernel, reader in zip(result["kernel"], result["reader"])]
    return result


def median(rows, way, less=None):
    return statistics.median(row[way] - (row[less] if less else 0) for row in rows)


def ratio(rows, way, base):
    return statistics.median(row[way] / row[base] for row in rows if row[base] > 0)


def tell(result):
    rows = [[title, show(median(result["kernel"], way), 0), show(median(result["reader"], way), 0),
             show(median(result["whole"], way), 0), show(ratio(result["whole"], way, "hand"), 2)]
            for way, title in WAYS.items()]
    table("An event of socket(), and four of its fields", ["", "kernel ns", "reader ns", "together ns", "× by hand"], rows)
    aims = [("C callback, kernel and reader, × by hand", ratio(result["whole"], "c", "hand"), 1.2),
            ("on_event more than the C callback, µs", median(result["reader"], "lua", "c") / 1e3, 0.5)]
    table("Aims", ["", "here", "at most", ""],
          [[what, show(value, 2), show(most, 2), "ok" if value <= most else "MISSED"] for what, value, most in aims])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build")
    parser.add_argument("--clang", default="clang")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--long", action="store_true", help="31 rounds")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--out", type=pathlib.Path, help="the JSON file; default: bench-callbacks.json in the build folder")
    options = parser.parse_args()
    options.rounds = options.rounds or (31 if options.long else 11)
    options.build = options.build.resolve()
    if os.geteuid():
        sys.exit("callbacks: must be root")
    in_own_mounts(__file__)
    with tempfile.TemporaryDirectory(prefix="rille-bench-") as scratch:
        build(pathlib.Path(scratch), options)
        result = measure(pathlib.Path(scratch), options)
    result["machine"] = machine()
    tell(result)
    out = options.out or options.build / "bench-callbacks.json"
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
