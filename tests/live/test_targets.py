"""Who is traced: the processes that were named, with their children unless told not to, and nobody else. The oracle is
the traced program, which says the number of each of its processes."""

import os
import pwd
import signal
import subprocess
import tempfile
import time
import unittest

import rille

SOCKETS = '{ "syscall:socket", where = "type == SOCK_DGRAM", fields = { "fd = ret" } }'


def said_by(text):
    """{pid: count} from the program's lines."""
    return {int(pid): int(count) for pid, count in (line.split() for line in text.splitlines())}


def counted(events):
    counts = {}
    for event in events:
        counts[event["pid"]] = counts.get(event["pid"], 0) + 1
    return counts


class Targets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        cls.shop = rille.Workshop()
        cls.sockets = cls.shop.compile("sockets.c", "-O2")
        # Others do the same all the time; none of it may show.
        cls.noise = subprocess.Popen(["/bin/sh", "-c", f"while :; do {cls.sockets} 100 < /dev/null; sleep 0.05; done"],
                                     stdout=subprocess.DEVNULL, start_new_session=True)

    @classmethod
    def tearDownClass(cls):
        os.killpg(cls.noise.pid, signal.SIGKILL)
        cls.noise.wait()
        cls.shop.close()

    def waiting(self, *args):
        """The program, before its first call."""
        process = subprocess.Popen([self.sockets, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        self.addCleanup(process.kill)
        return process

    def trace_pid(self, *options, children):
        """(who said what, who was seen) of a running process that is then let go."""
        target = self.waiting(20, children)
        with tempfile.NamedTemporaryFile("r", prefix="rille-events-") as out:
            tracer = rille.start("-e", SOCKETS, "-p", target.pid, *options, "-o", f"jsonl:{out.name}")
            said, _ = target.communicate("\n", timeout=60)
            _, errors = tracer.communicate(timeout=60)
            self.assertEqual(tracer.returncode, 0, errors)
            records = rille.records(out.read())
        self.assertEqual(records[-1]["reason"], "target exited")
        return target.pid, said_by(said), counted(record for record in records if record["type"] == "event")

    def test_command_and_children(self):
        """`-- CMD`: the command, its children and their children, from the first call on."""
        with tempfile.NamedTemporaryFile("r", prefix="rille-events-") as out:
            done = rille.run("-e", SOCKETS, "-o", f"jsonl:{out.name}", "--", self.sockets, 20, 3)
            self.assertEqual(done.returncode, 0, done.stderr)
            seen = counted(rille.events(out.read()))
        self.assertEqual(seen, said_by(done.stdout))
        self.assertEqual(len(seen), 7)

    def test_the_end_of_a_target_is_its_own(self):
        """A probe on a process's end still sees it as a target: each process of the tree once."""
        with tempfile.NamedTemporaryFile("r", prefix="rille-events-") as out:
            done = rille.run("-e", '{ "tracepoint:sched:sched_process_exit" }', "-o", f"jsonl:{out.name}", "--",
                             self.sockets, 1, 3)
            self.assertEqual(done.returncode, 0, done.stderr)
            ended = [event["pid"] for event in rille.events(out.read())]
        self.assertEqual(sorted(ended), sorted(said_by(done.stdout)))

    def test_command_alone(self):
        with tempfile.NamedTemporaryFile("r", prefix="rille-events-") as out:
            done = rille.run("-e", SOCKETS, "--no-follow", "-o", f"jsonl:{out.name}", "--", self.sockets, 20, 3)
            self.assertEqual(done.returncode, 0, done.stderr)
            seen = counted(rille.events(out.read()))
        first = next(iter(said_by(done.stdout)))
        self.assertEqual(seen, {first: 20})

    def test_pid(self):
        """A running process: it and the children it gets from now on; the trace ends with the last of them."""
        _, said, seen = self.trace_pid(children=2)
        self.assertEqual(seen, said)
        self.assertEqual(len(seen), 5)

    def test_pid_alone(self):
        pid, _, seen = self.trace_pid("--no-follow", children=2)
        self.assertEqual(seen, {pid: 20})

    def test_several_pids(self):
        targets = [self.waiting(10) for _ in range(3)]
        pids = ",".join(str(target.pid) for target in targets[:2])
        tracer = rille.start("-e", SOCKETS, "-p", pids, "--format", "jsonl")
        for target in targets:
            target.communicate("\n", timeout=60)
        out, errors = tracer.communicate(timeout=60)
        self.assertEqual(tracer.returncode, 0, errors)
        self.assertEqual(counted(rille.events(out)), {target.pid: 10 for target in targets[:2]})

    def said_alone(self, *command):
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=True)
        return said_by(done.stdout)

    def stop(self, tracer):
        time.sleep(0.1)
        tracer.send_signal(signal.SIGINT)
        out, errors = tracer.communicate(timeout=60)
        self.assertEqual(tracer.returncode, 0, errors)
        return rille.events(out)

    def test_comm(self):
        """By name: as /proc/PID/comm has it, whoever it is."""
        other = self.shop.path / "chatter"
        other.write_bytes(self.sockets.read_bytes())
        other.chmod(0o755)
        tracer = rille.start("-e", SOCKETS, "-n", "chatter", "--format", "jsonl")
        said = self.said_alone(other, 30)
        self.assertEqual(counted(self.stop(tracer)), said)

    def test_uid(self):
        nobody = pwd.getpwnam("nobody").pw_uid
        tracer = rille.start("-e", SOCKETS, "-u", "nobody", "--format", "jsonl")
        said = self.said_alone(self.sockets, 30, 0, nobody)
        self.assertEqual(counted(self.stop(tracer)), said)

    def test_everybody(self):
        """Without a target the whole machine is traced, but not the tracer."""
        tracer = rille.start("-e", SOCKETS, "--format", "jsonl")
        said = self.said_alone(self.sockets, 30)
        seen = counted(self.stop(tracer))
        for pid, count in said.items():
            self.assertEqual(seen[pid], count)
        self.assertNotIn(tracer.pid, seen)

    def test_no_such_process(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        done = rille.run("-e", SOCKETS, "-p", gone.pid)
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(gone.pid), done.stderr)


if __name__ == "__main__":
    unittest.main()
