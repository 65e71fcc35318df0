#!/usr/bin/env python3
"""What an event costs a host in Lua: a callback of the Lua module, compared with one of rille.h in C.

    module.py --build build [--rounds N] [--calls N]

Both read five numbers of every event and add them up. The number is the host's CPU time between ready and the end (reading the ring,
finding the event, calling back), divided by the events: medians over rounds in which the hosts take turns. The aim: Lua at most 0.5 µs
more than C.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
AF_UNIX = "1"
LUAS = {"Lua 5.4": ("lua5.4", "lua54"), "LuaJIT": ("luajit", "luajit")}


def environment(build, lua=None):
    env = dict(os.environ, LD_LIBRARY_PATH=str(build / "engine"))
    env.setdefault("RILLE_CC", str(build / "engine" / "cc" / "rille-cc"))
    if lua:
        env["LUA_CPATH"] = f"{build}/lua/module/{lua}/?.so"
    return env


def prepare(options, scratch):
    """{name: (command, environment)} of the hosts that can be built and run here."""
    subprocess.run(["cc", "-O2", "-I", HERE.parent.parent / "engine" / "include", HERE / "module_host.c", "-o",
                    scratch / "host", f"-L{options.build}/engine", "-lrille"], check=True)
    subprocess.run(["cc", "-O2", HERE / "producer.c", "-o", scratch / "producer"], check=True)
    hosts = {"C": ([scratch / "host", AF_UNIX], environment(options.build))}
    for name, (program, folder) in LUAS.items():
        if shutil.which(program) and (options.build / "lua" / "module" / folder / "rille.so").exists():
            hosts[name] = ([program, HERE / "module.lua", AF_UNIX], environment(options.build, folder))
        else:
            print(f"{program}, or the module for it, is not there: left out", file=sys.stderr)
    return hosts


def one_run(name, host, scratch, calls):
    """(events, ns of CPU an event)"""
    command, env = host
    producer = subprocess.Popen(["/bin/sh", "-c", 'read go; exec "$@"', "sh", scratch / "producer", str(calls)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process = subprocess.Popen([*command, str(producer.pid)], stdout=subprocess.PIPE, text=True, env=env)
    if process.stdout.readline() != "ready\n":
        producer.kill()
        sys.exit(f"{name} did not start")
    producer.communicate("go\n")
    said = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", process.communicate()[0])}
    return said["events"], said["cpu_ns"] / max(said["events"], 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--calls", type=int, default=100_000)
    options = parser.parse_args()
    options.build = options.build.resolve()
    if os.geteuid():
        sys.exit("bench: must be root")
    with tempfile.TemporaryDirectory(prefix="rille-bench-") as folder:
        scratch = pathlib.Path(folder)
        hosts = prepare(options, scratch)
        runs = {name: [] for name in hosts}
        for _ in range(options.rounds):
            for name, host in hosts.items():
                runs[name].append(one_run(name, host, scratch, options.calls))
    print(f"\nAn event in a host's callback, ns of CPU; medians of {options.rounds} rounds of {options.calls} calls")
    costs = {name: statistics.median(cost for _, cost in rows) for name, rows in runs.items()}
    for name, rows in runs.items():
        more = "" if name == "C" else f"   {(costs[name] - costs['C']) / 1e3:+.2f} µs (aim: 0.5)"
        print(f"  {name:8} {costs[name]:6.0f}   fewest events {min(count for count, _ in rows)}{more}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
