"""Another kernel than the one the tests run on: Debian's 6.1, with and without lockdown, and nobody mounted tracefs there.

Each check is a shell script in the machine; what it printed is looked at here. The programs that are traced say
themselves what they did.
"""

import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import machine

SERIAL = True  # qemu emulates, and is given the whole machine
TESTS = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = TESTS / "programs"
RECIPE = (TESTS.parent / "scripts" / "fds.lua").read_text(encoding="utf-8")

# name → script. The traced program's own words go to /tmp/said, so that stdout is the trace's alone.
CHECKS = {
    "kernel": "uname -r; ls /sys/kernel/tracing; cat /sys/kernel/security/lockdown",
    "socketpair": """
        patient rille run socketpair --format jsonl -- sh -c 'pairs > /tmp/said' || exit
        echo @; cat /tmp/said""",
    "bind": """
        patient rille run bind --format jsonl -- sh -c 'binds > /tmp/said' || exit
        echo @; cat /tmp/said""",
    "socketpair-again": "patient rille run socketpair -v --format jsonl -- sh -c 'pairs > /tmp/said'",
    "tracepoint": """
        patient rille -e '{ "tracepoint:sched:sched_process_exec", fields = { "filename", "old_pid" } }' \\
            --format jsonl -- sh -c '/bin/pairs > /tmp/said'; code=$?
        ls /sys/kernel/tracing | wc -l >&2
        exit $code""",
    "unknown": "patient rille -e '{ \"syscall:soketpair\" }'",
    "joined": """
        patient rille -e '{ "syscall:clock_nanosleep", stack = "kernel",
            fields = { "elapsed", "ret", "parent = task->real_parent->comm" } }' --format jsonl -- sleep 0.2""",
    # In three parts: the emulated compiler would run into its limit.
    "fds": f"""
        mkdir /tmp/parts && cd /tmp/parts
        cat > fds.lua <<'END'
{RECIPE}
END
        for part in 0 1 2; do
            cat > part.lua <<END
local recipe, probes = require "fds", {{}}
for i, probe in ipairs(recipe.probes) do
  local part = probe[1]:match("io_uring:") and 2 or i % 3
  if part == $part then
    table.insert(probes, probe)
  end
end
return {{ params = recipe.params, probes = probes }}
END
            patient rille run part.lua -v --format jsonl -- sh -c 'fds < /dev/null > /tmp/said' || exit
        done
        echo @; cat /tmp/said""",
    "object": """
        export RILLE_CC=/nonexistent
        rille run /bin/pairs.o --format jsonl -- sh -c 'pairs > /tmp/said' || exit
        echo @; cat /tmp/said""",
    # dd says itself how much it read.
    "counts": """
        patient rille -e '{ "syscall:read", where = "count == 512", count = { by = { "comm", "probe" } },
            sum = { "ret", by = { "name = entry(fd_kind(fd))" } }, avg = "ret", min = "ret", max = "elapsed",
            hist = { "elapsed", by = { "ret" } }, lhist = { "ret", 0, 1024, 256 } }' --format jsonl \\
            -- dd if=/dev/zero of=/dev/null bs=512 count=1000""",
    "counts-full": """
        patient rille -e '{ "syscall:lseek", count = { by = { "offset" }, max = 10 } }' --format jsonl \\
            -- sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do dd if=/bin/rille of=/dev/null bs=1 skip=$i count=1; done'""",
    "doctor": "rille doctor",
    "list": "rille list -v probes syscall:bind",
    "unprivileged": """
        chmod 711 /root
        su -s /bin/sh nobody -c "rille -e '{ \\"syscall:bind\\" }' -d 1s" """,
}


def build(place, name):
    program = pathlib.Path(place) / name
    subprocess.run(["cc", "-O1", "-g", "-fno-omit-frame-pointer", PROGRAMS / f"{name}.c", "-o", program], check=True)
    return program


def emit(place):
    """An object that is made on this kernel, to be loaded on the other."""
    target = pathlib.Path(place) / "pairs.o"
    if not machine.RILLE.exists():
        raise machine.Unavailable("rille is not built")
    subprocess.run([machine.RILLE, "emit", "socketpair", "--object", target], check=True)
    return target


class Machine:
    """What must hold on every kernel. The classes below say which machine."""

    append = ""
    lockdown = "none"
    checks = CHECKS

    @classmethod
    def setUpClass(cls):
        if not shutil.which("cc"):
            raise unittest.SkipTest("no C compiler is installed")
        with tempfile.TemporaryDirectory(prefix="rille-vm-programs-") as place:
            try:
                programs = {"pairs": build(place, "pair"), "binds": build(place, "binds"), "fds": build(place, "fds"),
                            "pairs.o": emit(place)}
                cls.results = machine.boot(cls.checks, programs, cls.append)
            except machine.Unavailable as reason:
                raise unittest.SkipTest(str(reason)) from None

    def result(self, name, code=0):
        self.assertIn(name, self.results, "the machine did not come that far")
        result = self.results[name]
        self.assertEqual(result.code, code, str(result))
        return result

    def events_and_words(self, name):
        """The trace's events, and the lines of numbers that the program said."""
        trace, _, said = self.result(name).out.partition("@\n")
        records = [json.loads(line) for line in trace.splitlines()]
        self.assertEqual((records[0]["type"], records[-1]["type"]), ("meta", "end"))
        events = [r for r in records if r["type"] == "event"]
        return events, [[int(word) for word in line.split()] for line in said.splitlines()]

    def test_kernel(self):
        """It is another kernel, tracefs is not mounted, and the lockdown is what was asked for."""
        out = self.result("kernel").out.splitlines()
        self.assertRegex(out[0], r"^\d+\.\d+\.\d+.*-amd64$")
        self.assertEqual(len(out), 2, "tracefs is mounted")
        self.assertIn(f"[{self.lockdown}]", out[1])

    def test_socketpair(self):
        """Both pairs with their descriptors and inodes, and the calls that led there."""
        events, said = self.events_and_words("socketpair")
        self.assertEqual(len(said), 2)
        self.assertEqual([[e["pid"], *e["fds"], *e["inodes"]] for e in events], said)
        for event in events:
            self.assertEqual([f["name"] for f in event["ustack"]][1:4], ["leaf", "mid", "main"])
            self.assertEqual(event["ustack_end"], "root")

    def test_tracepoint(self):
        """A tracepoint's format comes through a private tracefs: the public place stays empty."""
        result = self.result("tracepoint")
        events = [r for r in map(json.loads, result.out.splitlines()) if r["type"] == "event"]
        self.assertIn("/bin/pairs", [e["filename"] for e in events], str(result))
        self.assertEqual(result.err.split()[-1], "0")


class Plain(Machine, unittest.TestCase):
    """Everything, on the kernel as it comes."""

    def test_bind(self):
        """The three calls, also the one that failed, with address and inode."""
        events, said = self.events_and_words("bind")
        self.assertEqual([[e["fd"], e["inode"], e["ret"]] for e in events],
                         [[fd, inode, -error if error else 0] for fd, inode, _, error in said])
        self.assertEqual([e["errno"] for e in events][2], "EADDRINUSE")
        self.assertIn("rille test", json.dumps(events[0]["addr"]))
        self.assertIn("127.0.0.1:4242", json.dumps(events[1]["addr"]))

    def test_object(self):
        """An object that was made on another kernel traces here, without a compiler."""
        events, said = self.events_and_words("object")
        self.assertEqual([[e["pid"], *e["fds"], *e["inodes"]] for e in events], said)
        self.assertEqual([f["name"] for f in events[0]["ustack"]][1:4], ["leaf", "mid", "main"])

    def test_again(self):
        """The second start takes the object from the cache."""
        result = self.result("socketpair-again")
        self.assertIn("cached object", result.err)

    def test_joined(self):
        """Entry and exit of a call, a kernel structure by its types, and the kernel's stack."""
        events, _ = self.events_and_words("joined")
        self.assertEqual(len(events), 1)
        self.assertGreater(events[0]["elapsed"], 200_000_000)
        self.assertEqual((events[0]["ret"], events[0]["parent"]), (0, "rille"))
        self.assertIn("do_syscall_64", [f["name"] for f in events[0]["kstack"]])
        self.assertEqual(events[0]["kstack_end"], "root")

    def test_fds(self):
        """Each descriptor that the program says it made is told, and what this kernel does not have is left out."""
        result = self.result("fds")
        trace, _, said = result.out.partition("@\n")
        told = set()
        for event in filter(lambda record: record["type"] == "event", map(json.loads, trace.splitlines())):
            call = event["probe"].split(":")[1 if event["probe"].startswith("syscall:") else 0]
            for fd in event.get("fds") or [event.get("fd")]:
                told.add((call, event.get("op"), fd))
        steps = 0
        for words in map(str.split, said.splitlines()):
            if words[1] not in ("new", "pair", "dup", "recv") or words[2] == "read":
                continue
            steps += 1
            call = "tracepoint" if words[2].startswith("uring:") else words[2]
            op = "new" if words[1] in ("new", "pair") else "dup"
            for fd in words[3:4] if words[1] in ("new", "dup") else words[3:]:
                self.assertIn((call, op, int(fd)), told, (words, result.err[-3000:]))
        self.assertGreater(steps, 80)
        self.assertIn('is left out: this kernel has no struct or union "io_pipe"', result.err)

    def test_counts(self):
        """What is counted here is what dd says."""
        result = self.result("counts")
        self.assertIn("1000+0 records in", result.err)
        rows = {r["kind"]: r for r in map(json.loads, result.out.splitlines()) if r["type"] == "aggregate"}
        self.assertEqual(rows["count"]["by"], {"comm": "dd", "probe": "syscall:read"})
        self.assertEqual({kind: rows[kind]["value"] for kind in ("count", "sum", "avg", "min")},
                         {"count": 1000, "sum": 512000, "avg": 512, "min": 512})
        self.assertGreater(rows["max"]["value"], 0)
        self.assertEqual(sum(bar["count"] for bar in rows["hist"]["bars"]), 1000)
        self.assertEqual(rows["lhist"]["bars"], [{"from": 512, "to": 768, "count": 1000}])

    def test_counts_full(self):
        """A full map is said, and counted."""
        records = [json.loads(line) for line in self.result("counts-full").out.splitlines()]
        rows = [r for r in records if r["type"] == "aggregate"]
        full = [r["full"] for r in records if r["type"] == "aggregate_end"]
        self.assertEqual(len(rows), 10)
        self.assertEqual(sum(r["count"] for r in rows) + full[0], records[-1]["probes"][0]["passed"])
        self.assertGreater(full[0], 0)

    def test_unknown(self):
        """A mistyped probe is refused with the nearest name."""
        self.assertIn("socketpair", self.result("unknown", 2).err)

    def test_doctor(self):
        """It finds that tracing works here."""
        self.result("doctor")

    def test_list(self):
        """Every argument with its type."""
        self.assertRegex(self.result("list").out, r"struct sockaddr \*\s*umyaddr")

    def test_unprivileged(self):
        """Without privileges it says so, with exit status 3."""
        self.assertTrue(self.result("unprivileged", 3).err)


class Lockdown(Machine, unittest.TestCase):
    """As Secure Boot sets it."""

    append = "lockdown=integrity"
    lockdown = "integrity"
    checks = {name: CHECKS[name] for name in ("kernel", "socketpair", "tracepoint")}


class Confidentiality(unittest.TestCase):
    """Where the kernel lets no program read memory, nothing works, and it is said why."""

    @classmethod
    def setUpClass(cls):
        checks = {
            "socketpair": "patient rille run socketpair -d 1s",
            "tracepoint": """patient rille -e '{ "tracepoint:sched:sched_process_exec" }' -d 1s""",
            "doctor": "rille doctor",
        }
        try:
            cls.results = machine.boot(checks, {}, "lockdown=confidentiality")
        except machine.Unavailable as reason:
            raise unittest.SkipTest(str(reason)) from None

    def test_refused(self):
        for name in ("socketpair", "tracepoint"):
            with self.subTest(name):
                self.assertEqual(self.results[name].code, 4, str(self.results[name]))
                self.assertIn("lockdown=confidentiality", self.results[name].err)

    def test_doctor(self):
        self.assertRegex(self.results["doctor"].out, r"(?m)^NO +lockdown")


if __name__ == "__main__":
    unittest.main()
