"""What probes count in the kernel is what happened.

Invariant: for calls whose number and arguments the traced program knows, from several threads at a time, every count, sum,
average, least and greatest value and every bar is the one that Python computes; for a whole program the counts of its
calls are strace's. What could not be counted (the map was full, a value could not be read) is said, and together with
what was counted makes up all calls.
"""

import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

import rille

KCMP = 312  # kcmp(pid_t pid1, pid_t pid2, int type, unsigned long idx1, unsigned long idx2): fails, and that is enough
PRELUDE = f"""
import ctypes, sys, threading
call = ctypes.CDLL(None, use_errno=True).syscall
def kcmp(type, idx1, idx2=0):
    call(ctypes.c_long({KCMP}), ctypes.c_long(0), ctypes.c_long(0), ctypes.c_long(type), ctypes.c_ulong(idx1),
         ctypes.c_ulong(idx2))
def together(work, n=4):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    [t.start() for t in threads]
    [t.join() for t in threads]
"""
EDGES = [-(2**31), -1000, -2, -1, 0, 1, 2, 3, 4, 7, 8, 9, 99, 100, 101, 1023, 1024, 1025, 2**31 - 1]
BIG = [0, 1, 2, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def power_bounds(value):
    if value < 0:
        return (None, 0)
    if value == 0:
        return (0, 1)
    low = 1 << (value.bit_length() - 1)
    return (low, 2 * low if low < 2**63 else None)


def even_bounds(value, low, high, step):
    if value < low:
        return (None, low)
    if value >= high:
        return (high, None)
    start = low + (value - low) // step * step
    return (start, min(start + step, high))


def truncated(total, n):
    return abs(total) // n if total >= 0 else -(abs(total) // n)


class Counts(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        rille.need_trace()
        self.folder = tempfile.TemporaryDirectory(prefix="rille-counts-")
        self.path = pathlib.Path(self.folder.name)
        self.path.chmod(0o755)

    def tearDown(self):
        self.folder.cleanup()

    def program(self, text):
        path = self.path / "program.py"
        path.write_text(PRELUDE + textwrap.dedent(text), encoding="utf-8")
        return [sys.executable, "-B", path]

    def script(self, text):
        path = self.path / "script.lua"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def trace(self, table, program, *options):
        """The records of a run of the program, counting what the probe says."""
        done = rille.run("-e", table, "--format", "jsonl", *options, "--", *self.program(program))
        self.assertEqual(done.returncode, 0, done.stderr)
        return rille.records(done.stdout)

    def rows(self, records, kind, number=1):
        """{keys: record} of what was counted; the keys in order of the record."""
        rows = [r for r in records if r["type"] == "aggregate" and (r["kind"], r["number"]) == (kind, number)]
        self.assertEqual(len({r["time"] for r in rows}), min(1, len(rows)))
        found = {tuple(r["by"].values()): r for r in rows}
        self.assertEqual(len(found), len(rows), "a key stands twice")
        return found

    def bars(self, row):
        self.assertEqual(sum(bar["count"] for bar in row["bars"]), row["count"])
        return {(bar["from"], bar["to"]): bar["count"] for bar in row["bars"]}

    def test_threads(self):
        """Every kind, by a key, from four threads on all CPUs; signed values around zero."""
        table = """{ "syscall:kcmp", where = "idx2 == 77", count = { by = { "key = idx1", "comm" } },
            sum = { "type", by = { "idx1" } }, avg = { "type", by = { "idx1" } }, min = { "type", by = { "idx1" } },
            max = { "type", by = { "idx1" } }, hist = { "type", by = { "idx1" } },
            lhist = { "type", -1000, 101, 100, by = { "idx1" } } }"""
        records = self.trace(table, f"""
            EDGES = {EDGES}
            def work(number):
                for round in range(50):
                    for i, edge in enumerate(EDGES):
                        kcmp(edge, i % 5, 77)
                        kcmp(edge, i % 5, 76)
            together(work)
            """)
        values = collections.defaultdict(list)
        for i, edge in enumerate(EDGES):
            values[i % 5] += [edge] * 200
        counts = self.rows(records, "count")
        self.assertEqual({key[0]: row["value"] for key, row in counts.items()}, {k: len(v) for k, v in values.items()})
        self.assertEqual({len(key) for key in counts}, {2})
        for kind, compute in (("sum", sum), ("min", min), ("max", max), ("avg", lambda v: truncated(sum(v), len(v)))):
            rows = self.rows(records, kind)
            self.assertEqual({key[0]: row["value"] for key, row in rows.items()},
                             {k: compute(v) for k, v in values.items()}, kind)
            self.assertEqual({key[0]: row["count"] for key, row in rows.items()}, {k: len(v) for k, v in values.items()})
        for key, row in self.rows(records, "hist").items():
            self.assertEqual(self.bars(row), collections.Counter(map(power_bounds, values[key[0]])))
        for key, row in self.rows(records, "lhist").items():
            self.assertEqual(self.bars(row),
                             collections.Counter(even_bounds(v, -1000, 101, 100) for v in values[key[0]]))
        end = records[-1]["probes"][0]
        self.assertEqual((end["passed"], end["sent"], end["lost_full"]), (200 * len(EDGES), 0, 0))
        self.assertFalse([r for r in records if r["type"] in ("event", "lost")])
        self.assertEqual({(r["full"], r["missing"]) for r in records if r["type"] == "aggregate_end"}, {(0, 0)})

    def test_unsigned(self):
        """Values of 64 unsigned bits: exact, compared as unsigned; a sum wraps."""
        table = """{ "syscall:kcmp", sum = "idx1", min = "idx1", max = "idx1", avg = "idx1", hist = "idx1",
            lhist = { "idx1", 0, 4, 2 } }"""
        records = self.trace(table, f"""
            for value in {BIG}:
                kcmp(0, value)
            """)
        self.assertEqual(self.rows(records, "sum")[()]["value"], sum(BIG) % 2**64)
        self.assertEqual(self.rows(records, "min")[()]["value"], 0)
        self.assertEqual(self.rows(records, "max")[()]["value"], 2**64 - 1)
        self.assertEqual(self.rows(records, "avg")[()]["sum"], sum(BIG) % 2**64)
        self.assertEqual(self.bars(self.rows(records, "hist")[()]), collections.Counter(map(power_bounds, BIG)))
        self.assertEqual(self.bars(self.rows(records, "lhist")[()]),
                         collections.Counter(even_bounds(v, 0, 4, 2) for v in BIG))

    def test_full(self):
        """A map that is full says how often it was asked in vain; what it holds is right."""
        table = '{ "syscall:kcmp", count = { by = { "idx1" }, max = 50 }, sum = "type" }'
        program = """
            for round in range(3):
                for key in range(200):
                    kcmp(1, key)
            """
        records = self.trace(table, program)
        rows = self.rows(records, "count")
        self.assertEqual(len(rows), 50)
        self.assertEqual({row["value"] for row in rows.values()}, {3})
        ends = [r for r in records if r["type"] == "aggregate_end"]
        self.assertEqual([(r["kind"], r["rows"], r["full"], r["missing"]) for r in ends],
                         [("count", 50, 450, 0), ("sum", 1, 0, 0)])
        self.assertEqual(records[-1]["probes"][0]["lost_full"], 450)
        self.assertEqual(self.rows(records, "sum")[()]["value"], 600)
        done = rille.run("-e", table, "--", *self.program(program))
        self.assertIn("not counted: 450, the map was full (max = 50)", done.stdout)
        self.assertRegex(done.stderr, r"rille: syscall:kcmp: seen \d+ passed 600 sent 0.*, not counted \(map full\) 450")

    def test_missing(self):
        """A value that cannot be read is not counted, and that is said; a key that cannot be read is null."""
        records = self.trace("""{ "syscall:kcmp", sum = "u32(idx1)", count = { by = { "what = u32(idx1)" } } }""", """
            number = ctypes.c_uint(42)
            for i in range(10):
                kcmp(0, ctypes.addressof(number) if i % 2 else 8 * i)
            """)
        self.assertEqual(self.rows(records, "sum")[()]["value"], 5 * 42)
        self.assertEqual({r["kind"]: (r["full"], r["missing"]) for r in records if r["type"] == "aggregate_end"},
                         {"count": (0, 0), "sum": (0, 5)})
        self.assertEqual({key: row["value"] for key, row in self.rows(records, "count").items()}, {(42,): 5, (None,): 5})

    def test_texts(self):
        """Texts of different lengths are keys that nothing before them is left of: read at the exit, or kept since the entry."""
        table = """{ "syscall:openat", where = 'filename ~ "/nowhere/*"', count = { by = { "filename" } },
            sum = { "1", by = { "name = entry(str(filename))" } }, max = { "1", by = { "name = str(filename, 12)" } } }"""
        names = ["/nowhere/" + "x" * n for n in (200, 1, 90, 2, 16, 3)]
        records = self.trace(table, f"""
            import os
            for round in range(7):
                for name in {names}:
                    os.access(name, 0)
                    try:
                        os.open(name, 0)
                    except OSError:
                        pass
            """)
        self.assertEqual({key: row["value"] for key, row in self.rows(records, "count").items()},
                         {(name,): 7 for name in names})
        self.assertEqual({key: row["value"] for key, row in self.rows(records, "sum").items()},
                         {(name,): 7 for name in names})
        short = collections.Counter(name[:12] for name in names)
        self.assertEqual({key[0]: row["count"] for key, row in self.rows(records, "max").items()},
                         {name: 7 * n for name, n in short.items()})

    def test_addresses(self):
        """Socket addresses are keys, too: as long as they are."""
        records = self.trace("""{ "syscall:connect", where = "fd_family(fd) == AF_UNIX", count = { by = { "to = addr" } } }""", """
            import socket
            for round in range(5):
                for name in ("/nowhere/long/path", "/no", "/nowhere"):
                    s = socket.socket(socket.AF_UNIX)
                    s.connect_ex(name)
                    s.close()
            """)
        found = {r["by"]["to"].get("path"): r["value"] for r in records if r["type"] == "aggregate"}
        self.assertLessEqual({"/nowhere/long/path": 5, "/no": 5, "/nowhere": 5}.items(), found.items())

    def test_strace(self):
        """All calls of a program, by name: strace's counts."""
        strace = shutil.which("strace")
        if not strace:
            self.skipTest("strace is not installed")
        table = '{ "syscall:*", count = { by = { "probe" } }, sum = { "ret < 0", by = { "probe" } } }'
        trace, said = self.path / "trace", self.path / "strace"
        with open(os.devnull, "w", encoding="utf-8") as null:
            done = rille.run("-e", table, "-o", f"jsonl:{trace}", "--", "/bin/ls", "/", stdout=null)
            self.assertEqual(done.returncode, 0, done.stderr)
            subprocess.run([strace, "-c", "-U", "name,calls,errors", "-o", said, "/bin/ls", "/"], check=True, stdin=null,
                           stdout=null)
        records = rille.records(trace.read_text(encoding="utf-8"))
        expected, errors = {}, {}
        for line in said.read_text(encoding="utf-8").splitlines():
            match = re.match(r"(\w+) +(\d+)(?: +(\d+))?$", line.strip())
            if match and match[1] not in ("total", "syscall", "execve", "exit_group"):
                expected["syscall:" + match[1]] = int(match[2])
                errors["syscall:" + match[1]] = int(match[3] or 0)
        counts = {key[0]: row["value"] for key, row in self.rows(records, "count").items()}
        failed = {key[0]: row["value"] for key, row in self.rows(records, "sum").items()}
        for name in ("syscall:execve", "syscall:exit_group"):
            counts.pop(name, None)
            failed.pop(name, None)
        self.assertGreater(len(expected), 5)
        self.assertEqual(counts, expected)
        self.assertEqual(failed, errors)

    def test_beside_events(self):
        """A probe that has fields sends its events, and counts them; two of one script do not mix."""
        script = self.script("""
            return { probes = {
              { "syscall:kcmp", where = "type == 1", fields = { "idx1" }, count = { by = { "idx1" } }, max = "idx1" },
              { "syscall:kcmp", where = "type == 2", count = true, on_event = function(ev, out) out:print("called") end },
              { "syscall:kcmp", where = "type == 3", count = true, stack = "user" },
              { "syscall:kcmp", where = "type == 4", count = true },
            } }""")
        done = rille.run("run", script, "--format", "jsonl", "--", *self.program("""
            for i in range(60):
                kcmp(i % 6, i % 7)
            """))
        self.assertEqual(done.returncode, 0, done.stderr)
        records = rille.records(done.stdout)
        events = [r for r in records if r["type"] == "event"]
        ones = [e["idx1"] for e in events if "idx1" in e]
        self.assertEqual({key[0]: row["value"] for key, row in self.rows(records, "count").items()},
                         collections.Counter(ones))
        self.assertEqual(self.rows(records, "max")[()]["value"], max(ones))
        self.assertEqual(len(ones), 10)
        self.assertEqual(sum("ustack" in e for e in events), 10)
        self.assertEqual(len(events), 20)
        self.assertEqual(sum(r["type"] == "print" for r in records), 10)
        for number in (2, 3, 4):
            self.assertEqual(self.rows(records, "count", number)[()]["value"], 10)

    def test_process(self):
        """Of a process that runs already; by elapsed, and where the condition is split between entry and exit."""
        child = subprocess.Popen(self.program("""
            sys.stdin.readline()
            for i in range(500):
                kcmp(i % 2, 5)
            """), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.addCleanup(child.wait)
        tracer = rille.start("-e", """{ "syscall:kcmp", where = "type == 1 && elapsed > 0 && ret < 0", count = true,
                hist = "elapsed", sum = "elapsed" }""", "-p", child.pid, "--format", "jsonl")
        child.communicate(b"go\n")
        out, err = tracer.communicate(timeout=60)
        self.assertEqual(tracer.returncode, 0, err)
        records = rille.records(out)
        self.assertEqual(self.rows(records, "count")[()]["value"], 250)
        hist, total = self.rows(records, "hist")[()], self.rows(records, "sum")[()]
        self.assertEqual((hist["count"], total["count"]), (250, 250))
        bars = self.bars(hist)
        self.assertLessEqual(sum(n * (low or 0) for (low, _), n in bars.items()), total["value"])
        self.assertGreater(sum(n * high for (_, high), n in bars.items()), total["value"])

    def test_pattern_at_the_entry(self):
        """A condition that needs room (a pattern that is a parameter) is tested at the entry, too, and holds there alike."""
        script = self.script("""
            return {
              params = { { "name", "string", default = "*" } },
              probes = { { "syscall:kcmp", where = 'comm ~ $name && elapsed > 0', count = { by = { "comm" } },
                hist = "elapsed", fields = { "elapsed" } } },
            }""")
        program = self.program("""
            for name in ("one", "two", "three"):
                open("/proc/self/comm", "w").write(name)
                for i in range(7):
                    kcmp(0, 0)
            """)
        for options, expected in (((), {("one",): 7, ("two",): 7, ("three",): 7}),
                                  (("--name", "t*"), {("two",): 7, ("three",): 7})):
            done = rille.run("run", script, *options, "--format", "jsonl", "--", *program)
            self.assertEqual(done.returncode, 0, done.stderr)
            records = rille.records(done.stdout)
            self.assertEqual({k: r["value"] for k, r in self.rows(records, "count").items()}, expected)
            self.assertEqual(sum(r["type"] == "event" for r in records), 7 * len(expected))

    def test_pairs_and_clear(self):
        """What a script reads between one clearing and the next adds up to all; after the last nothing is shown."""
        script = self.script("""
            local seen, rounds, first = {}, 0, nil
            local function take(out)
              local n = 0
              for by, count, times in rille.pairs("syscall:kcmp", "count") do
                assert(count == times)
                seen[by.key] = (seen[by.key] or 0) + count
                n = n + count
              end
              return n
            end
            return {
              probes = { { "syscall:kcmp", count = { by = { "key = idx1" } }, avg = "type", min = "type", hist = "type" } },
              every = { 0.05, function()
                first = pcall(rille.clear, 1, "min")
              end },
              on_end = function(out)
                assert(not first)
                take(out)
                for _, avg, times in rille.pairs(1, "avg") do
                  out:row { avg = avg, times = times }
                end
                for _, bars in rille.pairs(1, "hist") do
                  for _, bar in ipairs(bars) do
                    out:row { { "from", bar.from }, { "to", bar.to }, { "count", bar.count } }
                  end
                end
                for key, n in pairs(seen) do
                  out:row { key = key, n = n }
                end
                for _, kind in ipairs { "count", "avg", "min", "hist" } do
                  rille.clear("syscall:kcmp", kind)
                  for _ in rille.pairs(1, kind) do
                    error("there is something left")
                  end
                end
              end,
            }""")
        done = rille.run("run", script, "--strict", "--format", "jsonl", "--", *self.program("""
            for i in range(90):
                kcmp(i % 4 - 1, i % 3)
            """))
        self.assertEqual(done.returncode, 0, done.stderr)
        records = rille.records(done.stdout)
        rows = [r for r in records if r["type"] == "row"]
        self.assertEqual({r["key"]: r["n"] for r in rows if "key" in r}, {0: 30, 1: 30, 2: 30})
        values = [i % 4 - 1 for i in range(90)]
        self.assertEqual([(r["avg"], r["times"]) for r in rows if "avg" in r], [(sum(values) / 90, 90)])
        self.assertEqual({(r["from"], r["to"]): r["count"] for r in rows if "from" in r},
                         collections.Counter(map(power_bounds, values)))
        self.assertFalse([r for r in records if r["type"] in ("aggregate", "aggregate_end")])

    def test_clear(self):
        """Counting anew: each part by itself, the first cleared while the program waits."""
        script = self.script("""
            return {
              probes = { { "syscall:kcmp", where = "type < 8", count = { by = { "idx1" } }, sum = "idx1", lhist = { "idx1", 0, 9, 3 } },
                { "syscall:kcmp", where = "type == 9", fields = { "idx1" }, on_event = function(_, out)
                  out:aggregates()
                  for _, kind in ipairs { "count", "sum", "lhist" } do
                    rille.clear(1, kind)
                  end
                end } },
            }""")
        process = subprocess.Popen([rille.RILLE, "run", script, "--strict", "--format", "jsonl", "--", *map(str, self.program("""
            for i in range(30):
                kcmp(1, i % 3)
            kcmp(9, 0)
            sys.stdin.readline()
            for i in range(8):
                kcmp(1, 4 + i % 2)
            """))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = []
        for line in process.stdout:
            first.append(json.loads(line))
            if (first[-1]["type"], first[-1].get("kind")) == ("aggregate_end", "lhist"):
                break
        out, err = process.communicate("go\n", timeout=60)
        self.assertEqual(process.returncode, 0, err)
        second = rille.records(out)
        self.assertEqual({k[0]: r["value"] for k, r in self.rows(first, "count").items()}, {0: 10, 1: 10, 2: 10})
        self.assertEqual({k[0]: r["value"] for k, r in self.rows(second, "count").items()}, {4: 4, 5: 4})
        self.assertEqual(self.rows(second, "sum")[()]["value"], 36)
        self.assertEqual(self.bars(self.rows(second, "lhist")[()]), {(3, 6): 8})

    def test_object(self):
        """An object that was made before counts the same; so does a program with targets of every kind."""
        script = self.script("""
            return { probes = { { "syscall:kcmp", count = { by = { "idx1", "comm" } }, hist = { "elapsed" }, max = "type" } } }""")
        made = self.path / "made.o"
        done = rille.run("emit", script, "--object", made)
        self.assertEqual(done.returncode, 0, done.stderr)
        program = self.program("""
            for i in range(90):
                kcmp(i, i % 3)
            """)
        for what in (script, made):
            done = rille.run("run", what, "--format", "jsonl", "--", *program, env=os.environ | {"RILLE_CC": "/nonexistent"}
                             if what == made else None)
            self.assertEqual(done.returncode, 0, done.stderr)
            records = rille.records(done.stdout)
            self.assertEqual({k[0]: r["value"] for k, r in self.rows(records, "count").items()}, {0: 30, 1: 30, 2: 30})
            self.assertEqual(self.rows(records, "max")[()]["value"], 89)
            self.assertEqual(self.rows(records, "hist")[()]["count"], 90)

    def test_tracepoint(self):
        """Tracepoints count as calls do: the processes that a program starts, by its own word."""
        records = self.trace('{ "tracepoint:sched:sched_process_exec", count = { by = { "filename", "probe" } } }', """
            import subprocess
            for i in range(6):
                subprocess.run(["/bin/true"])
            """)
        found = {key: row["value"] for key, row in self.rows(records, "count").items()}
        self.assertEqual(found[("/bin/true", "tracepoint:sched:sched_process_exec")], 6)

    def test_text(self):
        """The text says what the records say: the largest first, columns under their names, bars in proportion."""
        done = rille.run("-e", """{ "syscall:kcmp", count = { by = { "idx1", "comm" } }, sum = { "idx1", as = "bytes" },
            hist = { "idx1", by = { "idx2" } } }""", "--", *self.program("""
            for i in range(30):
                kcmp(0, 4096 if i < 20 else 100, 7)
            """))
        self.assertEqual(done.returncode, 0, done.stderr)
        comm = pathlib.Path(os.path.realpath(sys.executable)).name[:15]
        tables = done.stdout.split("\n\n")
        table = [line.split() for line in tables[0].splitlines()]
        self.assertEqual(table[0], ["syscall:kcmp", "count"])
        self.assertEqual(table[1], ["idx1", "comm", "count"])
        self.assertEqual([(row[0], row[2]) for row in table[2:]], [("4096", "20"), ("100", "10")])
        self.assertEqual(len({line.rindex(line.split()[-1]) + len(line.split()[-1])
                              for line in tables[0].splitlines()[1:]}), 1, comm)
        self.assertEqual(tables[1].split(), ["syscall:kcmp", "sum", "of", "idx1", "sum", "81", "KiB"])
        lines = tables[2].splitlines()
        self.assertEqual(lines[:2], ["syscall:kcmp hist of idx1", "  idx2=7"])
        bars = [re.match(r" +\[(\d+), (\d+)\) +(\d+) \|(@*) *\|$", line).groups() for line in lines[2:]]
        self.assertEqual([(int(a), int(b)) for a, b, _, _ in bars], [(2**i, 2**(i + 1)) for i in range(6, 13)])
        self.assertEqual([int(n) for _, _, n, _ in bars], [10, 0, 0, 0, 0, 0, 20])
        self.assertEqual([len(bar) for _, _, _, bar in bars], [20, 0, 0, 0, 0, 0, 40])

    def test_report(self):
        """What `rille report` makes of a trace in JSON lines is what the run has shown itself, in every format."""
        jsonl, text = self.path / "trace.jsonl", self.path / "trace.text"
        done = rille.run("-e", """{ "syscall:*", where = 'comm == "counted"', fields = { "ret" },
            count = { by = { "probe", "comm", { "error", "errno", as = "errno" } }, max = 6 }, avg = "ret",
            sum = { "ret", as = "bytes", by = { "uid", "big = 18446744073709551615", "yes = ret < 0", "none = u32(0)" } },
            min = "elapsed", max = { "fd_inode(0)" }, hist = { "elapsed", by = { "comm" } },
            lhist = { "ret", -10, 10, 3, by = { "cpu" } } }""", "-o", f"jsonl:{jsonl}", "-o", f"text:{text}",
                         "--every", "100ms", "--", *self.program("""
            import socket, time
            open("/proc/self/comm", "w").write("counted")
            for i in range(5):
                socket.socket(socket.AF_UNIX).connect_ex("/nowhere")
                time.sleep(0.1)
            """))
        self.assertEqual(done.returncode, 0, done.stderr)
        again, written = self.path / "again.jsonl", self.path / "again.text"
        done = rille.run("report", jsonl, "-o", f"jsonl:{again}", "-o", f"text:{written}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(again.read_text(encoding="utf-8"), jsonl.read_text(encoding="utf-8"))
        self.assertEqual(written.read_text(encoding="utf-8"), text.read_text(encoding="utf-8"))
        self.assertIn("not counted", text.read_text(encoding="utf-8"))

    def test_every(self):
        """With --every the counts so far are told while the program runs; the last are the whole."""
        trace = self.path / "trace"
        done = rille.run("-e", '{ "syscall:kcmp", count = true }', "--every", "50ms", "-o", f"jsonl:{trace}", "--",
                         *self.program(f"""
            import time
            kcmp(0, 0)
            while '"value":1' not in open({str(trace)!r}).read():
                time.sleep(0.01)
            for i in range(7):
                kcmp(0, 0)
            """))
        self.assertEqual(done.returncode, 0, done.stderr)
        values = [r["value"] for r in rille.records(trace.read_text(encoding="utf-8")) if r["type"] == "aggregate"]
        self.assertEqual(values, sorted(values))
        self.assertEqual((values[0], values[-1]), (1, 8))

    def test_other_formats(self):
        """A format that has no place for counts says so."""
        done = rille.run("-e", '{ "syscall:kcmp", count = true }', "--format", "folded", "--", "/bin/true")
        self.assertIn("the format folded does not show what is counted; text and jsonl do", done.stderr)

    def test_schema(self):
        """Every record fits the schema that is shipped."""
        try:
            validator = rille.validator()
        except ImportError:
            self.skipTest("python3-jsonschema is not installed")
        if not validator:
            self.skipTest("this jsonschema does not know draft 2020-12")
        records = self.trace("""{ "syscall:kcmp", count = { by = { "idx1", "comm" }, max = 5 }, avg = { "u32(idx1)" },
            hist = { "idx1" }, lhist = { "type", 0, 10, 1 }, min = "idx1" }""", """
            for i in range(20):
                kcmp(i, i)
            """)
        self.assertLessEqual({"aggregate", "aggregate_end"}, {r["type"] for r in records})
        for record in records:
            errors = [error.message for error in validator.iter_errors(record)]
            self.assertFalse(errors, record)


if __name__ == "__main__":
    unittest.main()
