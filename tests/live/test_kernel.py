"""What the kernel side does with calls: filters them where they happen, counts every one of them, and what does not get
through is told, never dropped in silence. The oracle is the program that makes the calls: it says how many."""

import errno
import os
import signal
import subprocess
import tempfile
import time
import unittest

import rille

SERIAL = True  # it fills the machine, and its rates need a processor

SOCKETS = '{ "syscall:socket", where = "type == SOCK_DGRAM", fields = { "fd = ret" } }'
WITH_STACK = '{ "syscall:socket", where = "type == SOCK_DGRAM", fields = { "fd = ret" }, stack = "user" }'


class Kernel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        cls.shop = rille.Workshop()
        cls.sockets = cls.shop.compile("sockets.c", "-O2")

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()

    def setUp(self):
        self.out = tempfile.NamedTemporaryFile("r", prefix="rille-events-")  # pylint: disable=consider-using-with
        self.addCleanup(self.out.close)

    def start(self, *args):
        process = rille.start(*args, "-o", f"jsonl:{self.out.name}")
        self.addCleanup(process.kill)
        return process

    def finish(self, process):
        """(records, the one probe's totals, what it said)"""
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, said)
        records = rille.records(self.out.read())
        self.assertEqual(records[-1]["type"], "end")
        return records, records[-1]["probes"][0], said

    def make_sockets(self, count):
        subprocess.run([self.sockets, str(count)], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class Filter(Kernel):
    """A million foreign calls: every one is seen in the kernel, none crosses into user space."""

    def check(self, args, count=1000000):
        process = self.start(*args)
        self.make_sockets(count)
        records, totals, said = self.finish(process)
        self.assertGreaterEqual(totals["seen"], count)
        self.assertEqual((totals["passed"], totals["sent"], totals["lost_ring"]), (0, 0, 0), said)
        self.assertEqual([record["type"] for record in records], ["meta", "end"])
        return totals

    def test_where(self):
        totals = self.check(["-e", '{ "syscall:socket", where = "family == AF_INET6 && type == 77" }'])
        self.assertGreaterEqual(totals["target"], 1000000)

    def test_other_process(self):
        totals = self.check(["-e", SOCKETS, "-p", os.getpid(), "--no-follow"], 200000)
        self.assertEqual(totals["target"], 0)


class Account(Kernel):
    def test_full_ring(self):
        """With the tracer stopped the ring overflows. What was kept arrives, what was not is counted: in the report, in
        `lost` records and in the totals, and the sums agree."""
        count = 300000
        process = self.start("-e", SOCKETS, "-n", "sockets")
        process.send_signal(signal.SIGSTOP)
        self.make_sockets(count)
        process.send_signal(signal.SIGCONT)
        time.sleep(1.5)  # so that losses are told while it runs
        self.make_sockets(1)
        records, totals, said = self.finish(process)
        events = [record for record in records if record["type"] == "event"]
        lost = [record for record in records if record["type"] == "lost"]
        self.assertEqual(totals["passed"], count + 1)
        self.assertGreater(totals["lost_ring"], 0)
        self.assertEqual(totals["sent"] + totals["lost_ring"], totals["passed"])
        self.assertEqual(len(events), totals["sent"])
        self.assertTrue(lost)
        self.assertEqual(sum(record["lost"] for record in lost), totals["lost_ring"])
        self.assertIn(f"lost {totals['lost_ring']}", said)

    def check_none_lost(self, probe, count):
        # Room for all of them, as a machine that is busy with others may keep us waiting. That the ordinary ring is enough on one
        # that is not is for the benchmark to show.
        process = self.start("-e", probe, "-n", "sockets", "--ring", "256M")
        self.make_sockets(count)
        records, totals, said = self.finish(process)
        events = [record for record in records if record["type"] == "event"]
        self.assertEqual(totals["lost_ring"], 0, said)
        self.assertEqual((totals["passed"], totals["sent"], len(events)), (count, count, count))
        return events

    def test_full_speed(self):
        """One producer that does nothing else loses no event; they come in order, each with its descriptor."""
        events = self.check_none_lost(SOCKETS, 300000)
        times = [event["nsecs"] for event in events]
        self.assertEqual(times, sorted(times))
        self.assertEqual({event["fd"] for event in events}, {3})

    def test_full_speed_with_stacks(self):
        """The same with the stack of each, unwound and named to its root."""
        events = self.check_none_lost(WITH_STACK, 100000)
        self.assertEqual({event["ustack_end"] for event in events}, {"root"})
        self.assertEqual({event["ustack"][1]["name"] for event in events} - {"make_sockets", "main"}, set())

    def test_limit(self):
        process = self.start("-e", SOCKETS, "-n", "sockets", "--limit", "10")
        self.make_sockets(1000)
        _, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, said)
        records = rille.records(self.out.read())
        self.assertEqual(sum(record["type"] == "event" for record in records), 10)
        self.assertEqual(records[-1]["reason"], "limit")
        self.assertEqual(records[-1]["probes"][0]["sent"], 10)

    def test_rare_events_come_at_once(self):
        """A single event is shown within a fraction of a second, though wake-ups are batched: at its best, since the machine may
        be busy with others."""
        process = rille.start("-e", SOCKETS, "-n", "sockets")
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        took = []
        for _ in range(5):
            began = time.monotonic()
            self.make_sockets(1)
            self.assertIn("syscall:socket", process.stdout.readline())
            took.append(time.monotonic() - began)
            time.sleep(0.05)
        self.assertLess(min(took), 0.5)

    def test_two_engines(self):
        """Two tracers at once see the same calls, each all of them."""
        first = rille.start("-e", SOCKETS, "-n", "sockets", "--format", "jsonl")
        second = rille.start("-e", SOCKETS, "-n", "sockets", "--format", "jsonl")
        self.make_sockets(1000)
        counts = []
        for process in (first, second):
            process.send_signal(signal.SIGINT)
            out, said = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, said)
            counts.append(len(rille.events(out)))
        self.assertEqual(counts, [1000, 1000])


class Refused(Kernel):
    """Where BPF is not to be had the command says why, with the status for it."""

    def check(self, status, words, command):
        done = subprocess.run([*map(str, command), rille.RILLE, "-e", SOCKETS, "-d", "10ms"], check=False, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, status, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_no_bpf_at_all(self):
        nobpf = self.shop.compile("nobpf.c")
        self.check(4, ["no-bpf", "bpf()"], [nobpf, errno.ENOSYS])

    def test_forbidden_by_seccomp(self):
        nobpf = self.shop.compile("nobpf.c")
        self.check(4, ["no-bpf", "seccomp"], [nobpf, errno.EPERM])

    def without(self, *capabilities):
        """The command that takes these from another command; skips where that cannot be done."""
        command = ["setpriv", "--bounding-set=" + ",".join("-" + capability for capability in capabilities)]
        probe = subprocess.run([*command, "true"], check=False, capture_output=True)
        if probe.returncode:
            self.skipTest(f"cannot drop capabilities: {probe.stderr.decode().strip()}")
        return command

    def test_missing_capability(self):
        """The one that is missing is named."""
        self.check(3, ["no-permission", "CAP_BPF is missing"], self.without("bpf", "sys_admin"))
        self.check(3, ["no-permission", "CAP_PERFMON is missing"], self.without("perfmon", "sys_admin"))

    def test_few_capabilities(self):
        """CAP_SYS_ADMIN is not needed."""
        done = subprocess.run([*self.without("sys_admin"), rille.RILLE, "run", "socket", "-q", "--", self.sockets, "3"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("syscall:socket"), 3, done.stdout)
        self.assertIn("_start", done.stdout)

    def test_user_namespace(self):
        probe = subprocess.run(["unshare", "--user", "--map-root-user", "true"], check=False, capture_output=True)
        if probe.returncode:
            self.skipTest(f"no user namespaces here: {probe.stderr.decode().strip()}")
        self.check(3, ["no-permission", "user namespace"], ["unshare", "--user", "--map-root-user"])

    def test_pid_namespace(self):
        """There a number names another process than in the kernel: refused, not traced wrongly."""
        inside = ["unshare", "--pid", "--fork", "--mount-proc"]
        probe = subprocess.run([*inside, "true"], check=False, capture_output=True)
        if probe.returncode:
            self.skipTest(f"no pid namespaces here: {probe.stderr.decode().strip()}")
        done = subprocess.run([*inside, rille.RILLE, "-e", SOCKETS, "--", "true"], check=False, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("pid-namespace", done.stderr)


if __name__ == "__main__":
    unittest.main()
